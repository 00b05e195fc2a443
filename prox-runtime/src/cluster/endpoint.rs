//! One place that does the work: its address, and what is known of it at run time.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{HeaderValue, Uri, uri::PathAndQuery};

use crate::pool::Pool;

/// The URL of an upstream: `http://host[:port][/base]`, with a weight.
///
/// A base path is put before the path of every request. An `Endpoint` cannot hold a bad value: what is no upstream is
/// refused when it is parsed.
///
/// ```
/// use prox_runtime::Endpoint;
///
/// let endpoint: Endpoint = "http://10.0.0.1:8080".parse()?;
/// assert_eq!(endpoint.weight(3).to_string(), "http://10.0.0.1:8080");
/// assert!("ftp://10.0.0.1".parse::<Endpoint>().is_err());
/// # Ok::<(), prox_runtime::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    inner: Arc<Inner>,
    weight: u32,
}

#[derive(PartialEq, Eq)]
struct Inner {
    host: String,
    port: u16,
    authority: HeaderValue,
    base: String,
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointError(&'static str);

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// Sets the share of requests, relative to the weights of the other endpoints; 1 by default.
    ///
    /// A weight of 0 is an error when the gateway starts.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// The port; 80 when the URL names none.
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The share of requests, relative to the weights of the other endpoints.
    pub fn share(&self) -> u32 {
        self.weight
    }

    /// What `Host` says to this upstream.
    pub(crate) fn authority(&self) -> HeaderValue {
        self.inner.authority.clone()
    }

    /// What is put before every path; empty or without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.inner.base
    }

    /// Whether both are the same place.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err(EndpointError(
                    "https upstreams are not supported yet; write http://",
                ));
            }
            Some(_) => return Err(EndpointError("the scheme must be http://")),
            None => {
                return Err(EndpointError(
                    "the scheme is missing; write http://host:port",
                ));
            }
        };
        if rest.contains('#') {
            return Err(EndpointError("a fragment has no place in an upstream"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| EndpointError("this is no URL; write http://host:port"))?;
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty())
            .ok_or(EndpointError("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(EndpointError(
                "user information has no place in an upstream",
            ));
        }
        if uri.query().is_some() {
            return Err(EndpointError("a query has no place in an upstream"));
        }
        let written = authority.as_str();
        let port = match written.strip_prefix(authority.host()) {
            Some("") => 80,
            Some(port) => port[1..]
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or(EndpointError("the port must be a number from 1 to 65535"))?,
            None => return Err(EndpointError("this is no URL; write http://host:port")),
        };
        let base = uri.path().trim_end_matches('/');
        if base.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(EndpointError("`.` and `..` have no place in the base path"));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                host: authority
                    .host()
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned(),
                port,
                authority: HeaderValue::from_str(written)
                    .map_err(|_| EndpointError("the host has a character that no host has"))?,
                base: base.to_owned(),
            }),
            weight: 1,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.inner.authority.to_str().unwrap_or_default();
        write!(f, "http://{authority}{}", self.inner.base)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An endpoint at run time.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) endpoint: Endpoint,
    pub(crate) pool: Arc<Pool>,
    active: AtomicUsize,
}

impl Upstream {
    pub(crate) fn new(endpoint: Endpoint, pool: Pool) -> Self {
        Self {
            endpoint,
            pool: Arc::new(pool),
            active: AtomicUsize::new(0),
        }
    }

    pub(crate) fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that are under way.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// The target of a request to this endpoint: its base path, then the path and the query.
    pub(crate) fn target(&self, path: &PathAndQuery) -> Result<PathAndQuery, http::Error> {
        if self.endpoint.base().is_empty() {
            return Ok(path.clone());
        }
        let joined = format!("{}{path}", self.endpoint.base());
        Ok(PathAndQuery::try_from(joined)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_endpoint_are_told_apart() {
        let endpoint: Endpoint = "http://[::1]:8080/base/".parse().unwrap();
        assert_eq!(endpoint.host(), "::1");
        assert_eq!(endpoint.port(), 8080);
        assert_eq!(endpoint.base(), "/base");
        assert_eq!(endpoint.authority(), "[::1]:8080");
        assert_eq!("http://a".parse::<Endpoint>().unwrap().port(), 80);
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        for text in [
            "",
            "a",
            "10.0.0.1:80",
            "https://a",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://u:p@a",
            "http://a?x=1",
            "http://a#x",
            "http://a/../b",
            "http://a b",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
