//! What happens on a connection before its first request: who it is, and what it speaks.

use std::{io, net::SocketAddr, sync::Arc};

use super::{Options, proxy_protocol, socket::Socket};
use crate::{client::Client, stream::Stream, watch::Watch};

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

/// Finds out who is there and what is spoken; the caller bounds the time.
pub(super) async fn open(
    mut stream: Stream,
    watch: Arc<Watch>,
    peer: Option<SocketAddr>,
    options: &Options,
) -> io::Result<Opened> {
    let mut client = Client::new(peer);
    if let Some(proxies) = &options.proxy_protocol
        && proxies.has(client.peer_ip())
    {
        let header = proxy_protocol::source(&mut stream);
        if let Some(source) = tokio::time::timeout(options.header_timeout, header).await?? {
            client = Client::new(Some(source));
        }
    }
    let mut agreed = None;
    if let Some(tls) = &options.tls {
        // A handshake has a limit of its own, and a drain lets it end: it is no pause between requests.
        let _busy = watch.exchange();
        let handshake = tls.accept(stream);
        let accepted = tokio::time::timeout(options.tls_handshake_timeout, handshake).await??;
        stream = accepted.stream;
        client = client.secured(accepted.session);
        agreed = Some(accepted.h2);
    }
    let socket = Socket::new(stream, watch);
    // Over TLS, HTTP/2 is spoken when it was agreed on, and never else (RFC 9113, 3.2).
    #[cfg(feature = "http2")]
    let (socket, protocol) = match agreed {
        Some(true) => (socket, Protocol::Http2),
        Some(false) => (socket, Protocol::Http1),
        None => super::http2::sniff(socket).await?,
    };
    #[cfg(not(feature = "http2"))]
    let (_, protocol) = (agreed, Protocol::Http1);
    Ok(Opened {
        socket,
        client,
        protocol,
    })
}
