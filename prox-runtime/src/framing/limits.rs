//! How large the head of a message may be.
//!
//! It is counted as HTTP/1.1 writes it, whatever is spoken, so that the same head passes or does not pass in all protocols.

use std::{error::Error as StdError, fmt};

#[cfg(feature = "http2")]
use http::{HeaderMap, Method, Uri};

use super::Leniency;

/// The limits of one side: what clients may send, or what an upstream may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// The most fields; each line is one.
    pub(crate) fields: usize,
    /// The most bytes, from the start line to the empty line.
    pub(crate) bytes: usize,
    /// What is taken beyond the rules; of clients nothing.
    pub(crate) lenient: Leniency,
}

/// A limit that a head is over, with what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverLimit {
    Fields(usize),
    Bytes(usize),
}

impl HeadLimits {
    /// The largest list that HTTP/2 may take for a head within these limits.
    ///
    /// HTTP/2 counts 32 bytes more for each field than its name and value have, and HTTP/1.1 counts four. Cookies that come one
    /// by one are joined before they are counted here, so there is room for more of them. What is larger is refused by h2 itself,
    /// which does not say which limit that was.
    #[cfg(feature = "http2")]
    pub(crate) fn list_size(self) -> u32 {
        let more = self.fields.saturating_mul(64);
        let size = self.bytes.saturating_mul(2).saturating_add(more);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Holds the head of a request of HTTP/2 against the limits, once it has the form of HTTP/1.1.
    #[cfg(feature = "http2")]
    pub(crate) fn check_request(
        self,
        method: &Method,
        target: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), OverLimit> {
        let target = target
            .path_and_query()
            .map_or(1, |target| target.as_str().len());
        let line = method.as_str().len() + target + "  HTTP/1.1\r\n".len();
        self.check(line, headers)
    }

    /// Holds the head of a response of HTTP/2 against the limits.
    #[cfg(feature = "http2")]
    pub(crate) fn check_response(self, headers: &HeaderMap) -> Result<(), OverLimit> {
        self.check("HTTP/1.1 200 \r\n".len(), headers)
    }

    #[cfg(feature = "http2")]
    fn check(self, start_line: usize, headers: &HeaderMap) -> Result<(), OverLimit> {
        if headers.len() > self.fields {
            return Err(OverLimit::Fields(self.fields));
        }
        let lines = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
        if start_line + lines.sum::<usize>() + "\r\n".len() > self.bytes {
            return Err(OverLimit::Bytes(self.bytes));
        }
        Ok(())
    }

    /// Which limit a head of HTTP/1.1 is over that the parser has refused for its size, by the number of its fields.
    pub(crate) fn exceeded(self, fields: usize) -> OverLimit {
        if fields > self.fields {
            OverLimit::Fields(self.fields)
        } else {
            OverLimit::Bytes(self.bytes)
        }
    }
}

impl OverLimit {
    /// What the limit allows.
    pub(crate) fn allowed(self) -> usize {
        match self {
            Self::Fields(allowed) | Self::Bytes(allowed) => allowed,
        }
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields(allowed) => write!(f, "a head of more than {allowed} fields"),
            Self::Bytes(allowed) => write!(f, "a head of more than {allowed} bytes"),
        }
    }
}

impl StdError for OverLimit {}

/// The limit that an error is about, if it is about one.
pub(crate) fn over_limit(error: &(dyn StdError + 'static)) -> Option<OverLimit> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(over) = error.downcast_ref() {
            return Some(*over);
        }
        cause = error.source();
    }
    None
}

#[cfg(all(test, feature = "http2"))]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const NOTHING: Leniency = Leniency {
        equal_lengths: false,
        folded_fields: false,
        bare_line_feeds: false,
    };

    const LIMITS: HeadLimits = HeadLimits {
        fields: 3,
        bytes: 100,
        lenient: NOTHING,
    };

    fn headers(fields: &[(&'static str, usize)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, length) in fields {
            let value = HeaderValue::try_from("v".repeat(*length)).expect("letters are a value");
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    #[test]
    fn fields_and_bytes_are_counted_as_http_1_1_writes_them() {
        let check = |fields: &[(&'static str, usize)]| {
            let target = Uri::from_static("/path?query");
            let headers = headers(fields);
            LIMITS.check_request(&Method::GET, &target, &headers)
        };
        let head = "GET /path?query HTTP/1.1\r\nhost: vvvvvvvv\r\nx: \r\n\r\n";
        let rest = 100 - head.len();
        assert_eq!(check(&[("host", 8), ("x", rest)]), Ok(()));
        assert_eq!(
            check(&[("host", 8), ("x", rest + 1)]),
            Err(OverLimit::Bytes(100))
        );
        assert_eq!(check(&[("x", 1), ("x", 1), ("y", 1)]), Ok(()));
        let four = [("x", 1), ("x", 1), ("x", 1), ("x", 1)];
        assert_eq!(check(&four), Err(OverLimit::Fields(3)));
    }

    #[test]
    fn a_list_within_the_limits_is_never_refused_before() {
        let limits = HeadLimits {
            fields: 100,
            bytes: 64 * 1024,
            lenient: NOTHING,
        };
        let fields = 100 * (32 - 4) + 64 * 1024;
        assert!(limits.list_size() as usize > fields);
    }
}
