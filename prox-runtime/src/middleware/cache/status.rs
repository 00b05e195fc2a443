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
    /// The answer was stored, and is fresh for this many seconds.
    Hit {
        ttl: i64,
    },
    Forwarded(Forwarded),
}

/// A request that went to the upstream, or that waited for one that did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded {
    pub(crate) why: Forward,
    /// What the upstream answered, where that is not what the client gets.
    pub(crate) status: Option<StatusCode>,
    pub(crate) stored: bool,
    /// It waited for another request.
    pub(crate) collapsed: bool,
    pub(crate) detail: Option<&'static str>,
}

impl Forwarded {
    pub(crate) fn new(why: Forward) -> Self {
        Self {
            why,
            status: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }
}

impl From<Forwarded> for Done {
    fn from(forwarded: Forwarded) -> Self {
        Self::Forwarded(forwarded)
    }
}

impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "; fwd={}", self.why)?;
        if let Some(status) = self.status {
            write!(f, "; fwd-status={}", status.as_u16())?;
        }
        f.write_str(if self.stored { "; stored" } else { "" })?;
        f.write_str(if self.collapsed { "; collapsed" } else { "" })?;
        match self.detail {
            Some(detail) => write!(f, "; detail={detail}"),
            None => Ok(()),
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
        Done::Forwarded(forwarded) => write!(text, "{forwarded}"),
    };
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
