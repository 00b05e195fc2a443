//! The connections of clients while a server runs: how many there are, how many there may be, and what is told of them.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{drain::Tracker, refusals::Refusals};
use crate::{
    metrics::{
        ACTIVE_REQUESTS, CONNECTIONS, CONNECTIONS_REFUSED, CONNECTIONS_WAITED, Measured,
        OPEN_CONNECTIONS, Samples, TUNNELS, descriptors,
    },
    observe::{Refusal, Refused, seldom::Seldom},
    sync::lock,
    watch::{Phase, Watch},
};

/// Descriptors that are left for all that is no connection: listeners, files, timers, name servers.
const RESERVED: usize = 64;

/// The least that is allowed by default, however few descriptors there are.
const LEAST: usize = 16;

/// How often idle connections are asked to leave while others wait.
const ROOM_AGAIN: Duration = Duration::from_millis(100);

/// How many of them at a time: one of so many, and at most so many.
const ROOM_SHARE: usize = 8;
const ROOM_MOST: usize = 32;

/// What is known of the connections of a server's clients: [`Server::connections`](crate::Server::connections). Clones
/// tell the same.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # fn doc(gateway: prox::Gateway) -> prox::Result {
/// use prox::{Refusal, Server};
///
/// let server = Server::new(gateway);
/// let connections = server.connections();
/// let report = move || {
///     for reason in Refusal::ALL {
///         println!("prox_connections_refused_total{{reason=\"{reason}\"}} {}", connections.refused(reason));
///     }
/// };
/// # drop(report);
/// server.run()
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    limit: AtomicUsize,
    open: AtomicUsize,
    /// Those of them that speak TLS.
    open_tls: AtomicUsize,
    accepted: AtomicU64,
    waiting: AtomicUsize,
    full: AtomicU64,
    floods: AtomicU64,
    refused: Refusals,
    /// A connection has ended while another one waits.
    freed: Notify,
    /// Those of each listener.
    trackers: Mutex<Vec<Weak<Tracker>>>,
    /// Tells once in a while that no connection can be accepted.
    told: Seldom,
    made_room: Mutex<Option<Instant>>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            open: AtomicUsize::new(0),
            open_tls: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            full: AtomicU64::new(0),
            floods: AtomicU64::new(0),
            refused: Refusals::default(),
            freed: Notify::new(),
            trackers: Mutex::default(),
            told: Seldom::default(),
            made_room: Mutex::default(),
        }
    }
}

/// A place for one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    counts: Arc<Counts>,
    speaks_tls: bool,
}

impl Place {
    fn new(counts: &Arc<Counts>) -> Self {
        Self {
            counts: Arc::clone(counts),
            speaks_tls: false,
        }
    }

    /// The connection speaks TLS.
    pub(super) fn speaks_tls(&mut self) {
        if !std::mem::replace(&mut self.speaks_tls, true) {
            self.counts.open_tls.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.speaks_tls {
            self.counts.open_tls.fetch_sub(1, Relaxed);
        }
        self.counts.open.fetch_sub(1, Relaxed);
        if self.counts.waiting.load(Relaxed) > 0 {
            self.counts.freed.notify_one();
        }
    }
}

impl Measured for Counts {
    fn measure(&self, samples: &mut Samples) {
        let trackers: Vec<_> = lock(&self.trackers)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let (mut requests, mut tunnels) = (0, 0);
        for tracker in trackers {
            tracker.each(|watch| {
                let (more_requests, more_tunnels) = watch.requests_and_tunnels();
                requests += more_requests;
                tunnels += more_tunnels;
            });
        }
        samples.add(&ACTIVE_REQUESTS, &[], requests);
        samples.add(&TUNNELS, &[], tunnels);
        let secure = self.open_tls.load(Relaxed);
        let others = self.open.load(Relaxed).saturating_sub(secure);
        samples.add(&OPEN_CONNECTIONS, &[("tls", "false")], others);
        samples.add(&OPEN_CONNECTIONS, &[("tls", "true")], secure);
        samples.add(&CONNECTIONS, &[], self.accepted.load(Relaxed));
        samples.add(&CONNECTIONS_WAITED, &[], self.full.load(Relaxed));
        for reason in Refusal::ALL {
            let count = self.refused.count(reason);
            samples.add(&CONNECTIONS_REFUSED, &[("reason", reason.name())], count);
        }
    }
}

impl Connections {
    /// What is counted of them.
    pub(super) fn measured(&self) -> Arc<dyn Measured> {
        Arc::clone(&self.0) as Arc<dyn Measured>
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Relaxed)
    }

    /// How many connections may be open, if there is a limit: see [`Server::max_connections`](crate::Server::max_connections).
    /// It is known once the server runs.
    pub fn limit(&self) -> Option<usize> {
        Some(self.0.limit.load(Relaxed)).filter(|limit| *limit < usize::MAX)
    }

    /// How many connections had to wait because the limit was reached, or because the process had no descriptor left.
    pub fn waited(&self) -> u64 {
        self.0.full.load(Relaxed)
    }

    /// How many connections of HTTP/2 were closed because the client sent too many frames that the gateway has work with
    /// and that no request, no message and no data called for.
    pub fn floods(&self) -> u64 {
        self.0.floods.load(Relaxed)
    }

    /// How many connections, or requests on them, were refused for this reason before they came to the gateway.
    ///
    /// Requests that the gateway refuses are not counted here: they have a line of the access log like any other.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.0.refused.count(reason)
    }

    /// Counts a connection that was accepted.
    pub(super) fn accepted(&self) {
        self.0.accepted.fetch_add(1, Relaxed);
    }

    /// Counts a refusal, and tells it.
    pub(super) fn refuse(&self, refused: &Refused) {
        self.0.refused.add(refused);
    }

    #[cfg(feature = "http2")]
    pub(super) fn flooded(&self) {
        self.0.floods.fetch_add(1, Relaxed);
    }

    /// Sets the limit: what the user has said, or what the descriptors of the process allow.
    pub(super) fn bound(&self, limit: Option<usize>) {
        let descriptors = descriptors();
        if let (Some(limit), Some(descriptors)) = (limit, descriptors)
            && limit.saturating_add(RESERVED) > descriptors
        {
            tracing::warn!(target: "prox", limit, descriptors, "max_connections is more than the process has descriptors for");
        }
        let limit = limit.or(descriptors.map(allowed)).unwrap_or(usize::MAX);
        self.0.limit.store(limit, Relaxed);
    }

    /// Counts the connections of one more listener.
    pub(super) fn add(&self, tracker: &Arc<Tracker>) {
        let mut trackers = lock(&self.0.trackers);
        trackers.retain(|tracker| tracker.strong_count() > 0);
        trackers.push(Arc::downgrade(tracker));
    }

    /// A place, if there is one.
    pub(super) fn enter(&self) -> Option<Place> {
        let limit = self.0.limit.load(Relaxed);
        let entered = self
            .0
            .open
            .try_update(Relaxed, Relaxed, |open| (open < limit).then_some(open + 1));
        entered.is_ok().then(|| Place::new(&self.0))
    }

    /// Waits for a place, while idle connections make room.
    pub(super) async fn wait(&self) -> Place {
        self.is_full("the limit is reached");
        let _waiting = Waiting::new(&self.0);
        loop {
            let mut freed = pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if let Some(place) = self.enter() {
                return place;
            }
            self.make_room();
            let _ = tokio::time::timeout(ROOM_AGAIN, freed).await;
        }
    }

    /// A connection has to wait.
    pub(super) fn is_full(&self, reason: &str) {
        self.0.full.fetch_add(1, Relaxed);
        if self.0.told.again().is_some() {
            let (open, limit) = (self.open(), self.limit());
            tracing::warn!(target: "prox", open, limit, reason, "clients have to wait for a connection");
        }
    }

    /// Asks those to leave that have been idle for longest. A request that is on its way is still answered.
    pub(super) fn make_room(&self) {
        let now = Instant::now();
        {
            let mut made_room = lock(&self.0.made_room);
            if made_room.is_some_and(|made| now < made + ROOM_AGAIN) {
                return;
            }
            *made_room = Some(now);
        }
        let trackers: Vec<_> = lock(&self.0.trackers)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let mut idle: Vec<(Instant, Arc<Watch>)> = Vec::new();
        for tracker in trackers {
            tracker.each(|watch| {
                if watch.phase() == Phase::Idle && !watch.is_draining() {
                    idle.push((watch.since(), Arc::clone(watch)));
                }
            });
        }
        let count = (idle.len() / ROOM_SHARE).clamp(1, ROOM_MOST);
        idle.sort_unstable_by_key(|(since, _)| *since);
        for (_, watch) in idle.iter().take(count) {
            watch.drain();
        }
    }
}

/// Counts those who wait.
struct Waiting<'a>(&'a Counts);

impl<'a> Waiting<'a> {
    fn new(counts: &'a Counts) -> Self {
        counts.waiting.fetch_add(1, Relaxed);
        Self(counts)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// Runs `future` until `due` is ready, which it is asked first.
pub(super) async fn before<F: Future>(
    due: std::pin::Pin<&mut impl Future<Output = ()>>,
    future: F,
) -> Option<F::Output> {
    let mut due = due;
    let mut future = pin!(future);
    poll_fn(|cx| {
        if due.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Half of the descriptors, since each request may need a connection to an upstream as well.
fn allowed(descriptors: usize) -> usize {
    (descriptors.saturating_sub(RESERVED) / 2).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(limit: usize) -> Connections {
        let connections = Connections::default();
        connections.0.limit.store(limit, Relaxed);
        connections
    }

    #[test]
    fn half_of_the_descriptors_are_for_clients() {
        assert_eq!(
            [0, 64, 1024, 1 << 20].map(allowed),
            [LEAST, LEAST, 480, 524_256]
        );
    }

    #[test]
    fn there_are_as_many_places_as_the_limit_says() {
        let connections = connections(2);
        let first = connections.enter();
        let second = connections.enter();
        assert!(first.is_some() && second.is_some() && connections.enter().is_none());
        assert_eq!(connections.open(), 2);
        drop(first);
        assert!(connections.enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_becomes_free_is_given_on() {
        let connections = connections(1);
        let first = connections.enter().unwrap();
        let waits = connections.clone();
        let second = tokio::spawn(async move { waits.wait().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!second.is_finished());
        let began = Instant::now();
        drop(first);
        drop(second.await.unwrap());
        assert!(began.elapsed() < ROOM_AGAIN);
        assert_eq!((connections.open(), connections.waited()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_have_been_idle_for_longest_make_room() {
        let connections = connections(1);
        let tracker = Arc::new(Tracker::default());
        connections.add(&tracker);
        let mut open = Vec::new();
        for _ in 0..10 {
            open.push(tracker.enter());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let exchange = open[0].watch.exchange();
        connections.make_room();
        // Not again at once.
        connections.make_room();
        let asked: Vec<bool> = open.iter().map(|one| one.watch.is_draining()).collect();
        assert_eq!(asked.iter().position(|asked| *asked), Some(1));
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 1);
        drop(exchange);
        tokio::time::sleep(ROOM_AGAIN).await;
        connections.make_room();
        assert!(open[2].watch.is_draining());
    }
}
