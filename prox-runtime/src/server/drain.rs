//! The end of a server: signals, and the connections that are still open.

use std::{
    collections::HashMap,
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    Options, ShutdownFuture,
    connections::before,
    ending::{Leaving, OF_A_PERSON},
    handover::Given,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
    metrics::{Meter, Requests},
    sync::lock,
    watch::Watch,
};

/// Why a server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// SIGTERM, or the future of the user.
    Asked,
    /// SIGINT: a person waits.
    Person,
}

/// Waits until a server is to end. Each clone waits for the same end, so that one can go on after another was dropped.
#[derive(Clone)]
pub(super) struct Shutdown(Arc<Mutex<Waiting>>);

enum Waiting {
    For(Pin<Box<dyn Future<Output = Reason> + Send>>),
    Done(Reason),
}

impl Shutdown {
    /// The future that the user gave, or the first SIGTERM or SIGINT.
    ///
    /// # Errors
    ///
    /// When the process may not listen for signals. The runtime must be entered.
    pub(super) fn new(given: Option<ShutdownFuture>) -> Result<Self> {
        let waiting = match given {
            Some(given) => Waiting::For(Box::pin(async move {
                given.await;
                Reason::Asked
            })),
            None => Waiting::For(Box::pin(signal()?)),
        };
        Ok(Self(Arc::new(Mutex::new(waiting))))
    }
}

impl Future for Shutdown {
    type Output = Reason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reason> {
        let mut waiting = lock(&self.0);
        let reason = match &mut *waiting {
            Waiting::For(future) => ready!(future.as_mut().poll(cx)),
            Waiting::Done(reason) => *reason,
        };
        *waiting = Waiting::Done(reason);
        Poll::Ready(reason)
    }
}

/// Done at the first SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the process may not listen for signals. The runtime must be entered.
pub(super) fn signal() -> Result<impl Future<Output = Reason> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Error::io("cannot listen for signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(poll_fn(move |cx| {
        if terminate.poll_recv(cx).is_ready() {
            Poll::Ready(Reason::Asked)
        } else if interrupt.poll_recv(cx).is_ready() {
            Poll::Ready(Reason::Person)
        } else {
            Poll::Pending
        }
    }))
}

/// Done when the drain is to begin: `shutdown_delay` after the shutdown, or at another signal, where `signals` are listened to. It says
/// how long idle connections wait for their next request.
///
/// From the shutdown on the gateway is not ready; it serves on, so that whoever asks can send nobody here any more.
pub(super) fn due<G: Dispatch, S: Future<Output = Reason>>(
    gateway: G,
    shutdown: S,
    options: &Options,
    signals: bool,
) -> impl Future<Output = Duration> + use<G, S> {
    let (delay, idle) = (options.shutdown_delay, options.drain_idle);
    async move {
        let mut reason = shutdown.await;
        gateway.drain();
        let serves_on = (!delay.is_zero()).then(|| tracing::field::debug(delay));
        tracing::info!(target: "prox", serves_on, "draining");
        if !delay.is_zero() {
            let again = async {
                match signals.then(signal) {
                    Some(Ok(again)) => again.await,
                    Some(Err(_)) | None => pending().await,
                }
            };
            // Either ends the wait.
            if let Ok(again) = tokio::time::timeout(delay, again).await {
                reason = again;
            }
        }
        match reason {
            Reason::Asked => idle,
            Reason::Person => idle.min(OF_A_PERSON),
        }
    }
}

/// Tells how many connections were cut off, if any were.
pub(super) fn tell_cut(connections: usize) {
    if connections > 0 {
        tracing::warn!(target: "prox", connections, "cut off at the end of the drain");
    }
}

/// How a server ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Drain {
    /// How long idle connections wait for their next request.
    pub(super) idle: Duration,
    /// What another process has taken over, if a hand-over is the reason.
    pub(super) given: Option<Given>,
}

impl From<Duration> for Drain {
    fn from(idle: Duration) -> Self {
        Self { idle, given: None }
    }
}

/// A future that may be polled again once it is done.
#[derive(Debug)]
pub(super) struct Due<F> {
    future: Option<Pin<Box<F>>>,
    drain: Drain,
}

impl<F> Due<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future: Some(Box::pin(future)),
            drain: Drain::default(),
        }
    }

    /// What the future has said.
    pub(super) fn drain(&self) -> Drain {
        self.drain.clone()
    }
}

impl<F: Future<Output = Drain>> Future for Due<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(future) = &mut self.future {
            self.drain = ready!(future.as_mut().poll(cx));
            self.future = None;
        }
        Poll::Ready(())
    }
}

/// How long an idle connection that makes room for another one waits for its next request.
const MAKES_ROOM: Duration = Duration::from_millis(500);

/// How long connections that are cut off may take to see it.
const CUT: Duration = Duration::from_secs(1);

/// The open connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    open: Mutex<HashMap<u64, Arc<Watch>>>,
    next: AtomicU64,
    /// Known once the drain has begun.
    drain: OnceLock<Drain>,
    changed: Notify,
    /// Counts the requests.
    meter: Option<Arc<Meter>>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Tracked {
    tracker: Arc<Tracker>,
    number: u64,
    pub(super) watch: Arc<Watch>,
}

impl Tracked {
    /// How long the drain takes at most: `usual`, unless another process has taken over.
    pub(super) fn drain_timeout(&self, usual: Duration) -> Duration {
        let drain = self.tracker.drain.get();
        let given = drain.and_then(|drain| drain.given.as_ref());
        given.map_or(usual, Given::timeout)
    }

    /// How long it waits for its next request, now that it is to end.
    pub(super) fn leaves_after(&self, drain_timeout: Duration) -> Duration {
        match self.tracker.drain.get() {
            Some(drain) => Leaving::new(drain.idle, drain_timeout).of(self.number),
            None => MAKES_ROOM,
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let last = {
            let mut open = lock(&self.tracker.open);
            open.remove(&self.number);
            open.is_empty()
        };
        if last {
            self.tracker.changed.notify_one();
        }
    }
}

impl Tracker {
    /// For connections whose requests are counted there.
    pub(super) fn new(requests: Option<Arc<Requests>>) -> Self {
        Self {
            meter: requests.map(|requests| Arc::new(Meter::new(requests))),
            ..Self::default()
        }
    }

    /// Counts one more connection.
    pub(super) fn enter(self: &Arc<Self>) -> Tracked {
        let watch = Watch::new(self.meter.clone());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, Arc::clone(&watch));
        if self.drain.get().is_some() {
            watch.drain();
        }
        Tracked {
            tracker: Arc::clone(self),
            number,
            watch,
        }
    }

    /// Calls `look` with each of them.
    pub(super) fn each(&self, mut look: impl FnMut(&Arc<Watch>)) {
        for watch in lock(&self.open).values() {
            look(watch);
        }
    }

    /// Lets every connection end with its next response, for which idle connections wait as long as `drain` says.
    pub(super) fn drain(&self, drain: impl Into<Drain>) {
        let _ = self.drain.set(drain.into());
        let open: Vec<Arc<Watch>> = lock(&self.open).values().cloned().collect();
        for watch in open {
            watch.drain();
        }
    }

    /// Waits until all connections have ended, or cuts off those that have not after `limit`; says how many that were.
    pub(super) async fn finish(&self, limit: Duration) -> usize {
        if tokio::time::timeout(limit, self.all_gone()).await.is_ok() {
            return 0;
        }
        let left: Vec<Arc<Watch>> = lock(&self.open).values().cloned().collect();
        for watch in &left {
            watch.cut();
        }
        // A task that keeps its thread busy does not see that.
        let _ = tokio::time::timeout(CUT, self.all_gone()).await;
        left.len()
    }

    /// The same, for a server that ends so. After a hand-over it takes longer, until a signal comes.
    pub(super) async fn finish_as(&self, drain: &Drain, usual: Duration) -> usize {
        let Some(given) = &drain.given else {
            return self.finish(usual).await;
        };
        let hurried = pin!(async {
            given.hurried().await;
            tokio::time::sleep(usual).await;
        });
        match before(hurried, self.finish(given.timeout())).await {
            Some(cut) => cut,
            None => self.finish(Duration::ZERO).await,
        }
    }

    async fn all_gone(&self) {
        while !lock(&self.open).is_empty() {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
