//! What happens on a connection before its first request: who it is, and what it speaks.

use std::{io, net::SocketAddr};

use super::{Options, socket::Socket};
use crate::client::Client;

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
    socket: Socket,
    peer: Option<SocketAddr>,
    _options: &Options,
) -> io::Result<Opened> {
    let client = Client::new(peer);
    #[cfg(feature = "http2")]
    let (socket, protocol) = super::http2::sniff(socket).await?;
    #[cfg(not(feature = "http2"))]
    let protocol = Protocol::Http1;
    Ok(Opened {
        socket,
        client,
        protocol,
    })
}
