//! One shared connection, and the task that moves its bytes.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::time::{Instant, sleep};

use super::{
    STREAM_WINDOW, Shard,
    liveness::Liveness,
    socket::{Socket, Traffic},
};
use crate::{
    error::{Error, Failure},
    frames::{End, Guarded, Side},
    framing::HeadLimits,
    pool::{Flooded, PoolOptions},
    stream::{Linger, Stream as Bytestream, linger},
    sync::lock,
    time::LazyTimer,
};

/// What is held for one stream whose upstream does not take it.
const SEND_BUFFER: usize = 64 * 1024;

/// How far beyond its limit a head is still read, so that it can be told which limit it was. h2 itself only says that the
/// upstream breaks the protocol.
const TOLD: u32 = 256 * 1024;

/// The most that all streams of one connection may have sent before somebody takes it.
const MAX_WINDOW: u32 = 1 << 30;

/// h2 ends a connection when small pieces of data that nobody has read cost it too much memory. All streams of a connection may
/// be full of pieces of 50 bytes, which cost about four times what is in them.
const SMALL_DATA: usize = 4;

/// How long an upstream may take to see a connection without streams end.
const GOODBYE: Duration = Duration::from_secs(5);

/// No upstream allows just so many streams; as long as this is the limit, its settings are not known yet.
const NOT_KNOWN: usize = usize::MAX - 1;

/// How long an upstream that has sent too many frames may take to read the frame that is being written.
const LAST_FRAME: Duration = Duration::from_secs(2);

type Driver = h2::client::Connection<Guarded<Socket>, Bytes>;

/// A connection that several requests share; driven by a task of its own, which ends with it.
pub(super) struct Connection {
    number: u64,
    /// Gone once no more streams are taken.
    sender: Mutex<Option<SendRequest<Bytes>>>,
    /// Streams that were given away, and not given back.
    load: AtomicUsize,
    traffic: Arc<Traffic>,
    limits: HeadLimits,
    task: Mutex<Option<Waker>>,
    shard: Weak<Shard>,
}

impl Connection {
    /// Speaks HTTP/2 on a stream that was just opened, and waits for the upstream to say what it allows.
    ///
    /// # Errors
    ///
    /// When the upstream does not speak HTTP/2, or has left.
    pub(super) async fn open(
        stream: Bytestream,
        shard: &Arc<Shard>,
        options: &PoolOptions,
        flooded: &Flooded,
    ) -> Result<Arc<Self>, Error> {
        let failed = |error| Error::caused(Failure::Connect, NoHttp2(error));
        let traffic = Arc::new(Traffic::default());
        // One stream that nobody reads must leave room for all the others.
        let window = u32::try_from(options.streams)
            .unwrap_or(u32::MAX)
            .saturating_mul(STREAM_WINDOW)
            .clamp(STREAM_WINDOW, MAX_WINDOW);
        let socket = Socket::new(stream, Arc::clone(&traffic));
        let (socket, end) = Guarded::new(socket, Side::Client);
        let (sender, mut driver) = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(NOT_KNOWN)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(options.heads.list_size().saturating_add(TOLD))
            // It would count them over the whole life of a connection; they are counted in `frames`.
            .max_local_error_reset_streams(None)
            .data_frame_budget(
                usize::try_from(window)
                    .unwrap_or(usize::MAX)
                    .saturating_mul(SMALL_DATA),
            )
            .handshake::<_, Bytes>(socket)
            .await
            .map_err(|error| failed(Some(error)))?;
        poll_fn(|cx| {
            if let Poll::Ready(end) = Pin::new(&mut driver).poll(cx) {
                return Poll::Ready(Err(failed(end.err())));
            }
            if sender.current_max_send_streams() == NOT_KNOWN {
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        let connection = Arc::new(Self {
            number: shard.number(),
            sender: Mutex::new(Some(sender)),
            load: AtomicUsize::new(0),
            traffic,
            limits: options.heads,
            task: Mutex::default(),
            shard: Arc::downgrade(shard),
        });
        let (guard, options) = (Driven(Arc::clone(&connection)), options.clone());
        let flooded = Arc::clone(flooded);
        tokio::spawn(async move {
            drive(guard, driver, &end, options).await;
            if let Some(left) = end.take()
                && let Some(flood) = left.flood()
            {
                flooded(flood.name());
                let goodbye = async { linger(left.say_goodbye().await, Linger::SHORT).await };
                let _ = tokio::time::timeout(GOODBYE, goodbye).await;
            }
        });
        Ok(connection)
    }

    /// Whether no stream is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.load.load(Relaxed) == 0
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How many streams are under way, and how many more may be; nothing when there is no room.
    pub(super) fn room(&self) -> Option<(usize, usize)> {
        let sender = lock(&self.sender);
        let limit = sender.as_ref()?.current_max_send_streams();
        let load = self.load.load(Relaxed);
        Some((load, limit.checked_sub(load).filter(|&room| room > 0)?))
    }

    /// What sends a request; nothing when the connection takes no more.
    pub(super) fn sender(&self) -> Option<SendRequest<Bytes>> {
        lock(&self.sender).clone()
    }

    /// How many bytes have come from the upstream.
    pub(super) fn heard(&self) -> u64 {
        self.traffic.heard()
    }

    /// How many bytes have left for the upstream.
    pub(super) fn written(&self) -> u64 {
        self.traffic.written()
    }

    /// How large the head of a response may be.
    pub(super) fn limits(&self) -> HeadLimits {
        self.limits
    }

    pub(super) fn enter(&self) {
        self.load.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(self: &Arc<Self>, shard: &Arc<Shard>) {
        if self.load.fetch_sub(1, Relaxed) == 1 {
            self.wake();
        }
        shard.hand_out(self, true);
    }

    /// Takes no more streams, and ends with the last one.
    pub(super) fn retire(&self) {
        if lock(&self.sender).take().is_some() {
            if let Some(shard) = self.shard.upgrade() {
                shard.remove(self.number);
            }
            self.wake();
        }
    }

    fn wake(&self) {
        let task = lock(&self.task).clone();
        if let Some(task) = task {
            task.wake();
        }
    }

    fn attach(&self, cx: &Context<'_>) {
        let mut task = lock(&self.task);
        if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    /// Whether the connection will take another stream, as far as the upstream has said.
    fn is_open(&self, cx: &mut Context<'_>) -> bool {
        let mut sender = lock(&self.sender);
        sender
            .as_mut()
            .is_some_and(|sender| !matches!(sender.poll_ready(cx), Poll::Ready(Err(_))))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("number", &self.number)
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

/// A connection that is driven. It takes no more streams once it is not, however that ends: by itself, with its runtime, or by
/// a panic.
struct Driven(Arc<Connection>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.retire();
    }
}

/// Moves bytes both ways until the connection has ended, or nobody needs it.
async fn drive(guard: Driven, mut driver: Driver, end: &End<Socket>, options: PoolOptions) {
    let connection = &guard.0;
    let opened = Instant::now();
    let mut liveness = Liveness::new(driver.ping_pong(), opened);
    let mut timer = LazyTimer::default();
    let mut idle_since = None;
    let mut last_frame = None;
    poll_fn(|cx| {
        connection.attach(cx);
        loop {
            if let Poll::Ready(end) = Pin::new(&mut driver).poll(cx) {
                if let Err(error) = end {
                    tracing::debug!(target: "prox", %error, "an upstream's HTTP/2 connection ended early");
                }
                return Poll::Ready(());
            }
            if end.is_refused() {
                connection.retire();
                // It is read from no more, and fails as soon as the frame is written that was begun.
                let last_frame = last_frame.get_or_insert_with(|| Box::pin(sleep(LAST_FRAME)));
                return last_frame.as_mut().poll(cx);
            }
            let now = Instant::now();
            liveness.listen(cx, connection.heard(), now);
            let open = connection.is_open(cx);
            if !open {
                // The upstream has said goodbye.
                connection.retire();
            }
            let busy = connection.load.load(Relaxed) > 0;
            let (deadline, expired) = if busy {
                idle_since = None;
                (liveness.deadline(), Expired::Quiet)
            } else if open {
                let since = *idle_since.get_or_insert(now);
                (since + options.idle_timeout, Expired::Idle)
            } else {
                let since = *idle_since.get_or_insert(now);
                (since + GOODBYE, Expired::Goodbye)
            };
            let old = options
                .lifetime
                .filter(|_| open)
                .map(|lifetime| (opened + lifetime, Expired::Idle));
            let (deadline, expired) = match old {
                Some(old) if old.0 < deadline => old,
                _ => (deadline, expired),
            };
            if timer.poll(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            match expired {
                Expired::Idle => {
                    idle_since = None;
                    connection.retire();
                }
                Expired::Quiet if liveness.act(Instant::now()) => {}
                Expired::Quiet => {
                    tracing::debug!(target: "prox", "an upstream does not answer a ping");
                    return Poll::Ready(());
                }
                Expired::Goodbye => return Poll::Ready(()),
            }
        }
    })
    .await;
}

enum Expired {
    /// Nobody needs it, or it is old enough.
    Idle,
    /// Nothing was heard, though something is expected.
    Quiet,
    /// The upstream does not close its end.
    Goodbye,
}

/// The upstream said something else than HTTP/2, or nothing.
#[derive(Debug)]
struct NoHttp2(Option<h2::Error>);

impl fmt::Display for NoHttp2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the upstream does not speak HTTP/2; take `.http2()` away if it speaks HTTP/1.1",
        )
    }
}

impl std::error::Error for NoHttp2 {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_ref().map(|error| error as _)
    }
}
