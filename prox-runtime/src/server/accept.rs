//! Sockets that accept, and the loop over them.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{
    Connections, Options,
    admin::Beating,
    connection,
    connections::{Place, before},
    drain::{Drain, Due, Tracker},
    handover::{Begin, Given},
    place::Place as At,
    unix::UnixSocket,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    observe::ending::Task,
    stream::Stream,
};

/// How many connections may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// How long nothing is accepted when the process has no descriptor left.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// A socket that accepts.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(TcpListener),
    /// With the socket that it shares with others.
    Unix(UnixListener, UnixSocket),
}

/// A connection, and the address that it comes from, if it has one.
pub(super) type Accepted = (Stream, Option<SocketAddr>);

impl Acceptor {
    /// A socket that is bound already, or one more handle on it. The runtime must be entered.
    pub(super) fn tcp(socket: &std::net::TcpListener) -> Result<Self> {
        let shared = || {
            let socket = socket.try_clone()?;
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        };
        shared()
            .map(Self::Tcp)
            .map_err(|error| Error::io("cannot take a listener that is bound already", error))
    }

    /// One more listener on a Unix socket. The runtime must be entered.
    pub(super) fn unix(socket: &UnixSocket) -> Result<Self> {
        Ok(Self::Unix(socket.listener()?, socket.clone()))
    }

    /// Waits for a connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, peer)| {
                // Small messages are written whole; one that fails here fails at its first read too.
                let _ = stream.set_nodelay(true);
                (stream.into(), Some(peer))
            }),
            Self::Unix(listener, _) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| (stream.into(), None)),
        }
    }

    /// The place where it listens, if it has one.
    pub(super) fn place(&self) -> Option<At> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(At::Tcp),
            Self::Unix(_, socket) => Some(At::Unix(socket.path().to_owned())),
        }
    }

    /// Stops accepting, but for those that the kernel has let in already: a listener that closes resets them. Those at a socket that
    /// was `given` away are left to the process that has it.
    fn rest(self, given: Option<&Given>, mut each: impl FnMut(Accepted)) {
        if let (Some(given), Some(place)) = (given, self.place())
            && given.has(&place)
        {
            return;
        }
        match self {
            Self::Tcp(listener) => {
                let Ok(listener) = listener.into_std() else {
                    return;
                };
                while let Ok((stream, peer)) = listener.accept() {
                    let _ = stream.set_nodelay(true);
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        each((stream.into(), Some(peer)));
                    }
                }
            }
            Self::Unix(listener, socket) => {
                socket.close();
                let Ok(listener) = listener.into_std() else {
                    return;
                };
                while let Ok((stream, _)) = listener.accept() {
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| UnixStream::from_std(stream));
                    if let Ok(stream) = stream {
                        each((stream.into(), None));
                    }
                }
            }
        }
    }
}

/// Binds an address, alone or as one of several listeners that share it.
///
/// # Errors
///
/// When the address cannot be listened on. The runtime must be entered.
pub(super) fn bind(address: SocketAddr, by: Source, shared: bool) -> Result<TcpListener> {
    let socket = bound(address, by, shared)?;
    TcpListener::from_std(socket).map_err(|error| failed(address, by, error))
}

/// Binds an address for one listener, without a runtime.
///
/// # Errors
///
/// When the address cannot be listened on.
pub(super) fn bind_alone(address: SocketAddr, by: Source) -> Result<std::net::TcpListener> {
    bound(address, by, false)
}

fn bound(address: SocketAddr, by: Source, shared: bool) -> Result<std::net::TcpListener> {
    socket(address, shared)
        .and_then(|socket| socket.listen(BACKLOG).map(|()| socket.into()))
        .map_err(|error| failed(address, by, error))
}

/// Whether nobody else listens on the address: listeners that share one would split its connections with a stranger.
pub(super) fn check_free(address: SocketAddr, by: Source) -> Result {
    if address.port() == 0 {
        return Ok(());
    }
    socket(address, false)
        .and_then(|socket| socket.listen(1))
        .map_err(|error| failed(address, by, error))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
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

/// Who says where to listen, and so where it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The code.
    Code,
    /// `HOST` and `PORT`.
    HostAndPort,
    /// The variable of a listener.
    Variable,
    /// `ADMIN`.
    Admin,
}

fn failed(address: SocketAddr, by: Source, error: io::Error) -> Error {
    use io::ErrorKind as E;
    let (port, host) = match by {
        Source::Code => ("listen on another port", "write an address of this machine"),
        Source::HostAndPort => ("set PORT to another number", "see HOST"),
        Source::Variable => (
            "set the variable to another port",
            "set the variable to another address",
        ),
        Source::Admin => (
            "set ADMIN to another port, or write `.admin(prox::Admin::off())` for a second server of the process",
            "set ADMIN to another address",
        ),
    };
    let hint = match error.kind() {
        E::AddrInUse => format!(" (another process does: end it, or {port})"),
        E::PermissionDenied => {
            format!(" (ports below 1024 need a privilege: {port}, from 1024 on)")
        }
        E::AddrNotAvailable => format!(" (this machine does not have that address: {host})"),
        _ => String::new(),
    };
    Error::io(format!("cannot listen on {address}{hint}"), error)
}

/// A socket that accepts, with the options of its connections.
pub(super) type Open = (Acceptor, Arc<Options>);

/// Accepts from `begin` on until the drain is `due`, then drains as `due` says. How many connections were cut off at its end.
pub(super) async fn serve<G: Dispatch>(
    gateway: G,
    listeners: Vec<Open>,
    options: Arc<Options>,
    begin: Begin,
    due: impl Future<Output = Drain>,
    beating: Option<Beating>,
) -> usize {
    gateway.start();
    let connections = options.connections.clone();
    let tracker = Arc::new(Tracker::new(gateway.requests()));
    connections.add(&tracker);
    let mut due = pin!(Due::new(due));
    // The loop sees by itself that the drain is due.
    let _ = before(due.as_mut(), begin.wait()).await;
    let mut turn = 0_usize;
    loop {
        // Each listener is the first in turn, so that a busy one does not keep the others waiting.
        turn = turn.wrapping_add(1);
        let accepted = poll_fn(|cx| {
            if due.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            let count = listeners.len();
            for index in 0..count {
                let (listener, options) = &listeners[turn.wrapping_add(index) % count];
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(Some(accepted.map(|accepted| (accepted, options))));
                }
            }
            Poll::Pending
        });
        match accepted.await {
            None => break,
            Some(Ok((accepted, options))) => {
                let mut place = connections.enter();
                if place.is_none() {
                    // Those behind it wait in the queue of the kernel.
                    place = before(due.as_mut(), connections.wait()).await;
                }
                let has_place = place.is_some();
                spawn(&gateway, accepted, options, &tracker, place);
                if !has_place {
                    break;
                }
            }
            Some(Err(error)) => refused(&error, &connections).await,
        }
    }
    let drain = due.as_ref().drain();
    tracker.drain(drain.clone());
    // A connection that the kernel has let in already is served as well.
    for (listener, options) in listeners {
        listener.rest(drain.given.as_ref(), |accepted| {
            let place = connections.enter();
            spawn(&gateway, accepted, &options, &tracker, place);
        });
    }
    let cut = tracker.finish_as(&drain, options.drain_timeout).await;
    if let Some(beating) = beating {
        beating.end();
    }
    cut
}

fn spawn<G: Dispatch>(
    gateway: &G,
    (stream, peer): Accepted,
    options: &Arc<Options>,
    tracker: &Arc<Tracker>,
    place: Option<Place>,
) {
    options.connections.accepted();
    tokio::spawn(Task::new(connection::serve(
        gateway.clone(),
        stream,
        peer,
        Arc::clone(options),
        tracker.enter(),
        place,
    )));
}

/// A client that left the queue again means nothing; a process without descriptors must wait for some to be closed.
async fn refused(error: &io::Error, connections: &Connections) {
    if has_left(error) {
        return;
    }
    connections.is_full(&error.to_string());
    connections.make_room();
    tokio::time::sleep(PAUSE).await;
}

/// Whether it is the client that is not there any more.
pub(super) fn has_left(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(
        error.kind(),
        E::ConnectionAborted | E::ConnectionReset | E::ConnectionRefused | E::Interrupted
    )
}
