//! HTTP/2 connections to one endpoint, each shared by the requests of one worker.
//!
//! A connection that has room is used as it is. When all of them are crowded, one more is opened beside; when none has room
//! at all, requests wait for it in line. However many wait, one connection is opened at a time. Unlike one of HTTP/1.1, a
//! connection has a task, since no request owns it.

mod connection;
mod exchange;
mod liveness;
mod socket;
mod tunnel;
mod upload;

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use self::connection::Connection;
pub(crate) use self::exchange::{Download, Stream};
use super::{Flooded, Granted, Open, PoolOptions};
use crate::{
    connect::{Opened, Protocol},
    error::{Error, Failure},
    sync::{Sharded, lock},
};

/// What an upstream may send on one stream before somebody takes it. What is held for a slow client is bounded by it.
const STREAM_WINDOW: u32 = 256 * 1024;

/// How long nobody tries to open one more connection beside crowded ones after that failed.
const GROW_AGAIN: Duration = Duration::from_secs(1);

/// The shared connections to one endpoint.
pub(crate) struct Streams {
    options: PoolOptions,
    connect_timeout: Duration,
    flooded: Flooded,
    shards: Sharded<Arc<Shard>>,
}

/// The connections of one worker, and who waits for one.
#[derive(Default)]
struct Shard(Mutex<State>);

#[derive(Default)]
struct State {
    connections: Vec<Arc<Connection>>,
    waiting: VecDeque<Waiter>,
    /// Whether a task opens a connection; an [`Opening`] ends it with the task.
    connecting: bool,
    /// The upstream was asked, and chose HTTP/1.1.
    http1: bool,
    grow_after: Option<Instant>,
    opened: u64,
    /// No connection is kept any more.
    closed: bool,
}

/// A request that waits for a stream.
struct Waiter {
    /// The number of the connection that it must not get a stream of: that connection has refused it.
    avoid: Option<u64>,
    grant: oneshot::Sender<Result<Granted, Error>>,
}

impl Waiter {
    /// Whether it still waits.
    fn is_there(&self) -> bool {
        !self.grant.is_closed()
    }

    fn takes(&self, connection: u64) -> bool {
        self.avoid != Some(connection)
    }
}

impl Streams {
    /// Some, since the feature `http2` is there.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "without the feature there are none"
    )]
    pub(crate) fn new(
        options: PoolOptions,
        connect_timeout: Duration,
        flooded: Flooded,
    ) -> Option<Self> {
        Some(Self {
            options,
            connect_timeout,
            flooded,
            shards: Sharded::default(),
        })
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> Open {
        let mut open = Open::default();
        for shard in self.shards.all() {
            for connection in &lock(&shard.0).connections {
                if connection.is_idle() {
                    open.idle += 1;
                } else {
                    open.active += 1;
                }
            }
        }
        open
    }

    /// A stream of a connection with room, if there is one; not of the connection with the number `avoid`.
    ///
    /// `connect` opens one more when all are crowded, and nobody waits for it.
    pub(crate) fn try_take<C, F>(&self, avoid: Option<u64>, connect: C) -> Option<Granted>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Opened, Error>> + Send + 'static,
    {
        let shard = Arc::clone(&self.shards.local());
        let mut state = lock(&shard.0);
        if state.http1 {
            return Some(Granted::Http1(None));
        }
        let (connection, crowded) = state.pick(avoid, self.options.streams)?;
        let stream = Stream::new(connection, &shard, true);
        if crowded && !state.connecting && state.grow_after.is_none_or(|at| at <= Instant::now()) {
            state.connecting = true;
            self.open(&shard, connect);
        }
        Some(Granted::Http2(stream))
    }

    /// Waits for a stream, or for the word that the upstream speaks HTTP/1.1; not for one of the connection with the number `avoid`.
    ///
    /// # Errors
    ///
    /// When no connection comes about. Nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// Whoever does not wait any more loses the place in line, and nothing else.
    pub(crate) async fn take<C, F>(&self, avoid: Option<u64>, connect: C) -> Result<Granted, Error>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Opened, Error>> + Send + 'static,
    {
        let (grant, receiver) = oneshot::channel();
        {
            let shard = Arc::clone(&self.shards.local());
            let mut state = lock(&shard.0);
            state.enqueue(Waiter { avoid, grant });
            if !state.connecting {
                state.connecting = true;
                self.open(&shard, connect);
            }
        }
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::failure(Failure::Connect)))
    }

    /// Asks the upstream again what it speaks.
    pub(crate) fn reconsider(&self) {
        lock(&self.shards.local().0).http1 = false;
    }

    /// Ends each connection with its last stream, and keeps none from now on. Who waits for one that is being opened gets it.
    pub(crate) fn close(&self) {
        for shard in self.shards.all() {
            let connections = {
                let mut state = lock(&shard.0);
                state.closed = true;
                std::mem::take(&mut state.connections)
            };
            for connection in connections {
                connection.retire();
            }
        }
    }

    /// Opens connections until nobody waits any more, in a task that does not end with the request that began it.
    fn open<C, F>(&self, shard: &Arc<Shard>, connect: C)
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Opened, Error>> + Send + 'static,
    {
        let opening = Opening {
            shard: Arc::clone(shard),
            done: false,
        };
        let (options, flooded) = (self.options.clone(), Arc::clone(&self.flooded));
        tokio::spawn(opening.run(connect, options, self.connect_timeout, flooded));
    }
}

/// The task that opens connections. It may be cut short: by a panic, or by the end of its runtime.
struct Opening {
    shard: Arc<Shard>,
    done: bool,
}

impl Opening {
    async fn run<C, F>(
        mut self,
        connect: C,
        options: PoolOptions,
        limit: Duration,
        flooded: Flooded,
    ) where
        C: Fn() -> F,
        F: Future<Output = Result<Opened, Error>>,
    {
        self.open(connect, &options, limit, &flooded).await;
        self.done = true;
    }

    async fn open<C, F>(
        &self,
        connect: C,
        options: &PoolOptions,
        limit: Duration,
        flooded: &Flooded,
    ) where
        C: Fn() -> F,
        F: Future<Output = Result<Opened, Error>>,
    {
        let shard = &self.shard;
        loop {
            let opened = match connect().await {
                Ok(opened) if opened.protocol == Protocol::Http1 => {
                    shard.speaks_http1(opened);
                    return;
                }
                Ok(opened) => {
                    let speaking = Connection::open(opened.stream, shard, options, flooded);
                    tokio::time::timeout(limit, speaking)
                        .await
                        .unwrap_or_else(|_| Err(Error::failure(Failure::ConnectTimeout)))
                }
                Err(error) => Err(error),
            };
            match opened.and_then(|connection| shard.add(&connection)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return shard.failed(error),
            }
        }
    }
}

impl Drop for Opening {
    /// Lets the next request open a connection, and tells those who wait for this one.
    fn drop(&mut self) {
        if !self.done {
            self.shard.failed(Error::failure(Failure::Connect));
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.close();
        for shard in self.shards.all() {
            let waiting = std::mem::take(&mut lock(&shard.0).waiting);
            drop(waiting);
        }
    }
}

impl State {
    /// The first connection that is not crowded, so that spare ones grow old; else the one with the most room, and `true`.
    fn pick(&self, avoid: Option<u64>, crowd: usize) -> Option<(Arc<Connection>, bool)> {
        let mut best: Option<(&Arc<Connection>, usize)> = None;
        for connection in &self.connections {
            if avoid == Some(connection.number()) {
                continue;
            }
            let Some((load, room)) = connection.room() else {
                continue;
            };
            if load < crowd {
                return Some((Arc::clone(connection), false));
            }
            if best.is_none_or(|(_, most)| room > most) {
                best = Some((connection, room));
            }
        }
        best.map(|(connection, _)| (Arc::clone(connection), true))
    }

    fn enqueue(&mut self, waiter: Waiter) {
        // Those who left are passed over when their turn comes; where no turn comes, they must not pile up.
        if self.waiting.len() >= 64 && self.waiting.len().is_power_of_two() {
            self.waiting.retain(Waiter::is_there);
        }
        self.waiting.push_back(waiter);
    }

    /// The next in line that takes a stream of the connection with this number.
    fn next(&mut self, connection: u64) -> Option<Waiter> {
        while self.waiting.front().is_some_and(|first| !first.is_there()) {
            self.waiting.pop_front();
        }
        let is_next = |waiter: &Waiter| waiter.is_there() && waiter.takes(connection);
        let place = self.waiting.iter().position(is_next)?;
        self.waiting.remove(place)
    }

    /// Takes those out of the line who take a stream of none of the connections that there are.
    fn hopeless(&mut self) -> VecDeque<Waiter> {
        let known: Vec<u64> = self.connections.iter().map(|one| one.number()).collect();
        let has_hope = |waiter: &Waiter| known.iter().any(|&number| waiter.takes(number));
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (waiting, hopeless) = all.partition(has_hope);
        self.waiting = waiting;
        hopeless
    }
}

impl Shard {
    /// Takes in a connection, and says whether another one is needed.
    fn add(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<bool, Error> {
        let awaited = {
            let mut state = lock(&self.0);
            if !state.closed {
                state.connections.push(Arc::clone(connection));
            }
            state.waiting.retain(Waiter::is_there);
            !state.waiting.is_empty()
        };
        let served = self.hand_out(connection, false);
        if awaited && served == 0 {
            // It would be the same with the next one.
            connection.retire();
            return Err(Error::failure(Failure::Connect));
        }
        let mut state = lock(&self.0);
        state.grow_after = None;
        let more = !state.waiting.is_empty();
        state.connecting = more;
        let closed = state.closed;
        drop(state);
        if closed {
            connection.retire();
        }
        Ok(more)
    }

    /// Gives the room of a connection to those who wait, in their order, and says how many got it.
    fn hand_out(self: &Arc<Self>, connection: &Arc<Connection>, kept: bool) -> usize {
        let mut count = 0;
        loop {
            let (waiter, stream) = {
                let mut state = lock(&self.0);
                if state.waiting.is_empty() || connection.room().is_none() {
                    return count;
                }
                let Some(waiter) = state.next(connection.number()) else {
                    return count;
                };
                (waiter, Stream::new(Arc::clone(connection), self, kept))
            };
            // Outside of the lock: a stream that nobody takes any more gives its room back.
            drop(waiter.grant.send(Ok(Granted::Http2(stream))));
            count += 1;
        }
    }

    /// All who wait are told to speak HTTP/1.1; the first on the connection that is there.
    fn speaks_http1(&self, opened: Opened) {
        let waiting = {
            let mut state = lock(&self.0);
            state.http1 = true;
            state.connecting = false;
            std::mem::take(&mut state.waiting)
        };
        let mut stream = Some(opened.stream);
        for waiter in waiting {
            if !waiter.is_there() {
                continue;
            }
            let granted = Ok(Granted::Http1(stream.take()));
            if let Err(Ok(Granted::Http1(left))) = waiter.grant.send(granted) {
                stream = left;
            }
        }
    }

    /// No connection came about: those who wait are told, unless there are others whose room may become free.
    fn failed(&self, error: Error) {
        tracing::debug!(target: "prox", ?error, "no HTTP/2 connection to an upstream");
        let waiting = {
            let mut state = lock(&self.0);
            state.connecting = false;
            state.grow_after = Some(Instant::now() + GROW_AGAIN);
            state.hopeless()
        };
        let failure = error.as_failure().unwrap_or(Failure::Connect);
        let error = Arc::new(error);
        for waiter in waiting {
            let error = Error::caused(failure, Arc::clone(&error));
            drop(waiter.grant.send(Err(error)));
        }
    }

    /// A connection takes no more streams.
    fn remove(&self, number: u64) {
        let waiting = {
            let mut state = lock(&self.0);
            state
                .connections
                .retain(|connection| connection.number() != number);
            if state.connecting {
                VecDeque::new()
            } else {
                state.hopeless()
            }
        };
        // Their senders are dropped, which tells them.
        drop(waiting);
    }

    fn number(&self) -> u64 {
        let mut state = lock(&self.0);
        state.opened += 1;
        state.opened
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
