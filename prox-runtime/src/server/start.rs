//! The start of a server: the sockets that it gets from others, and what it reports when it serves.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    admin::{Running, Workers},
    drain::Drain,
    handover::{self, Begin, Handing, Hurry, Settled, Sockets, Takeover},
    listener::{Line, Where},
    notify::{Notify, Watchdog, watchdog_limit},
};
use crate::{error::Result, handler::Dispatch};

/// A server that is about to serve.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) sockets: Sockets,
    takeover: Option<Takeover>,
    notify: Notify,
    /// Within which time systemd wants to hear that the process lives.
    limit: Option<Duration>,
}

/// A drain that is to begin.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) drain: Drain,
    /// After a hand-over.
    pub(super) hurry: Option<Hurry>,
    /// Kept until the server has ended.
    pub(super) watchdog: Option<Watchdog>,
}

impl Start {
    /// Takes the sockets of systemd, unless the program has done so by itself, and those of the process that serves. This may block
    /// for a few seconds.
    ///
    /// # Errors
    ///
    /// When the sockets cannot be taken.
    pub(super) fn new(handover: Option<Settled>, takes_systemds: bool) -> Result<Self> {
        let mut sockets = Sockets::default();
        if takes_systemds {
            handover::activated(&mut sockets)?;
        }
        let takeover = handover
            .map(|handover| handover.take(&mut sockets))
            .transpose()?;
        let limit = takeover
            .as_ref()
            .map_or_else(watchdog_limit, Takeover::watchdog);
        Ok(Self {
            sockets,
            takeover,
            notify: Notify::from_env(),
            limit,
        })
    }

    /// When listeners may accept.
    pub(super) fn begin(&self) -> Begin {
        let takeover = self.takeover.as_ref();
        takeover.map(Takeover::begin).unwrap_or_default()
    }

    /// Tells systemd of the shutdown, when it comes.
    pub(super) fn stops<S: Future>(&self, shutdown: S) -> impl Future<Output = S::Output> + use<S> {
        self.notify.stops(shutdown)
    }

    /// The workers, if the admin listener or systemd asks whether they answer.
    pub(super) fn workers(&self, admin: Option<&Running>, count: usize) -> Option<Arc<Workers>> {
        match admin {
            Some(admin) => Some(Arc::clone(admin.workers())),
            None => self.limit.map(|_| Arc::new(Workers::new(count))),
        }
    }

    /// The server serves, or does when a take-over has ended. The future is done when its drain is to begin, since `due` is, or another
    /// process has taken over. The runtime must be entered.
    pub(super) fn serves<G: Dispatch, F: Future<Output = Duration>>(
        self,
        gateway: &G,
        due: F,
        admin: Option<&Running>,
        workers: Option<Arc<Workers>>,
    ) -> impl Future<Output = Due> + use<G, F> {
        let watching = self.limit.zip(workers);
        let watchdog = watching.map(|(limit, workers)| self.notify.watchdog(limit, workers));
        if !self.takeover.as_ref().is_some_and(Takeover::is_second) {
            self.notify.ready(false);
        }
        let handing: Option<Handing> = self
            .takeover
            .map(|takeover| takeover.start(gateway, self.sockets, &self.notify));
        let stop = admin.map(Running::stop);
        async move {
            let (drain, hurry) = handover::due(handing, due, stop).await;
            // After a hand-over another process is the main one.
            let watchdog = watchdog.filter(|_| drain.given.is_none());
            Due {
                drain,
                hurry,
                watchdog,
            }
        }
    }
}

/// Whether the sockets of systemd are for these listeners: a program may have bound its own to them.
pub(super) fn takes_systemds(lines: &[Line]) -> bool {
    !lines.iter().any(|line| matches!(line.at, Where::Bound(_)))
}
