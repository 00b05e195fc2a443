//! What was refused before it became a request of the gateway.

use std::{borrow::Cow, fmt, net::IpAddr};

use http::StatusCode;

use crate::error::Failure;

/// The most bytes of a target that are kept.
const LONGEST: usize = 512;

/// Why a server refused a connection, or what came on it, before there was a request for the gateway.
///
/// [`Connections::refused`](crate::Connections::refused) counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The head of a request, or a frame of HTTP/2, is malformed or means more than one thing: `400`, or `GOAWAY`.
    Malformed,
    /// The head of a request is over the limit: `431`.
    HeadersTooLarge,
    /// The target of a request is over the limit: `414`.
    UriTooLong,
    /// The head of a request, the PROXY protocol header or the TLS handshake took too long: `408` for a head.
    Slow,
    /// There was no TLS handshake.
    Tls,
    /// There was no well-formed PROXY protocol header.
    ProxyProtocol,
    /// Too many HTTP/2 frames that no request called for: `GOAWAY`.
    Flood,
}

impl Refusal {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::HeadersTooLarge,
        Self::UriTooLong,
        Self::Slow,
        Self::Tls,
        Self::ProxyProtocol,
        Self::Flood,
    ];

    /// The stable name, as logs and metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadersTooLarge => "headers_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::Slow => "slow",
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Flood => "flood",
        }
    }
}

impl Refusal {
    /// The row of the failure table, for what is answered.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Self::Malformed => Some(Failure::MalformedRequest),
            Self::HeadersTooLarge => Some(Failure::HeadersTooLarge),
            Self::UriTooLong => Some(Failure::UriTooLong),
            Self::Slow => Some(Failure::SlowClient),
            Self::Tls | Self::ProxyProtocol | Self::Flood => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One refusal, with what is known of it. [`Middleware::refused`](crate::Middleware::refused) gets it.
#[derive(Clone, Debug)]
pub struct Refused {
    reason: Refusal,
    client: Option<IpAddr>,
    status: Option<StatusCode>,
    detail: Cow<'static, str>,
    method: Option<String>,
    path: Option<String>,
}

impl Refused {
    pub(crate) fn new(reason: Refusal, client: Option<IpAddr>) -> Self {
        Self {
            reason,
            client,
            status: None,
            detail: Cow::Borrowed(""),
            method: None,
            path: None,
        }
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// What can be read of a head of HTTP/1.1 that was not understood.
    pub(crate) fn head(mut self, head: &[u8]) -> Self {
        let line = head
            .split(|&byte| byte.is_ascii_control())
            .find(|line| !line.is_empty());
        let mut words = line.unwrap_or_default().splitn(3, |&byte| byte == b' ');
        let method = words.next().unwrap_or_default();
        if (1..=32).contains(&method.len()) && method.iter().all(u8::is_ascii_alphanumeric) {
            self.method = Some(String::from_utf8_lossy(method).into_owned());
            self.path = words.next().and_then(path);
        }
        self
    }

    /// The method and the path of a head that was understood.
    #[cfg(feature = "http2")]
    pub(crate) fn request(mut self, method: &http::Method, target: &str) -> Self {
        self.method = Some(method.as_str().chars().take(32).collect());
        self.path = path(target.as_bytes());
        self
    }

    /// Why.
    pub fn reason(&self) -> Refusal {
        self.reason
    }

    /// The address of the client.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client
    }

    /// The status of the answer, if there was one.
    pub fn answer(&self) -> Option<StatusCode> {
        self.status
    }

    /// What exactly was wrong, in words for people; empty when there is nothing more to say.
    pub fn details(&self) -> &str {
        &self.detail
    }

    /// The method, as far as the head could be read.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The path without the query, as far as the head could be read, and at most 512 bytes of it.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

/// The path of a target; the query may hold secrets, and so may an authority.
fn path(target: &[u8]) -> Option<String> {
    let end = target.iter().position(|byte| b"?# ".contains(byte));
    let path = &target[..end.unwrap_or(target.len()).min(LONGEST)];
    path.starts_with(b"/")
        .then(|| String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[u8]) -> (Option<String>, Option<String>) {
        let refused = Refused::new(Refusal::Malformed, None).head(head);
        (refused.method, refused.path)
    }

    #[test]
    fn a_head_is_read_as_far_as_it_goes() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(b"GET /a?token=x HTTP/1.1\r\n"),
            (some("GET"), some("/a"))
        );
        assert_eq!(read(b"GET /a\0\r\n\r\n"), (some("GET"), some("/a")));
        assert_eq!(read(b"\r\nPOST /b HT"), (some("POST"), some("/b")));
        assert_eq!(
            read(b"GET http://u:secret@h/ HTTP/1.1"),
            (some("GET"), None)
        );
        assert_eq!(read(b"\x16\x03\x01\x02"), (None, None));
        assert_eq!(read(b""), (None, None));
        let long = [b"GET /", &b"a".repeat(9000)[..]].concat();
        assert_eq!(read(&long).1.map(|path| path.len()), Some(LONGEST));
    }
}
