//! The listener for operators, on a thread of its own: what it says does not depend on workers that are busy or blocked.

mod access;
mod answer;
mod config;
mod listen;
mod options;
mod pulse;
mod query;
mod render;

use std::{
    net::TcpListener,
    os::fd::AsFd,
    sync::{Arc, mpsc},
};

use tokio::sync::watch;

use self::answer::Shared;
pub use self::options::Admin;
pub(super) use self::{
    config::Config,
    options::{Settled, settle},
    pulse::{Beating, Pulse, Workers},
};
use super::{
    accept::{self, Acceptor},
    handover::{Begin, Sockets},
    listener::{Line, Where},
    ops::{Job, Thread},
    place::Place,
    unix::UnixSocket,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
};

/// An admin listener that is listening. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    workers: Arc<Workers>,
    /// For people.
    place: String,
    stop: Stop,
}

/// Ends an admin listener before its server.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    at: Option<Place>,
    stop: watch::Sender<bool>,
}

impl Stop {
    /// Ends it if this holds for its place.
    pub(super) fn stop_if(&self, is_given: impl FnOnce(&Place) -> bool) {
        if self.at.as_ref().is_some_and(is_given) {
            self.stop.send_replace(true);
        }
    }
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Settled {
    /// Whether it would take connections that are meant for one of these listeners.
    ///
    /// # Errors
    ///
    /// Which one.
    pub(super) fn check_apart(&self, lines: &[Line]) -> Result {
        let Where::Place(own, _) = &self.at else {
            return Ok(());
        };
        let same = lines
            .iter()
            .find(|line| matches!(&line.at, Where::Place(other, _) if own.overlaps(other)));
        match same {
            None => Ok(()),
            Some(line) => Err(Error::config(format!(
                "the admin listener and the listener {line} have the same place, {own}: give one of them another port or path"
            ))),
        }
    }

    /// Binds the socket, and answers on a thread of its own for `gateway`, which `workers` workers serve. At a socket of another
    /// process it accepts from `begin` on. The thread does the other job as well, and ends when both have ended.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, or the thread cannot be started.
    pub(super) fn start<G: Dispatch>(
        self,
        gateway: G,
        config: Config,
        workers: usize,
        other: Option<Job>,
        sockets: &mut Sockets,
        begin: &Begin,
    ) -> Result<(Running, Thread)> {
        let mut begins = Begin::default();
        let (socket, place) = match self.at {
            Where::Place(Place::Tcp(address), by) => {
                let inherited = sockets.tcp(address).into_iter().next();
                let socket = match inherited {
                    Some(socket) => {
                        begins = begin.clone();
                        socket
                    }
                    None => accept::bind_alone(address, by)?,
                };
                let place = address_of(&socket);
                (Socket::Tcp(socket), place)
            }
            Where::Place(Place::Unix(path), _) => {
                let inherited = sockets.unix(&path)?;
                let socket = match inherited {
                    Some(socket) => {
                        begins = begin.clone();
                        socket
                    }
                    None => UnixSocket::bind(&path, self.unix_mode)?,
                };
                (Socket::Unix(socket), Place::Unix(path).to_string())
            }
            Where::Bound(socket) => {
                let place = address_of(&socket);
                (Socket::Tcp(socket), place)
            }
        };
        let workers = Arc::new(Workers::new(workers));
        let shared = Arc::new(Shared {
            gateway,
            workers: Arc::clone(&workers),
            token: self.token,
            config,
        });
        let (stop, stopped) = watch::channel(false);
        let at = socket.offer(sockets)?;
        let (starts, started) = mpsc::channel();
        let thread = Thread::start(move |runtime| {
            let opened = runtime.and_then(|runtime| {
                let _entered = runtime.enter();
                let acceptor = match &socket {
                    Socket::Tcp(socket) => Acceptor::tcp(socket),
                    Socket::Unix(socket) => Acceptor::unix(socket),
                };
                acceptor.map(|acceptor| (acceptor, runtime))
            });
            // The acceptor has a handle of its own.
            drop(socket);
            match opened {
                Ok((acceptor, runtime)) => {
                    // The one that asks waits for this.
                    let _ = starts.send(Ok(()));
                    runtime.block_on(async {
                        let other = other.map(tokio::spawn);
                        listen::listen(acceptor, shared, begins, stopped).await;
                        if let Some(other) = other {
                            // One that panics has said so.
                            let _ = other.await;
                        }
                    });
                    // What the other job has begun may still block.
                    runtime.shutdown_background();
                }
                Err(error) => {
                    let _ = starts.send(Err(error));
                }
            }
        })?;
        match started.recv() {
            Ok(Ok(())) => {
                let running = Running {
                    workers,
                    place,
                    stop: Stop { at, stop },
                };
                Ok((running, thread))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::config("the thread of the admin listener has ended")),
        }
    }
}

impl Socket {
    /// Keeps it, to be given on; its place.
    fn offer(&self, sockets: &mut Sockets) -> Result<Option<Place>> {
        let place = match self {
            Self::Tcp(socket) => {
                let place = socket.local_addr().ok().map(Place::Tcp);
                if let Some(place) = place.clone() {
                    sockets.offer(place, socket.as_fd(), None)?;
                }
                place
            }
            Self::Unix(socket) => {
                let place = Place::Unix(socket.path().to_owned());
                sockets.offer(place.clone(), socket.as_fd(), Some(socket))?;
                Some(place)
            }
        };
        Ok(place)
    }
}

fn address_of(socket: &TcpListener) -> String {
    match socket.local_addr() {
        Ok(address) => format!("http://{address}"),
        Err(_) => String::from("a socket"),
    }
}

impl Running {
    /// The workers, which have to join.
    pub(super) fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }

    /// Where it listens, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Ends it before its server does.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop.send_replace(true);
    }
}
