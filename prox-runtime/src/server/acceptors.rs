//! The sockets of all listeners, and what each worker accepts from.

use std::{net::TcpListener, os::fd::AsFd, sync::Arc};

use super::{
    accept::{self, Acceptor, check_free},
    handover::{Sockets, dealt},
    listener::{Line, Where},
    place::Place,
    unix::UnixSocket,
};
use crate::error::{Error, Result};

/// What all workers have of one listener.
#[derive(Debug)]
pub(super) enum Common {
    /// Nothing: each binds a socket of its own.
    Nothing,
    /// A path cannot be shared like a port.
    Unix(UnixSocket),
    /// Sockets that another process has bound.
    Tcp(Vec<TcpListener>),
}

/// One of the workers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) count: usize,
    /// Whether workers share a port.
    pub(super) shares: bool,
}

/// Takes what the process has got, checks the other addresses if workers `share` them, and binds the paths.
///
/// # Errors
///
/// When a place cannot be listened on.
pub(super) fn common(lines: &[Line], sockets: &mut Sockets, share: bool) -> Result<Vec<Common>> {
    lines
        .iter()
        .map(|line| match &line.at {
            Where::Place(Place::Tcp(address), by) => {
                let inherited = sockets.tcp(*address);
                if !inherited.is_empty() {
                    return Ok(Common::Tcp(inherited));
                }
                if share {
                    check_free(*address, *by)?;
                }
                Ok(Common::Nothing)
            }
            Where::Place(Place::Unix(path), _) => match sockets.unix(path)? {
                Some(inherited) => Ok(Common::Unix(inherited)),
                None => UnixSocket::bind(path, line.options.unix_mode).map(Common::Unix),
            },
            Where::Bound(_) => Ok(Common::Nothing),
        })
        .collect()
}

/// What one worker accepts from. Its runtime must be entered.
///
/// # Errors
///
/// When an address cannot be listened on.
pub(super) fn of_worker(
    lines: &mut [Line],
    common: &[Common],
    worker: Worker,
    sockets: &mut Sockets,
) -> Result<Vec<accept::Open>> {
    let mut open = Vec::with_capacity(lines.len());
    for (line, common) in lines.iter_mut().zip(common) {
        let mut add = |acceptor: Acceptor| {
            acceptor.offer(sockets)?;
            open.push((acceptor, Arc::clone(&line.options)));
            Ok::<(), Error>(())
        };
        match (&mut line.at, common) {
            (_, Common::Unix(socket)) => add(Acceptor::unix(socket)?)?,
            (_, Common::Tcp(listeners)) => {
                for listener in dealt(listeners, worker.number, worker.count) {
                    add(Acceptor::tcp(listener)?)?;
                }
            }
            (Where::Bound(socket), Common::Nothing) => add(Acceptor::tcp(socket)?)?,
            (Where::Place(Place::Tcp(address), by), Common::Nothing) => {
                let listener = accept::bind(*address, *by, worker.shares)?;
                // Port 0 is chosen by the first listener; the others share its choice.
                *address = listener
                    .local_addr()
                    .map_err(|error| Error::io("cannot tell the address of the listener", error))?;
                add(Acceptor::Tcp(listener))?;
            }
            (Where::Place(Place::Unix(_), _), Common::Nothing) => {}
        }
    }
    Ok(open)
}

impl Acceptor {
    /// Keeps its socket, to be given on.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub(super) fn offer(&self, sockets: &mut Sockets) -> Result {
        let Some(place) = self.place() else {
            return Ok(());
        };
        match self {
            Self::Tcp(listener) => sockets.offer(place, listener.as_fd(), None),
            Self::Unix(listener, file) => sockets.offer(place, listener.as_fd(), Some(file)),
        }
    }
}
