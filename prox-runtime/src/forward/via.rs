//! `Via` (RFC 9110, 7.6.3): the proxies that a message came through, and the request that comes round in a circle.

use http::{HeaderMap, HeaderValue, Version, header};

use super::forwarded::is_token;

/// The name of a gateway, as it stands in `Via`.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    name: String,
    http10: HeaderValue,
    http11: HeaderValue,
    http2: HeaderValue,
}

impl Via {
    /// A gateway of this name.
    ///
    /// # Errors
    ///
    /// When the name is no token.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        let line = |version: &str| HeaderValue::try_from(format!("{version} {name}"));
        match (line("1.0"), line("1.1"), line("2")) {
            (Ok(http10), Ok(http11), Ok(http2))
                if !name.is_empty() && name.chars().all(is_token) =>
            {
                Ok(Self {
                    name: name.to_owned(),
                    http10,
                    http11,
                    http2,
                })
            }
            _ => Err(format!(
                "{name:?} is no name for Via: write one of letters, digits, `-`, `_` and `.`, such as \"edge\""
            )),
        }
    }

    /// Whether a message has come through a gateway of this name before.
    pub(crate) fn has(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(header::VIA)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .any(|entry| {
                let mut words = entry
                    .split(|byte| matches!(byte, b' ' | b'\t'))
                    .filter(|word| !word.is_empty());
                words
                    .nth(1)
                    .is_some_and(|by| by.eq_ignore_ascii_case(self.name.as_bytes()))
            })
    }

    /// Says that a message, which came in this version, goes through here.
    pub(crate) fn add(&self, headers: &mut HeaderMap, version: Version) {
        let value = match version {
            Version::HTTP_09 | Version::HTTP_10 => &self.http10,
            Version::HTTP_2 => &self.http2,
            _ => &self.http11,
        };
        headers.append(header::VIA, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_name_is_found_wherever_it_stands() {
        let via = Via::new("edge").unwrap();
        for (value, has) in [
            ("1.1 edge", true),
            ("HTTP/1.1   EDGE (Prox)", true),
            ("1.0 fred,\t2 edge, 1.1 p.example.net", true),
            ("1.1 edge2", false),
            ("edge", false),
            ("1.1 other (edge)", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header::VIA, HeaderValue::from_static("1.1 first"));
            headers.append(header::VIA, HeaderValue::from_static(value));
            assert_eq!(via.has(&headers), has, "{value:?}");
        }
    }

    #[test]
    fn what_it_adds_it_finds() {
        let via = Via::new("edge").unwrap();
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            let mut headers = HeaderMap::new();
            via.add(&mut headers, version);
            assert!(via.has(&headers));
        }
    }

    #[test]
    fn a_name_is_a_token() {
        for wrong in ["", "a b", "a,b", "a:80", "é", "a\r\nb", "(a)"] {
            assert!(Via::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
