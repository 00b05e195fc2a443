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
#[derive(Clone, Debug, Default)]
pub(super) struct Tracker(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Mutex<HashMap<u64, Arc<Watch>>>,
    next: AtomicU64,
    draining: AtomicBool,
    changed: Notify,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Tracked {
    tracker: Tracker,
    number: u64,
    pub(super) watch: Arc<Watch>,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let last = {
            let mut open = lock(&self.tracker.0.open);
            open.remove(&self.number);
            open.is_empty()
        };
        if last {
            self.tracker.0.changed.notify_one();
        }
    }
}

impl Tracker {
    /// Counts one more connection.
    pub(super) fn enter(&self) -> Tracked {
        let watch = Watch::new();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.open).insert(number, Arc::clone(&watch));
        if self.0.draining.load(Ordering::Relaxed) {
            watch.drain();
        }
        Tracked {
            tracker: self.clone(),
            number,
            watch,
        }
    }

    /// Lets every connection end with its next response.
    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
        let open: Vec<Arc<Watch>> = lock(&self.0.open).values().cloned().collect();
        for watch in open {
            watch.drain();
        }
    }

    /// Waits until all connections have ended, or cuts off those that have not after `limit`; says how many that were.
    pub(super) async fn finish(&self, limit: Duration) -> usize {
        if tokio::time::timeout(limit, self.all_gone()).await.is_ok() {
            return 0;
        }
        let left: Vec<Arc<Watch>> = lock(&self.0.open).values().cloned().collect();
        for watch in &left {
            watch.cut();
        }
        // A task that keeps its thread busy does not see that.
        let _ = tokio::time::timeout(CUT, self.all_gone()).await;
        left.len()
    }

    async fn all_gone(&self) {
        while !lock(&self.0.open).is_empty() {
            self.0.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
