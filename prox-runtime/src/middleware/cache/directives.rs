//! `Cache-Control` (RFC 9111, 5.2): the directives that a cache obeys.

use http::{HeaderMap, header};

/// Times above this are cut to it (RFC 9111, 1.2.2).
const MOST: u64 = 1 << 31;

/// What the fields `Cache-Control` of a message say. Times are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a directive")]
pub(crate) struct Directives {
    pub(crate) no_store: bool,
    /// Also where it names fields: then none of the response is used without asking.
    pub(crate) no_cache: bool,
    /// Also where it names fields: then none of the response is stored.
    pub(crate) private: bool,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) max_age: Option<u64>,
    pub(crate) s_maxage: Option<u64>,
    pub(crate) min_fresh: Option<u64>,
    /// RFC 5861, 3.
    pub(crate) stale_while_revalidate: Option<u64>,
    /// RFC 5861, 4.
    pub(crate) stale_if_error: Option<u64>,
}

/// The fields are not what RFC 9111 defines, so what they mean is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Directives {
    /// Reads all fields `Cache-Control` of a message.
    ///
    /// # Errors
    ///
    /// When one of them is malformed. A time that is not a number is 0, and of two times the shorter one counts.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Malformed> {
        let mut directives = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            directives.read(value.as_bytes())?;
        }
        Ok(directives)
    }

    /// Reads one field.
    pub(crate) fn read(&mut self, mut text: &[u8]) -> Result<(), Malformed> {
        loop {
            while let [b',' | b' ' | b'\t', rest @ ..] = text {
                text = rest;
            }
            if text.is_empty() {
                return Ok(());
            }
            let (name, rest) = token(text).ok_or(Malformed)?;
            let (value, rest) = match rest {
                [b'=', b'"', rest @ ..] => quoted(rest).ok_or(Malformed)?,
                [b'=', rest @ ..] => token(rest).ok_or(Malformed)?,
                rest => (&b""[..], rest),
            };
            text = rest.trim_ascii_start();
            if !matches!(text, [] | [b',', ..]) {
                return Err(Malformed);
            }
            self.take(name, value);
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        for (own, flag) in [
            ("no-store", &mut self.no_store),
            ("no-cache", &mut self.no_cache),
            ("private", &mut self.private),
            ("public", &mut self.public),
            ("must-revalidate", &mut self.must_revalidate),
            ("proxy-revalidate", &mut self.proxy_revalidate),
        ] {
            *flag |= is(own);
        }
        for (own, time) in [
            ("max-age", &mut self.max_age),
            ("s-maxage", &mut self.s_maxage),
            ("min-fresh", &mut self.min_fresh),
            ("stale-while-revalidate", &mut self.stale_while_revalidate),
            ("stale-if-error", &mut self.stale_if_error),
        ] {
            if is(own) {
                let said = seconds(value).unwrap_or(0);
                *time = Some(time.map_or(said, |before| before.min(said)));
            }
        }
    }
}

/// A time in whole seconds, at most [`MOST`].
pub(crate) fn seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0, |time: u64, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some((time * 10 + digit).min(MOST))
    })
}

/// A token, and what follows.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_part(byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// What is in quotes after the first one, with its backslashes, and what follows the second.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut place = 0;
    loop {
        match text.get(place)? {
            b'"' => return Some((text.get(..place)?, text.get(place + 1..)?)),
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&'static str]) -> Result<Directives, Malformed> {
        let mut directives = Directives::default();
        for field in fields {
            directives.read(field.as_bytes())?;
        }
        Ok(directives)
    }

    #[test]
    fn directives_are_read_in_every_form_that_they_may_have() {
        let all = read(&[
            " No-Store , PRIVATE=\"x-a, public\",,max-age=\"60\"",
            "s-maxage=5,\tunknown, other=\"max-age=1, \\\" no-cache\", min-fresh=7",
        ])
        .unwrap();
        let wanted = Directives {
            no_store: true,
            private: true,
            max_age: Some(60),
            s_maxage: Some(5),
            min_fresh: Some(7),
            ..Directives::default()
        };
        assert_eq!(all, wanted);
        let both = read(&["no-cache=\"set-cookie\", public, must-revalidate, proxy-revalidate"]);
        let both = both.unwrap();
        assert!(both.no_cache && both.public && both.must_revalidate && both.proxy_revalidate);
    }

    #[test]
    fn of_two_times_the_shorter_counts_and_one_that_is_not_a_number_is_over() {
        for (field, time) in [
            ("max-age=60, max-age=30", 30),
            ("max-age=60, MAX-AGE=x", 0),
            ("max-age", 0),
            ("max-age=-1", 0),
            ("max-age=1.5", 0),
            ("max-age=99999999999999999999999999", MOST),
        ] {
            assert_eq!(read(&[field]).unwrap().max_age, Some(time), "{field}");
        }
    }

    #[test]
    fn what_is_malformed_is_not_guessed_at() {
        for field in [
            "max-age=60; no-store",
            "max-age = 60",
            "=60",
            "x=\"no end",
            "x=\"no end\\\"",
            "x=\"a\"b",
            "max-age=",
            "no-store private",
            "no-st\u{f6}re",
        ] {
            assert_eq!(read(&[field]), Err(Malformed), "{field}");
        }
    }
}
