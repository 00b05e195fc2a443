//! `Max-Forwards` (RFC 9110, 7.6.2): how much further a request goes that asks about the way.

use http::{HeaderMap, HeaderValue, header};

/// Whether an `OPTIONS` or a `TRACE` may go one hop further; the hop is taken off what it has left. What is no number is
/// passed on as it is.
pub(crate) fn goes_on(headers: &mut HeaderMap) -> bool {
    let Some(value) = headers.get_mut(header::MAX_FORWARDS) else {
        return true;
    };
    let left = value
        .to_str()
        .ok()
        .and_then(|left| left.parse::<u64>().ok());
    match left {
        Some(0) => false,
        Some(left) => {
            *value = HeaderValue::from(left - 1);
            true
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::MAX_FORWARDS, value.parse().unwrap());
        goes_on(&mut headers).then(|| headers["max-forwards"].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_hop_is_taken_off_what_is_left() {
        assert_eq!(after("3").as_deref(), Some("2"));
        assert_eq!(after("1").as_deref(), Some("0"));
        assert_eq!(after("0"), None);
        assert_eq!(after("some").as_deref(), Some("some"));
        assert!(goes_on(&mut HeaderMap::new()));
    }
}
