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
use super::{Flooded, Granted, PoolOptions};
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
    waiting: VecDeque<oneshot::Sender<Result<Granted, Error>>>,
    connecting: bool,
    /// The upstream was asked, and chose HTTP/1.1.
    http1: bool,
    grow_after: Option<Instant>,
    opened: u64,
    /// No connection is kept any more.
    closed: bool,
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

    /// Waits for a stream, or for the word that the upstream speaks HTTP/1.1.
    ///
    /// # Errors
    ///
    /// When no connection comes about. Nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// Whoever does not wait any more loses the place in line, and nothing else.
    pub(crate) async fn take<C, F>(&self, connect: C) -> Result<Granted, Error>
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = Result<Opened, Error>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        {
            let shard = Arc::clone(&self.shards.local());
            let mut state = lock(&shard.0);
            state.enqueue(sender);
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
        let (shard, options) = (Arc::clone(shard), self.options.clone());
        let (limit, flooded) = (self.connect_timeout, Arc::clone(&self.flooded));
        tokio::spawn(async move {
            loop {
                let opened = match connect().await {
                    Ok(opened) if opened.protocol == Protocol::Http1 => {
                        shard.speaks_http1(opened);
                        return;
                    }
                    Ok(opened) => {
                        let opening = Connection::open(opened.stream, &shard, &options, &flooded);
                        tokio::time::timeout(limit, opening)
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
        });
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

    fn enqueue(&mut self, waiter: oneshot::Sender<Result<Granted, Error>>) {
        // Those who left are passed over when their turn comes; where no turn comes, they must not pile up.
        if self.waiting.len() >= 64 && self.waiting.len().is_power_of_two() {
            self.waiting.retain(|waiter| !waiter.is_closed());
        }
        self.waiting.push_back(waiter);
    }

    /// The next in line who still waits.
    fn next(&mut self) -> Option<oneshot::Sender<Result<Granted, Error>>> {
        while let Some(waiter) = self.waiting.pop_front() {
            if !waiter.is_closed() {
                return Some(waiter);
            }
        }
        None
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
            state.waiting.retain(|waiter| !waiter.is_closed());
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
                let Some(waiter) = state.next() else {
                    return count;
                };
                (waiter, Stream::new(Arc::clone(connection), self, kept))
            };
            // Outside of the lock: a stream that nobody takes any more gives its room back.
            drop(waiter.send(Ok(Granted::Http2(stream))));
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
            if waiter.is_closed() {
                continue;
            }
            if let Err(Ok(Granted::Http1(left))) = waiter.send(Ok(Granted::Http1(stream.take()))) {
                stream = left;
            }
        }
    }

    /// No connection came about: whoever waits is told, unless there are others whose room may become free.
    fn failed(&self, error: Error) {
        tracing::debug!(?error, "no HTTP/2 connection to an upstream");
        let waiting = {
            let mut state = lock(&self.0);
            state.connecting = false;
            state.grow_after = Some(Instant::now() + GROW_AGAIN);
            if state.connections.is_empty() {
                std::mem::take(&mut state.waiting)
            } else {
                VecDeque::new()
            }
        };
        let failure = error.as_failure().unwrap_or(Failure::Connect);
        let error = Arc::new(error);
        for waiter in waiting {
            drop(waiter.send(Err(Error::caused(failure, Arc::clone(&error)))));
        }
    }

    /// A connection takes no more streams.
    fn remove(&self, number: u64) {
        let waiting = {
            let mut state = lock(&self.0);
            state
                .connections
                .retain(|connection| connection.number() != number);
            if state.connections.is_empty() && !state.connecting {
                std::mem::take(&mut state.waiting)
            } else {
                VecDeque::new()
            }
        };
        // Whose sender is dropped has no connection to hope for.
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
