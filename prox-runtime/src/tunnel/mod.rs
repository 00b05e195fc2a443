//! What becomes of an exchange when both sides have agreed to speak another protocol: bytes, both ways, until the end.
//!
//! Inside of a gateway an upgrade always has the form of HTTP/1.1, whatever the two sides speak: a `GET` with
//! `Connection: upgrade` and `Upgrade`, and the answer `101`. Whoever is able to carry a tunnel marks the request as
//! [`Switchable`]; the response then brings the upstream's stream along as [`Switched`], past all layers, and closes it when
//! one of them drops it.

mod splice;

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) use self::splice::{Ended, Side, Splice};
use crate::{stream::Stream, sync::lock};

/// Marks a request whose connection can become a tunnel; without it nothing is ever switched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switchable;

/// The upstream's side of a tunnel, in the extensions of the `101` that agreed to it; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Switched(Arc<Mutex<Option<Tunnel>>>);

impl Switched {
    pub(crate) fn new(tunnel: Tunnel) -> Self {
        Self(Arc::new(Mutex::new(Some(tunnel))))
    }

    /// The tunnel, for the first who asks.
    pub(crate) fn take(&self) -> Option<Tunnel> {
        lock(&self.0).take()
    }

    /// Has `tell` called when the tunnel has ended. How it did is not known when it is dropped before its end.
    pub(crate) fn at_end(&self, tell: impl FnOnce(Moved, Option<Ended>) + Send + 'static) {
        if let Some(tunnel) = &mut *lock(&self.0) {
            tunnel.end.tell.push(Box::new(tell));
        }
    }
}

/// A stream to an upstream that waits to be joined with one to a client.
pub(crate) struct Tunnel {
    upstream: Stream,
    idle: Duration,
    end: AtEnd,
    guard: Box<dyn Any + Send>,
}

impl Tunnel {
    /// A tunnel to `upstream`, which ends when nothing has moved for `idle`; `guard` is kept to its end.
    pub(crate) fn new(upstream: Stream, idle: Duration, guard: impl Send + 'static) -> Self {
        Self {
            upstream,
            idle,
            end: AtEnd::default(),
            guard: Box::new(guard),
        }
    }

    /// Joins it with the client.
    pub(crate) fn join(self, client: Stream) -> Splice {
        Splice::new(client, self)
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("upstream", &self.upstream)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// How many bytes a tunnel has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// From the client to the upstream.
    pub(crate) up: u64,
    /// From the upstream to the client.
    pub(crate) down: u64,
}

type Tell = Box<dyn FnOnce(Moved, Option<Ended>) + Send>;

/// Tells how much was moved when it is dropped.
#[derive(Default)]
struct AtEnd {
    moved: Moved,
    ended: Option<Ended>,
    tell: Vec<Tell>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        for tell in self.tell.drain(..) {
            tell(self.moved, self.ended);
        }
    }
}

#[cfg(test)]
mod tests;
