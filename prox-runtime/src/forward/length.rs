//! `Content-Length` (RFC 9110, 8.6): a message has one, in the one form that nobody reads differently.

use http::{
    HeaderMap, HeaderValue,
    header::{self, Entry},
};

/// Leaves one length, as decimal digits without leading zeros. Equal lengths, in several fields or in one list, become one.
///
/// # Errors
///
/// When the lengths differ, or one is malformed. The fields are left as they are then.
pub(crate) fn unify(headers: &mut HeaderMap) -> Result<Option<u64>, Malformed> {
    let Entry::Occupied(mut field) = headers.entry(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let mut fields = field.iter();
    let (first, more) = (fields.next(), fields.next().is_some());
    if let (Some(only), false) = (first, more)
        && let Some(length) = canonical(only.as_bytes())
    {
        return Ok(Some(length));
    }
    let items = field
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let mut lengths = items.map(|item| digits(item.trim_ascii()));
    let length = lengths.next().flatten().ok_or(Malformed)?;
    if !lengths.all(|other| other == Some(length)) {
        return Err(Malformed);
    }
    field.insert(HeaderValue::from(length));
    Ok(Some(length))
}

/// The lengths of a message contradict each other, or are no lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Drops a length that a layer made wrong, when that of the body is known. The sender then writes the right one.
///
/// Two lengths for one message would let its receiver take the end of the body for the next message.
pub(crate) fn right(headers: &mut HeaderMap, body: Option<u64>) {
    let is_wrong = match unify(headers) {
        Ok(written) => body.is_some_and(|body| written.is_some_and(|written| written != body)),
        Err(Malformed) => true,
    };
    if is_wrong {
        headers.remove(header::CONTENT_LENGTH);
    }
}

/// Drops a length that is malformed, where it does not describe the body that follows.
pub(crate) fn well_formed(headers: &mut HeaderMap) {
    right(headers, None);
}

/// A length that is written as it should be.
fn canonical(value: &[u8]) -> Option<u64> {
    match value {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] => digits(value),
        _ => None,
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lengths: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for length in lengths {
            headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        headers
    }

    fn written(headers: &HeaderMap) -> Vec<&str> {
        let lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        lengths.map(|length| length.to_str().unwrap()).collect()
    }

    #[test]
    fn one_length_is_left_in_its_canonical_form() {
        for (lengths, left) in [
            (&["5"][..], "5"),
            (&["0"], "0"),
            (&["00"], "0"),
            (&["0005"], "5"),
            (&["5", "5"], "5"),
            (&["5, 5"], "5"),
            (&["5,05", "005"], "5"),
            (&["18446744073709551615"], "18446744073709551615"),
        ] {
            let mut headers = headers(lengths);
            assert_eq!(
                unify(&mut headers),
                Ok(Some(left.parse().unwrap())),
                "{lengths:?}"
            );
            assert_eq!(written(&headers), [left], "{lengths:?}");
        }
        assert_eq!(unify(&mut HeaderMap::new()), Ok(None));
    }

    #[test]
    fn lengths_that_differ_or_are_malformed_are_refused() {
        for lengths in [
            &["5", "6"][..],
            &["5, 6"],
            &["5", "5, 6"],
            &[""],
            &["5,"],
            &["+5"],
            &["-5"],
            &["5 5"],
            &["0x5"],
            &["5.0"],
            &["18446744073709551616"],
        ] {
            assert_eq!(unify(&mut headers(lengths)), Err(Malformed), "{lengths:?}");
        }
    }

    #[test]
    fn a_length_that_is_not_that_of_the_body_is_dropped() {
        for (lengths, body, left) in [
            (&["5"][..], Some(5), &["5"][..]),
            (&["05", "5"], Some(5), &["5"]),
            (&["5"], Some(6), &[]),
            (&["5", "6"], Some(5), &[]),
            (&["5", "6"], None, &[]),
            (&["05"], None, &["5"]),
            (&[], Some(5), &[]),
        ] {
            let mut headers = headers(lengths);
            right(&mut headers, body);
            assert_eq!(written(&headers), left, "{lengths:?} {body:?}");
        }
    }
}
