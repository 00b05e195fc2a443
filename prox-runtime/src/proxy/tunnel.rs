//! The answer that makes a tunnel of an exchange.

use http::{HeaderMap, HeaderValue, Version, header, response};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::{
    body::Body,
    cluster::{Lease, Policy},
    error::{Error, Failure},
    forward::{
        headers,
        upgrade::{self, Asked},
    },
    handler::{Request, Response},
    pool::{Connection, Download},
    stream::Stream,
    tunnel::{Switched, Tunnel},
};

/// What a client asks for that wants another protocol.
pub(super) struct Upgrade {
    asked: Asked,
    /// A WebSocket's client expects an answer to it, whatever the upstream speaks.
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "an upstream of HTTP/1.1 answers it itself")
    )]
    key: Option<HeaderValue>,
}

/// What a request asks for, if its client could be switched, and nothing else is to be sent before.
pub(super) fn asked(req: &Request) -> Option<Upgrade> {
    let asked = req.extensions().get::<Asked>()?.clone();
    if !req.body().is_end_stream() {
        return None;
    }
    let key = req.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    Some(Upgrade { asked, key })
}

impl Upgrade {
    /// Asks an upstream for the same, on a request without hop-by-hop fields.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        self.asked.ask(headers);
    }

    /// Leaves one protocol of those that were asked for: HTTP/2 has room for no more.
    pub(super) fn ask_for_one(&self, headers: &mut HeaderMap) {
        headers.insert(header::UPGRADE, self.asked.one());
    }
}

fn malformed() -> Error {
    Error::failure(Failure::MalformedResponse).after_send()
}

/// The `101` for the client, with the upstream's stream.
///
/// A total limit has been kept when this comes: the response ends with its head. The endpoint counts the tunnel as a
/// request until it ends.
///
/// # Errors
///
/// `MalformedResponse` for a `101` that was not asked for, or to something else than was asked for.
pub(super) fn respond(
    response: http::Response<Incoming>,
    upgrade: Option<&Upgrade>,
    connection: Box<Connection>,
    lease: Lease,
    policy: &Policy,
) -> Result<Response, Error> {
    let (mut head, _) = response.into_parts();
    let protocol = upgrade
        .and_then(|upgrade| upgrade.asked.agreed(&head.headers))
        .ok_or_else(malformed)?;
    let stream = connection.into_stream().ok_or_else(malformed)?;
    headers::response(&mut head.headers, head.status);
    upgrade::switch(&mut head.headers, protocol);
    Ok(switched(head, stream, lease, policy))
}

/// The same, when the upstream has agreed on a stream of HTTP/2 (RFC 8441).
pub(super) fn respond_streamed(
    response: http::Response<()>,
    upgrade: &Upgrade,
    download: Download,
    lease: Lease,
    policy: &Policy,
) -> Result<Response, Error> {
    let (mut head, ()) = response.into_parts();
    let stream = download.into_stream().ok_or_else(malformed)?;
    headers::response(&mut head.headers, head.status);
    upgrade::from_connected(&mut head, upgrade.asked.one());
    #[cfg(feature = "http2")]
    if let Some(key) = &upgrade.key {
        crate::forward::websocket::Accept::of(key.as_bytes()).answer(&mut head.headers);
    }
    Ok(switched(head, stream, lease, policy))
}

fn switched(
    mut head: response::Parts,
    stream: Stream,
    mut lease: Lease,
    policy: &Policy,
) -> Response {
    // How a tunnel ends is the business of those who talk through it.
    lease.conclude();
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let tunnel = Tunnel::new(stream, policy.idle_timeout, lease);
    head.extensions.insert(Switched::new(tunnel));
    Response::from_parts(head, Body::empty())
}
