//! Connections to one endpoint that are kept open between requests.
//!
//! A connection has no task of its own: whoever uses it drives it, within the task of the client's connection. So a
//! response crosses no queue between tasks, and an upstream request ends when the client's does.

mod connection;
mod socket;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

pub(crate) use self::connection::{Connection, SendFailure};
use crate::sync::Sharded;

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
}

impl PoolOptions {
    /// The defaults: 128 idle connections for each endpoint and worker, for 60 s each.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps at most so many idle connections for each endpoint and worker; 0 keeps none.
    #[must_use]
    pub fn max_idle(mut self, count: usize) -> Self {
        self.max_idle = count;
        self
    }

    /// Closes a connection that was idle for so long. It should be shorter than the upstream's own limit.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_idle: 128,
            idle_timeout: Duration::from_mins(1),
        }
    }
}

/// The idle connections to one endpoint; the one used last is used first, so that a spare one can grow old.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    options: PoolOptions,
    shards: Sharded<Shard>,
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
        }
    }

    /// A kept connection, if there is one that is not known to be dead.
    pub(crate) fn take(&self) -> Option<Box<Connection>> {
        let mut shard = self.shards.local();
        while let Some(connection) = shard.idle.pop() {
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, unless there are enough.
    pub(crate) fn put(self: &Arc<Self>, mut connection: Box<Connection>) {
        connection.rest();
        let mut shard = self.shards.local();
        if shard.idle.len() >= self.options.max_idle {
            return;
        }
        shard.idle.push(connection);
        if !shard.swept
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            shard.swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what is dead or too old; false when nothing is left.
    fn sweep_local(&self, now: Instant) -> bool {
        let mut shard = self.shards.local();
        let limit = self.options.idle_timeout;
        shard.idle.retain_mut(|connection| {
            connection.is_alive() && now < connection.idle_since() + limit
        });
        shard.swept = !shard.idle.is_empty();
        shard.swept
    }
}

/// Looks after the idle connections of one thread; ends by itself when there are none, or when the pool is gone.
///
/// An idle connection is driven by nobody, so this is also where a close by the upstream is seen when no request comes.
async fn sweep(pool: Weak<Pool>) {
    let Some(pause) = pool.upgrade().map(|pool| {
        (pool.options.idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }) else {
        return;
    };
    loop {
        tokio::time::sleep(pause).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep_local(Instant::now()) => {}
            _ => return,
        }
    }
}
