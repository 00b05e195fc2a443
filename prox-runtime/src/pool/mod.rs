//! Connections to one endpoint that are kept open between requests.
//!
//! A connection of HTTP/1.1 has no task of its own: whoever uses it drives it, within the task of the client's connection.
//! So a response crosses no queue between tasks, and an upstream request ends when the client's does. One of HTTP/2 belongs
//! to nobody, and has a task (`http2`).

#[cfg(not(feature = "http2"))]
mod absent;
mod connection;
mod gate;
#[cfg(feature = "http2")]
mod http2;
mod patience;
mod socket;

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tokio::time::Instant;

#[cfg(not(feature = "http2"))]
pub(crate) use self::absent::{Download, Stream, Streams};
#[cfg(feature = "http2")]
use self::connection::is_repeatable;
pub(crate) use self::connection::{Connection, SendFailure, classify};
#[cfg(feature = "http2")]
pub(crate) use self::http2::{Download, Stream, Streams};
pub(crate) use self::patience::Patience;
pub(crate) use crate::framing::{HeadLimits, Leniency, OverLimit, over_limit};
use crate::{error::Error, stream::Stream as Bytestream, sync::Sharded, time::FOREVER};

/// How many connections are kept, and for how long; see [`ClusterBuilder::pool`](crate::ClusterBuilder::pool).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::PoolOptions;
/// use std::time::Duration;
///
/// let options = PoolOptions::new().max_idle(16).idle_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct PoolOptions {
    max_idle: Option<usize>,
    idle_timeout: Duration,
    lifetime: Option<Duration>,
    warm: usize,
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "only shared connections have streams")
    )]
    streams: usize,
    /// Set by the cluster, which has the options for it.
    heads: HeadLimits,
}

/// How large the head of a response may be, unless the user says otherwise.
pub(crate) const HEADS: HeadLimits = HeadLimits {
    fields: 256,
    bytes: 128 * 1024,
    lenient: Leniency {
        equal_lengths: false,
        folded_fields: false,
        bare_line_feeds: false,
    },
};

impl PoolOptions {
    /// The defaults: an idle connection is kept for 60 s, and their number has no limit of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps at most `count` idle connections for each endpoint and worker; 0 keeps none. No limit by default.
    ///
    /// Without a limit, the number of idle connections follows the load: each worker keeps as many as were in use at once
    /// within the last [`idle_timeout`](Self::idle_timeout), and closes the others. So a steady load opens no connections,
    /// whatever its size. With a limit, a connection that ends its work while `count` are idle is closed, and a load that needs
    /// more opens connections all the time.
    #[must_use]
    pub fn max_idle(mut self, count: usize) -> Self {
        self.max_idle = Some(count);
        self
    }

    /// Closes a connection that was idle for so long. It should be shorter than the upstream's own limit.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit.min(FOREVER);
        self
    }

    /// Uses a connection for no longer than this, so that requests spread over upstreams that were added behind one address;
    /// no limit by default.
    ///
    /// What is under way on an old connection is not cut.
    #[must_use]
    pub fn lifetime(mut self, limit: Duration) -> Self {
        self.lifetime = Some(limit.min(FOREVER));
        self
    }

    /// Opens so many connections to each endpoint when a worker starts, or when the endpoint is [found](crate::Discover), so that
    /// the first requests need not; none by default.
    ///
    /// No more than a [`max_idle`](Self::max_idle) are opened, one after the other, and one if the upstream speaks HTTP/2. They are
    /// kept like any other: those that nobody uses are closed after the [`idle_timeout`](Self::idle_timeout). An endpoint that
    /// cannot be reached is an event, and nothing waits for it.
    #[must_use]
    pub fn warm(mut self, connections: usize) -> Self {
        self.warm = connections;
        self
    }

    /// The same, with responses whose heads are within these limits.
    pub(crate) fn heads(self, heads: HeadLimits) -> Self {
        Self { heads, ..self }
    }

    /// How many connections are opened at the start.
    pub(crate) fn warmed(&self) -> usize {
        self.max_idle.map_or(self.warm, |most| self.warm.min(most))
    }

    /// Opens one more HTTP/2 connection, for each endpoint and worker, when each has so many streams under way; 64 by default.
    ///
    /// An upstream that allows fewer streams gets no more of them than it allows. It changes nothing without
    /// [`ClusterBuilder::http2`](crate::ClusterBuilder::http2).
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn streams(mut self, count: usize) -> Self {
        self.streams = count.max(1);
        self
    }

    /// Whether a connection that was opened then may be used on.
    fn is_young(&self, opened: Instant, now: Instant) -> bool {
        let age = now.saturating_duration_since(opened);
        self.lifetime.is_none_or(|lifetime| age < lifetime)
    }

    /// Whether a connection may be used that was kept until now.
    fn is_fresh(&self, connection: &Connection, now: Instant) -> bool {
        let rested = now.saturating_duration_since(connection.idle_since());
        rested < self.idle_timeout && self.is_young(connection.opened(), now)
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_idle: None,
            idle_timeout: Duration::from_mins(1),
            lifetime: None,
            warm: 0,
            streams: 64,
            heads: HEADS,
        }
    }
}

/// How many idle connections are looked at in one go: fewer than the 128 operations that the runtime grants a task at a time, after
/// which each socket looks as if nothing had come.
const PART: usize = 50;

/// A connection that has rested for so long gives back the memory that it does not need.
const RESTED: Duration = Duration::from_secs(1);

/// The idle connections to one endpoint.
///
/// The one used last is used first. So a connection is idle for as long as fewer were in use at once than when it was used last, and
/// closing those that were idle too long leaves as many as the peak of that time.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    options: PoolOptions,
    shards: Sharded<Shard>,
    streams: Option<Streams>,
    closed: AtomicBool,
    /// How many connections of HTTP/1.1 are open, those in use among them.
    open: Arc<AtomicUsize>,
}

/// An open connection of a pool, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The open connections to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// Those with a request under way.
    pub(crate) active: usize,
    /// Those that wait for one.
    pub(crate) idle: usize,
}

/// Is told the name of frames that an upstream has sent too many of.
pub(crate) type Flooded = Arc<dyn Fn(&'static str) + Send + Sync>;

/// What carries a request to an HTTP/2 upstream.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "http2"),
    expect(dead_code, reason = "nobody grants streams")
)]
pub(crate) enum Granted {
    /// A stream of a shared connection.
    Http2(Stream),
    /// The upstream chose HTTP/1.1; who asked first gets the connection on which it did.
    Http1(Option<Bytestream>),
}

/// An extension of a request: who is to be told the status of an interim response.
#[derive(Clone)]
pub(crate) struct Interim(
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "hyper tells it for HTTP/1.1")
    )]
    Arc<dyn Fn(StatusCode) + Send + Sync>,
);

impl Interim {
    pub(crate) fn new(tell: impl Fn(StatusCode) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    #[cfg(feature = "http2")]
    fn tell(&self, status: StatusCode) {
        (self.0)(status);
    }
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interim")
    }
}

#[derive(Debug, Default)]
struct Shard {
    /// Boxed, since a connection is large, and moves from hand to hand.
    #[expect(clippy::vec_box)]
    idle: Vec<Box<Connection>>,
    swept: bool,
}

impl Pool {
    pub(crate) fn new(options: PoolOptions) -> Self {
        Self {
            options,
            shards: Sharded::default(),
            streams: None,
            closed: AtomicBool::new(false),
            open: Arc::default(),
        }
    }

    /// Speaks HTTP/1.1 on a stream that was just opened.
    ///
    /// # Errors
    ///
    /// When the stream is of no use already.
    pub(crate) async fn speak(&self, stream: Bytestream) -> Result<Box<Connection>, Error> {
        let mut connection = Connection::new(stream, self.heads()).await?;
        connection.counted = Some(Counted::new(&self.open));
        Ok(connection)
    }

    /// How large the head of a response may be.
    fn heads(&self) -> HeadLimits {
        self.options.heads
    }

    /// Speaks HTTP/2; a connection must be there within `connect_timeout`. One that had to be closed is told to `flooded`, with
    /// the name of the frames of which there were too many.
    pub(crate) fn http2(mut self, connect_timeout: Duration, flooded: Flooded) -> Self {
        self.streams = Streams::new(self.options.clone(), connect_timeout, flooded);
        self
    }

    /// The shared connections of an HTTP/2 upstream.
    pub(crate) fn streams(&self) -> Option<&Streams> {
        self.streams.as_ref()
    }

    /// A kept connection, if there is one that is not known to be dead, and not too old: the sweeper may be late.
    pub(crate) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        let mut shard = self.shards.local();
        while let Some(connection) = shard.idle.pop() {
            if connection.is_open() && self.options.is_fresh(&connection, now) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request of the worker that opened it, unless there are as many as are allowed.
    pub(crate) fn put(self: &Arc<Self>, mut connection: Box<Connection>) {
        connection.rest();
        if !self
            .options
            .is_young(connection.opened(), connection.idle_since())
        {
            return;
        }
        // A request may end on another thread than it began on; its connection goes back to where it was taken from, or the
        // shards would drift apart, and one of them would open connections while another keeps them.
        let place = connection.home();
        let mut shard = self.shards.at(place);
        let is_full = |most| shard.idle.len() >= most;
        // Read under the lock, so that nothing is left behind when the pool is closed.
        let closed = self.closed.load(Ordering::Relaxed);
        if closed || self.options.max_idle.is_some_and(is_full) {
            return;
        }
        shard.idle.push(connection);
        if !shard.swept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            shard.swept = true;
            runtime.spawn(Sweeper::new(self, place).run());
        }
    }

    /// How many connections of HTTP/1.1 wait for a request.
    pub(crate) fn idle(&self) -> usize {
        self.shards.all().map(|shard| shard.idle.len()).sum()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> Open {
        let idle = self.idle();
        // One that is taken or closed in between is in neither number.
        let active = self.open.load(Ordering::Relaxed).saturating_sub(idle);
        let shared = self
            .streams
            .as_ref()
            .map_or_else(Open::default, Streams::connections);
        Open {
            active: active + shared.active,
            idle: idle + shared.idle,
        }
    }

    /// Closes the idle connections, and keeps none from now on: the endpoint is not in use any more. What is under way goes on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        for mut shard in self.shards.all() {
            shard.idle.clear();
        }
        if let Some(streams) = &self.streams {
            streams.close();
        }
    }

    /// Closes what is dead or too old of the next few connections of a shard, those from number `from` on.
    fn sweep(&self, place: usize, from: usize, now: Instant) -> Swept {
        let mut shard = self.shards.at(place);
        let to = shard.idle.len().min(from.saturating_add(PART));
        let is_spent = |connection: &mut Box<Connection>| {
            if now.saturating_duration_since(connection.idle_since()) >= RESTED {
                connection.slim();
            }
            !connection.is_alive() || !self.options.is_fresh(connection, now)
        };
        let spent: Vec<_> = shard.idle.extract_if(from.min(to)..to, is_spent).collect();
        let next = to - spent.len();
        let swept = if next < shard.idle.len() {
            Swept::UpTo(next)
        } else if next > 0 {
            Swept::All
        } else {
            *shard = Shard::default();
            Swept::Empty
        };
        drop(shard);
        // Closed without the lock, for which requests may wait.
        drop(spent);
        swept
    }
}

/// How far the sweeper has come.
#[derive(Debug, PartialEq, Eq)]
enum Swept {
    /// The connections from this number on are still to be looked at.
    UpTo(usize),
    /// There are some left, and all of them are well.
    All,
    /// There are none left, and no sweeper is needed.
    Empty,
}

/// Looks after the idle connections of one shard, on whatever thread; ends by itself when there are none, or when the pool is gone.
///
/// An idle connection is driven by nobody, so this is also where a close by the upstream is seen when no request comes.
struct Sweeper {
    pool: Weak<Pool>,
    place: usize,
    pause: Duration,
    /// Whether the shard knows that it has no sweeper.
    done: bool,
}

impl Sweeper {
    fn new(pool: &Arc<Pool>, place: usize) -> Self {
        let pause = pool.options.idle_timeout / 4;
        Self {
            pool: Arc::downgrade(pool),
            place,
            pause: pause.clamp(Duration::from_millis(50), Duration::from_secs(1)),
            done: false,
        }
    }

    async fn run(mut self) {
        let mut from = 0;
        loop {
            if from == 0 {
                tokio::time::sleep(self.pause).await;
            } else {
                tokio::task::yield_now().await;
            }
            let Some(pool) = self.pool.upgrade() else {
                return;
            };
            from = match pool.sweep(self.place, from, Instant::now()) {
                Swept::UpTo(next) => next,
                Swept::All => 0,
                Swept::Empty => {
                    self.done = true;
                    return;
                }
            };
        }
    }
}

impl Drop for Sweeper {
    /// The runtime that it ran on has ended, as one does that served an embedded gateway for a while: the next connection that is
    /// kept needs another sweeper.
    fn drop(&mut self) {
        if !self.done
            && let Some(pool) = self.pool.upgrade()
        {
            pool.shards.at(self.place).swept = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A pool that keeps one connection, the connection's other end, and the time.
    async fn kept(options: PoolOptions) -> (Arc<Pool>, UnixStream, Instant) {
        let (near, far) = UnixStream::pair().unwrap();
        let pool = Arc::new(Pool::new(options));
        let connection = Connection::new(near.into(), HEADS).await.unwrap();
        pool.put(connection);
        (pool, far, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_rested_too_long_is_not_used_though_nobody_has_swept() {
        let (pool, _far, now) = kept(PoolOptions::new().idle_timeout(LIMIT)).await;
        let connection = pool.take(now + LIMIT / 2).unwrap();
        pool.put(connection);
        assert!(pool.take(now + LIMIT).is_none());
        assert!(pool.take(now).is_none(), "it is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_too_old_is_not_used_though_nobody_has_swept() {
        let (pool, _far, now) = kept(PoolOptions::new().lifetime(LIMIT)).await;
        let connection = pool.take(now + LIMIT / 2).unwrap();
        pool.put(connection);
        assert!(pool.take(now + LIMIT).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_without_an_end_is_none() {
        let options = PoolOptions::new().idle_timeout(Duration::MAX);
        let (pool, _far, now) = kept(options.lifetime(Duration::MAX)).await;
        let swept = pool.sweep(pool.shards.place(), 0, now + LIMIT);
        assert_eq!(swept, Swept::All);
        assert!(pool.take(now + LIMIT).is_some());
    }

    /// A pool with so many connections in it, and their other ends.
    async fn crowd(options: PoolOptions, count: usize) -> (Arc<Pool>, Vec<UnixStream>) {
        let pool = Arc::new(Pool::new(options));
        let mut ends = Vec::new();
        for _ in 0..count {
            let (near, far) = UnixStream::pair().unwrap();
            pool.put(Connection::new(near.into(), HEADS).await.unwrap());
            ends.push(far);
        }
        (pool, ends)
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_are_kept_as_were_in_use_at_once_within_the_idle_timeout() {
        const PEAK: usize = 5 * PART + 44;
        let (pool, _ends) = crowd(PoolOptions::new().idle_timeout(LIMIT), PEAK).await;
        // A crowd that comes together once in a while, and of which few are there in between.
        for round in 0..20 {
            let count = if round % 4 == 0 { PEAK } else { 3 };
            let take = |_| pool.take(Instant::now()).expect("it is not opened anew");
            let taken: Vec<_> = (0..count).map(take).collect();
            for connection in taken {
                pool.put(connection);
            }
            tokio::time::sleep(LIMIT / 5).await;
        }
        assert_eq!(pool.idle(), PEAK);
        for _ in 0..8 {
            let taken: Vec<_> = (0..3).map(|_| pool.take(Instant::now()).unwrap()).collect();
            for connection in taken {
                pool.put(connection);
            }
            tokio::time::sleep(LIMIT / 5).await;
        }
        assert_eq!(pool.idle(), 3, "the peak is over");
        tokio::time::sleep(2 * LIMIT).await;
        assert_eq!(pool.idle(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_was_set_is_never_exceeded() {
        let (pool, _ends) = crowd(PoolOptions::new().max_idle(2), 10).await;
        assert_eq!(pool.idle(), 2);
        let (pool, _ends) = crowd(PoolOptions::new().max_idle(0), 10).await;
        assert_eq!(pool.idle(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_the_upstream_has_closed_are_found_among_many() {
        let (pool, mut ends) = crowd(PoolOptions::new(), 6 * PART).await;
        ends.truncate(PART);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(pool.idle(), PART);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_goes_back_to_the_thread_that_opened_it() {
        let (pool, _ends) = crowd(PoolOptions::new(), 1).await;
        let home = pool.shards.place();
        let connection = pool.take(Instant::now()).unwrap();
        let other = Arc::clone(&pool);
        std::thread::scope(|scope| scope.spawn(move || other.put(connection)).join()).unwrap();
        assert_eq!(pool.shards.at(home).idle.len(), 1);
    }

    #[test]
    fn connections_are_looked_after_when_the_first_runtime_has_ended() {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap()
        };
        let options = PoolOptions::new().idle_timeout(LIMIT);
        let (pool, _ends) = runtime().block_on(crowd(options.clone(), 1));
        runtime().block_on(async {
            let (near, _far) = UnixStream::pair().unwrap();
            pool.put(Connection::new(near.into(), HEADS).await.unwrap());
            tokio::time::sleep(2 * LIMIT).await;
        });
        assert_eq!(pool.idle(), 0);
    }
}
