//! The end of a server: signals, and the connections that are still open.

use std::{
    collections::HashMap,
    future::{Future, pending, poll_fn},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    error::{Error, Result},
    handler::Dispatch,
    metrics::{Meter, Requests},
    sync::lock,
    watch::Watch,
};

/// Done at the first SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the process may not listen for signals. The runtime must be entered.
pub(super) fn signal() -> Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Error::io("cannot listen for signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(poll_fn(move |cx| {
        let terminated = terminate.poll_recv(cx).is_ready();
        if terminated || interrupt.poll_recv(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}

/// Done when the drain is to begin: so long after the shutdown, or at another signal, where `signals` are listened to.
///
/// From the shutdown on the gateway is not ready; it serves on, so that whoever asks can send nobody here any more.
pub(super) async fn due<G: Dispatch>(
    gateway: G,
    shutdown: impl Future<Output = ()>,
    delay: Duration,
    signals: bool,
) {
    shutdown.await;
    gateway.drain();
    if delay.is_zero() {
        return;
    }
    let again = async {
        match signals.then(signal) {
            Some(Ok(again)) => again.await,
            Some(Err(_)) | None => pending().await,
        }
    };
    // Either ends the wait.
    let _ = tokio::time::timeout(delay, again).await;
}

/// How long connections that are cut off may take to see it.
const CUT: Duration = Duration::from_secs(1);

/// The open connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    open: Mutex<HashMap<u64, Arc<Watch>>>,
    next: AtomicU64,
    draining: AtomicBool,
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
        if self.draining.load(Ordering::Relaxed) {
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

    /// Lets every connection end with its next response.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
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

    async fn all_gone(&self) {
        while !lock(&self.open).is_empty() {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
