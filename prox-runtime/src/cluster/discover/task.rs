//! The task that finds the endpoints of a cluster, and who waits for the first of them.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time};

use super::{EndpointSet, Erased, Source};
use crate::cluster::{Core, background::Background, rng::Rng};

/// How long nobody asks again after the first failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long at most.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How much earlier or later than that it is, in percent, so that gateways do not ask in step.
const JITTER: u32 = 10;

/// How a cluster finds its endpoints.
#[derive(Debug)]
pub(in crate::cluster) struct Discovery {
    discover: Arc<dyn Erased>,
    background: Background,
    /// The number of sets there were; those who look after endpoints are told.
    sets: watch::Sender<u64>,
    /// The same as whether there was one, to be read for each request.
    found: AtomicBool,
    failing: AtomicBool,
}

impl Discovery {
    pub(in crate::cluster) fn new(source: Source) -> Self {
        Self {
            discover: source.discover,
            background: Background::default(),
            sets: watch::Sender::new(0),
            found: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        }
    }

    /// Begins, unless it is running already, or no runtime is here to run it.
    pub(in crate::cluster) fn start(&self, core: &Arc<Core>) {
        self.background
            .start(|| run(Arc::downgrade(core), Arc::clone(&self.discover)));
    }

    /// Whether there was a set.
    pub(in crate::cluster) fn has_found(&self) -> bool {
        self.found.load(Ordering::Acquire)
    }

    /// Waits for the first set, for so long.
    pub(in crate::cluster) async fn first(&self, limit: Duration) {
        let mut sets = self.sets.subscribe();
        // The sender is here, so that it is the set or the end of the time.
        let _ = time::timeout(limit, sets.wait_for(|&sets| sets > 0)).await;
    }

    /// Tells whoever wants to know of each set.
    pub(in crate::cluster) fn subscribe(&self) -> watch::Receiver<u64> {
        self.sets.subscribe()
    }

    /// A set is there. Whether there was none for a while because of failures.
    pub(in crate::cluster) fn succeeded(&self) -> bool {
        self.found.store(true, Ordering::Release);
        self.sets.send_modify(|sets| *sets += 1);
        self.failing.swap(false, Ordering::Relaxed)
    }

    /// There is no set. Whether that is news.
    pub(in crate::cluster) fn failed(&self) -> bool {
        !self.failing.swap(true, Ordering::Relaxed)
    }
}

async fn run(core: Weak<Core>, discover: Arc<dyn Erased>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let set = Arc::new(EndpointSet::new(core.clone()));
        let Some(reason) = failure(Arc::clone(&discover), Arc::clone(&set)).await else {
            // There is no more to find. This task stays, so that nobody begins anew.
            return std::future::pending().await;
        };
        if set.was_set.load(Ordering::Relaxed) {
            pause = FIRST_PAUSE;
        }
        match core.upgrade() {
            Some(core) => core.undiscovered(&reason),
            None => return,
        }
        time::sleep(Rng::with_local(|rng| rng.around(pause, JITTER))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs it to its end, in a task of its own, so that a panic in it is a failure and not the end of all; none if it has ended
/// well.
async fn failure(discover: Arc<dyn Erased>, set: Arc<EndpointSet>) -> Option<String> {
    // Dropping it ends what is in it.
    let mut task = JoinSet::new();
    let known = Arc::clone(&set);
    task.spawn(async move { discover.erased(&known).await });
    match task.join_next().await {
        Some(Ok(Ok(()))) if set.was_set.load(Ordering::Relaxed) => None,
        Some(Ok(Ok(()))) => Some("it has ended without endpoints".into()),
        Some(Ok(Err(reason))) if reason.is_empty() => Some("it failed".into()),
        Some(Ok(Err(reason))) => Some(reason),
        Some(Err(_)) | None => Some("it panicked".into()),
    }
}
