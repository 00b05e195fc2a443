//! The answer that makes a tunnel of an exchange.

use http::{HeaderMap, HeaderValue, Method, Version, header, response};
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
    /// Whether an extended `CONNECT` can ask for the same.
    fits_stream: bool,
}

/// What a request asks for, if its client's connection can be switched.
pub(super) fn asked(req: &Request) -> Option<Upgrade> {
    let asked = req.extensions().get::<Asked>()?.clone();
    let key = req.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    // An extended `CONNECT` has neither another method nor content (RFC 8441, 4).
    let fits_stream = *req.method() == Method::GET && req.body().is_end_stream();
    Some(Upgrade {
        asked,
        key,
        fits_stream,
    })
}

impl Upgrade {
    /// Asks an upstream for the same, on a request without hop-by-hop fields.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        self.asked.ask(headers);
    }

    /// Asks an upstream of HTTP/2 for one protocol of those that were asked for, as an extended `CONNECT` names only one. A
    /// request that has no such form goes without the upgrade, which a server may ignore anyway (RFC 9110, 7.8).
    pub(super) fn ask_for_stream(&self, headers: &mut HeaderMap) {
        if self.fits_stream {
            headers.insert(header::UPGRADE, self.asked.one());
        } else {
            headers.remove(header::UPGRADE);
        }
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
