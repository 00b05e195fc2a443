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
mod socket;

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
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
pub(crate) use crate::framing::{HeadLimits, OverLimit, over_limit};
use crate::{stream::Stream as Bytestream, sync::Sharded, time::FOREVER};

/// How many connections are kept, and for how long; see [`ClusterBuilder::pool`](crate::ClusterBuilder::pool).
///
/// ```
/// use prox_runtime::PoolOptions;
/// use std::time::Duration;
///
/// let options = PoolOptions::new().max_idle(16).idle_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct PoolOptions {
    max_idle: usize,
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
};

impl PoolOptions {
    /// The defaults: 128 idle connections for each endpoint and worker, for 60 s each.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps at most so many idle connections for each endpoint and worker; 0 keeps none.
    ///
    /// While more requests than that are under way at the endpoint, as many are kept, for 1 s to 2 s.
    #[must_use]
    pub fn max_idle(mut self, count: usize) -> Self {
        self.max_idle = count;
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
    /// No more than [`max_idle`](Self::max_idle) are opened, one after the other, and one if the upstream speaks HTTP/2. They are
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
        self.warm.min(self.max_idle)
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

    /// How many are kept while so many requests are under way; with none to keep, none ever is.
    fn most_idle(&self, under_way: usize) -> usize {
        match self.max_idle {
            0 => 0,
            most => most.max(under_way),
        }
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
            max_idle: 128,
            idle_timeout: Duration::from_mins(1),
            lifetime: None,
            warm: 0,
            streams: 64,
            heads: HEADS,
        }
    }
}

/// How long a connection beyond the limit is kept when it is not used.
const SURPLUS: Duration = Duration::from_secs(1);

/// The idle connections to one endpoint; the one used last is used first, so that a spare one can grow old.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    options: PoolOptions,
    shards: Sharded<Shard>,
    streams: Option<Streams>,
    closed: AtomicBool,
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
        }
    }

    /// How large the head of a response may be.
    pub(crate) fn heads(&self) -> HeadLimits {
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

    /// Keeps a connection for the next request, unless there are enough.
    ///
    /// While more requests than that are under way, there will be use for as many in a moment: what is too much then is left
    /// to the sweeper, lest a crowd opens and closes connections all the time.
    pub(crate) fn put(self: &Arc<Self>, mut connection: Box<Connection>, under_way: usize) {
        connection.rest();
        if !self
            .options
            .is_young(connection.opened(), connection.idle_since())
        {
            return;
        }
        let place = self.shards.place();
        let mut shard = self.shards.at(place);
        // Read under the lock, so that nothing is left behind by who closes the pool.
        let closed = self.closed.load(Ordering::Relaxed);
        if closed || shard.idle.len() >= self.options.most_idle(under_way) {
            return;
        }
        shard.idle.push(connection);
        if !shard.swept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            shard.swept = true;
            runtime.spawn(sweep(Arc::downgrade(self), place));
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

    /// Closes what is dead or too old; false when nothing is left.
    fn sweep(&self, place: usize, now: Instant) -> bool {
        let mut shard = self.shards.at(place);
        shard.idle.retain_mut(|connection| {
            connection.is_alive() && self.options.is_fresh(connection, now)
        });
        // Those that were used last are at the end.
        let surplus = shard.idle.len().saturating_sub(self.options.max_idle);
        let rested = |connection: &Connection| now >= connection.idle_since() + SURPLUS;
        let surplus = shard
            .idle
            .iter()
            .take(surplus)
            .take_while(|one| rested(one))
            .count();
        shard.idle.drain(..surplus);
        shard.swept = !shard.idle.is_empty();
        shard.swept
    }
}

/// Looks after the idle connections of one shard, on whatever thread; ends by itself when there are none, or when the pool is gone.
///
/// An idle connection is driven by nobody, so this is also where a close by the upstream is seen when no request comes.
async fn sweep(pool: Weak<Pool>, place: usize) {
    let Some(pause) = pool.upgrade().map(|pool| {
        (pool.options.idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }) else {
        return;
    };
    loop {
        tokio::time::sleep(pause).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep(place, Instant::now()) => {}
            _ => return,
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
        pool.put(connection, 0);
        (pool, far, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_rested_too_long_is_not_used_though_nobody_has_swept() {
        let (pool, _far, now) = kept(PoolOptions::new().idle_timeout(LIMIT)).await;
        let connection = pool.take(now + LIMIT / 2).unwrap();
        pool.put(connection, 0);
        assert!(pool.take(now + LIMIT).is_none());
        assert!(pool.take(now).is_none(), "it is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_too_old_is_not_used_though_nobody_has_swept() {
        let (pool, _far, now) = kept(PoolOptions::new().lifetime(LIMIT)).await;
        let connection = pool.take(now + LIMIT / 2).unwrap();
        pool.put(connection, 0);
        assert!(pool.take(now + LIMIT).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_without_an_end_is_none() {
        let options = PoolOptions::new().idle_timeout(Duration::MAX);
        let (pool, _far, now) = kept(options.lifetime(Duration::MAX)).await;
        assert!(pool.sweep(pool.shards.place(), now + LIMIT));
        assert!(pool.take(now + LIMIT).is_some());
    }
}
