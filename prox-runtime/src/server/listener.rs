//! Sockets that accept, and the loop over them.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::{Options, connection, drain::Tracker};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
};

/// How many connections may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Binds an address, alone or as one of several listeners that share it.
///
/// # Errors
///
/// When the address cannot be listened on. The runtime must be entered.
pub(super) fn bind(address: SocketAddr, shared: bool) -> Result<TcpListener> {
    let failed = |error| Error::io(format!("cannot listen on {address}{}", hint(&error)), error);
    socket(address, shared)
        .and_then(|socket| {
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into())
        })
        .map_err(failed)
}

/// Whether nobody else listens on the address: listeners that share one would split its connections with a stranger.
pub(super) fn check_free(address: SocketAddr) -> Result {
    if address.port() == 0 {
        return Ok(());
    }
    let failed = |error| Error::io(format!("cannot listen on {address}{}", hint(&error)), error);
    socket(address, false)
        .and_then(|socket| socket.listen(1))
        .map_err(failed)
}

fn socket(address: SocketAddr, shared: bool) -> std::io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `::` takes IPv4 as well, whatever the system's own default is.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            " (another process does: end it, or set PORT to another number)"
        }
        std::io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need a privilege: set PORT to a higher number)"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            " (this machine does not have that address: see HOST)"
        }
        _ => "",
    }
}

/// Accepts until `shutdown`, then drains.
pub(super) async fn serve<G: Dispatch>(
    gateway: G,
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()>,
) {
    let options = Arc::new(options);
    let tracker = Tracker::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = poll_fn(|cx| {
            if shutdown.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        });
        match accepted.await {
            None => break,
            Some(Ok((stream, peer))) => spawn(&gateway, stream, peer, &options, &tracker),
            Some(Err(error)) => refused(&error).await,
        }
    }
    tracker.drain();
    // Whoever the kernel has let in already is served as well: a listener that closes resets those that wait.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                spawn(&gateway, stream, peer, &options, &tracker);
            }
        }
    }
    let cut = tracker.finish(options.drain_timeout).await;
    if cut > 0 {
        tracing::warn!(connections = cut, "cut off at the end of the drain");
    }
}

fn spawn<G: Dispatch>(
    gateway: &G,
    stream: TcpStream,
    peer: SocketAddr,
    options: &Arc<Options>,
    tracker: &Tracker,
) {
    // Small messages are written whole; one that fails here fails at its first read too.
    let _ = stream.set_nodelay(true);
    tokio::spawn(connection::serve(
        gateway.clone(),
        stream.into(),
        Some(peer),
        Arc::clone(options),
        tracker.enter(),
    ));
}

/// A client that left the queue again means nothing; a process without descriptors must wait for some to be closed.
async fn refused(error: &std::io::Error) {
    use std::io::ErrorKind as E;
    if matches!(
        error.kind(),
        E::ConnectionAborted | E::ConnectionReset | E::ConnectionRefused | E::Interrupted
    ) {
        return;
    }
    tracing::error!(%error, "cannot accept");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
