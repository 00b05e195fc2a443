//! `Cache-Status` (RFC 9211): what the cache has done with a request.

use std::fmt::{self, Write};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went to the upstream (RFC 9211, 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// The layer is not for such requests.
    Bypass,
    Method,
    /// Nothing is stored of it.
    Miss,
    /// What is stored is for requests with other fields.
    Vary,
    Stale,
    /// The client asked for a fresher one.
    Request,
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::Miss => "miss",
            Self::Vary => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
        })
    }
}

/// What the cache has done with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    /// The answer was stored, and is fresh for so many seconds.
    Hit { ttl: i64 },
    Forwarded {
        why: Forward,
        /// What the upstream answered, where that is not what the client gets.
        status: Option<StatusCode>,
        stored: bool,
        /// It waited for another request.
        collapsed: bool,
        detail: Option<&'static str>,
    },
}

impl Done {
    pub(crate) fn forwarded(why: Forward) -> Self {
        Self::Forwarded {
            why,
            status: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }
}

/// Says on a response what the cache of this name has done. Caches before it have said theirs.
pub(crate) fn say(name: &str, done: Done, headers: &mut HeaderMap) {
    let mut text = String::with_capacity(48);
    text.push_str(name);
    // Writing to a string does not fail.
    let _ = match done {
        Done::Hit { ttl } => write!(text, "; hit; ttl={ttl}"),
        Done::Forwarded { why, .. } => write!(text, "; fwd={why}"),
    };
    if let Done::Forwarded {
        status,
        stored,
        collapsed,
        detail,
        ..
    } = done
    {
        if let Some(status) = status {
            let _ = write!(text, "; fwd-status={}", status.as_u16());
        }
        for (is, word) in [(stored, "; stored"), (collapsed, "; collapsed")] {
            text.push_str(if is { word } else { "" });
        }
        if let Some(detail) = detail {
            let _ = write!(text, "; detail={detail}");
        }
    }
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(CACHE_STATUS, value);
    }
}

/// Whether a name can stand in the field: a token of structured fields (RFC 9651, 3.3.4).
pub(crate) fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && name.bytes().all(is_part)
}
