//! What happens on a connection before its first request: who it is, and what it speaks.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{Options, proxy_protocol, socket::Socket};
use crate::{
    client::Client,
    observe::{Refusal, Refused},
    stream::Stream,
    watch::Watch,
};

/// A connection that is ready for requests.
pub(super) struct Opened {
    pub(super) socket: Socket,
    pub(super) client: Client,
    pub(super) protocol: Protocol,
}

pub(super) enum Protocol {
    Http1,
    #[cfg(feature = "http2")]
    Http2,
}

/// Why there are no requests on a connection.
pub(super) struct Unopened {
    pub(super) error: io::Error,
    /// What is to be told of it; nothing when the client has left by itself, as those do that only look whether a port is open.
    pub(super) refused: Option<Refused>,
}

impl Unopened {
    fn by(reason: Refusal, client: Option<IpAddr>) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            use io::ErrorKind as E;
            let reason = match error.kind() {
                E::UnexpectedEof | E::ConnectionReset | E::BrokenPipe | E::NotConnected => None,
                E::TimedOut => Some(Refusal::Slow),
                _ => Some(reason),
            };
            let refused = reason.map(|reason| {
                let what = match reason {
                    Refusal::Slow => "TLS or the PROXY protocol took too long".to_owned(),
                    _ => error.to_string(),
                };
                Refused::new(reason, client).detail(what)
            });
            Self { error, refused }
        }
    }
}

/// Finds out who is there and what is spoken; the caller bounds the time.
pub(super) async fn open(
    mut stream: Stream,
    watch: Arc<Watch>,
    peer: Option<SocketAddr>,
    options: &Options,
) -> Result<Opened, Unopened> {
    let known = |peer| Client::new(peer).at(options.listener.clone());
    let mut client = known(peer);
    if let Some(proxies) = &options.proxy_protocol
        && proxies.has(client.peer_ip())
    {
        let header = proxy_protocol::source(&mut stream);
        let read = within(options.header_timeout, header).await;
        let source = read.map_err(Unopened::by(Refusal::ProxyProtocol, client.ip()))?;
        if let Some(source) = source {
            client = known(Some(source));
        }
    }
    let mut agreed = None;
    if let Some(tls) = &options.tls {
        // A handshake has a limit of its own, and a drain lets it end: it is no pause between requests.
        let _busy = watch.exchange();
        let handshake = tls.accept(stream);
        let accepted = within(options.tls_handshake_timeout, handshake).await;
        let accepted = accepted.map_err(Unopened::by(Refusal::Tls, client.ip()))?;
        stream = accepted.stream;
        client = client.secured(accepted.session);
        agreed = Some(accepted.h2);
    }
    #[cfg(feature = "testing")]
    if options.pretends_tls {
        client = client.over_tls();
    }
    let socket = Socket::new(stream, watch);
    // Over TLS, HTTP/2 is spoken when it was agreed on, and never else (RFC 9113, 3.2).
    #[cfg(feature = "http2")]
    let (socket, protocol) = match agreed {
        Some(true) => (socket, Protocol::Http2),
        Some(false) => (socket, Protocol::Http1),
        None => super::http2::sniff(socket)
            .await
            .map_err(Unopened::by(Refusal::Malformed, client.ip()))?,
    };
    #[cfg(not(feature = "http2"))]
    let (_, protocol) = (agreed, Protocol::Http1);
    Ok(Opened {
        socket,
        client,
        protocol,
    })
}

async fn within<T>(limit: Duration, opening: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, opening)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
