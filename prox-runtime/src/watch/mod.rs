//! What one client connection is doing, for whoever decides when it has taken too long.
//!
//! The socket, the service and the bodies write here, the connection's task reads: one timer serves all the limits, and
//! nothing is registered or cancelled for a request. All of them run in one task, so relaxed order is enough.

mod tally;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use http::{Method, Version};

use self::tally::Numbers;
pub use self::tally::Tally;
#[cfg(feature = "http2")]
use crate::error::Failure;
use crate::{
    metrics::Meter,
    sync::lock,
    time::{polled, whole_nanos},
};

/// The state of a client connection.
#[derive(Debug)]
pub(crate) struct Watch {
    start: Instant,
    phase: AtomicU8,
    /// Milliseconds after the start, or [`UNKNOWN`].
    since: AtomicU64,
    /// Exchanges whose response is not all written yet, in units of [`EXCHANGE`], [`REQUEST`] and [`TUNNEL`].
    exchanges: AtomicU64,
    /// The request under way.
    numbers: Numbers,
    /// Counts the requests.
    meter: Option<Arc<Meter>>,
    write_blocked: AtomicU64,
    body_blocked: AtomicU64,
    body_timed_out: AtomicBool,
    ending: AtomicU8,
    #[cfg(feature = "http2")]
    ended: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// What a client connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing, between requests.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A request is being answered.
    Busy,
}

const NOT_BLOCKED: u64 = 0;

/// The phase has begun since somebody asked last, and who asks next reads the clock.
const UNKNOWN: u64 = u64::MAX;

/// The lower half of the number counts all exchanges; the two quarters above it count those that are requests, and tunnels.
const EXCHANGE: u64 = 1;
const REQUEST: u64 = 1 << 32 | EXCHANGE;
const TUNNEL: u64 = 1 << 48 | EXCHANGE;

/// Why a server ends a connection on which something is under way.
#[cfg(feature = "http2")]
const REASONS: [Failure; 2] = [Failure::Drained, Failure::SlowClient];

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const CUT: u8 = 2;

impl Watch {
    /// The state of a connection, or of one stream of it, whose requests `meter` counts.
    pub(crate) fn new(meter: Option<Arc<Meter>>) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            exchanges: AtomicU64::new(0),
            numbers: Numbers::default(),
            meter,
            write_blocked: AtomicU64::new(NOT_BLOCKED),
            body_blocked: AtomicU64::new(NOT_BLOCKED),
            body_timed_out: AtomicBool::new(false),
            ending: AtomicU8::new(RUNNING),
            #[cfg(feature = "http2")]
            ended: AtomicU8::new(0),
            task: Mutex::new(None),
        })
    }

    /// Milliseconds after the start, and never [`NOT_BLOCKED`] or [`UNKNOWN`].
    fn now(&self) -> u64 {
        millis(whole_nanos(self.start.elapsed()))
    }

    /// Counts the requests of the connection.
    #[cfg(feature = "http2")]
    pub(crate) fn meter(&self) -> Option<Arc<Meter>> {
        self.meter.clone()
    }

    fn instant(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        }
    }

    /// When the phase began, or, where nobody has asked since, now.
    pub(crate) fn since(&self) -> Instant {
        let mut since = self.since.load(Relaxed);
        if since == UNKNOWN {
            since = self.now();
            self.since.store(since, Relaxed);
        }
        self.instant(since)
    }

    fn enter(&self, phase: Phase, since: u64) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(since, Relaxed);
    }

    /// Nothing is under way, whatever was read.
    #[cfg(feature = "http2")]
    pub(crate) fn rest(&self) {
        self.enter(Phase::Idle, self.now());
    }

    /// Bytes came from the client.
    ///
    /// As a rule they are a whole head, and nobody asks since when it has been arriving. So the clock is read by who asks.
    pub(crate) fn read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head, UNKNOWN);
        }
    }

    /// Some of the body of the request was read.
    pub(crate) fn received(&self, bytes: usize) {
        self.numbers.received(bytes);
    }

    /// Something is under way, until the guard and its like are dropped.
    pub(crate) fn exchange(self: &Arc<Self>) -> Exchange {
        self.begin(EXCHANGE, false)
    }

    /// A request is whole and is being answered, until the guard is dropped. Then it is counted.
    #[inline]
    pub(crate) fn request(self: &Arc<Self>, method: &Method, version: Version) -> Exchange {
        self.numbers.begin(method, version);
        self.begin(REQUEST, true)
    }

    /// A stream of the connection has a request, which is counted there.
    #[cfg(feature = "http2")]
    pub(crate) fn carries(self: &Arc<Self>) -> Exchange {
        self.begin(REQUEST, false)
    }

    fn begin(self: &Arc<Self>, unit: u64, counted: bool) -> Exchange {
        self.exchanges.fetch_add(unit, Relaxed);
        self.phase.store(Phase::Busy as u8, Relaxed);
        Exchange {
            tally: Tally::new(Arc::clone(self)),
            unit,
            counted,
        }
    }

    /// A poll of the connection's task, until it is dropped: the clock is read once for all that happens at the end of a request.
    pub(crate) fn polled(&self) -> polled::Poll {
        self.numbers.forget_now();
        polled::Poll::begin()
    }

    /// How many exchanges are under way.
    pub(crate) fn exchanges(&self) -> u64 {
        self.exchanges.load(Relaxed) & u64::from(u32::MAX)
    }

    /// How many of them are requests, and how many are tunnels.
    pub(crate) fn requests_and_tunnels(&self) -> (u64, u64) {
        let quarter = u64::from(u16::MAX);
        let exchanges = self.exchanges.load(Relaxed);
        (exchanges >> 32 & quarter, exchanges >> 48)
    }

    /// Whether the client took what was written.
    pub(crate) fn wrote(&self, blocked: bool) {
        note(&self.write_blocked, blocked, || self.now());
    }

    /// Whether the gateway waits for the body of the client.
    pub(crate) fn waits_for_body(&self, blocked: bool) {
        note(&self.body_blocked, blocked, || self.now());
    }

    /// Since when the client has not taken what was written.
    pub(crate) fn write_blocked(&self) -> Option<Instant> {
        self.blocked(&self.write_blocked)
    }

    /// Since when the client owes a part of its body.
    pub(crate) fn body_blocked(&self) -> Option<Instant> {
        self.blocked(&self.body_blocked)
    }

    fn blocked(&self, cell: &AtomicU64) -> Option<Instant> {
        match cell.load(Relaxed) {
            NOT_BLOCKED => None,
            since => Some(self.instant(since)),
        }
    }

    /// Makes the body that is being waited for fail.
    pub(crate) fn time_body_out(&self) {
        self.body_timed_out.store(true, Relaxed);
        self.body_blocked.store(NOT_BLOCKED, Relaxed);
    }

    pub(crate) fn is_body_timed_out(&self) -> bool {
        self.body_timed_out.load(Relaxed)
    }

    /// Remembers the task to wake when the connection is to end.
    pub(crate) fn attach(&self, task: &Waker) {
        *lock(&self.task) = Some(task.clone());
    }

    /// Lets the connection end with its next response.
    pub(crate) fn drain(&self) {
        self.end(DRAINING);
    }

    /// Ends the connection now.
    pub(crate) fn cut(&self) {
        self.end(CUT);
    }

    fn end(&self, how: u8) {
        self.ending.store(how, Relaxed);
        self.wake();
    }

    /// Has the connection's task look at what has changed.
    pub(crate) fn wake(&self) {
        let task = lock(&self.task).clone();
        // Outside of the lock: a waker may run what takes it.
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Says why the server ends the connection, with all that is under way on it.
    #[cfg(feature = "http2")]
    pub(crate) fn ends_because(&self, why: Failure) {
        let place = REASONS.iter().position(|&reason| reason == why);
        let number = place.and_then(|place| u8::try_from(place + 1).ok());
        self.ended.store(number.unwrap_or(0), Relaxed);
    }

    /// Why the server has ended the connection, if it has.
    #[cfg(feature = "http2")]
    pub(crate) fn ended_because(&self) -> Option<Failure> {
        let place = usize::from(self.ended.load(Relaxed)).checked_sub(1)?;
        REASONS.get(place).copied()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.ending.load(Relaxed) >= DRAINING
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.ending.load(Relaxed) == CUT
    }
}

/// Milliseconds of these nanoseconds, and never [`NOT_BLOCKED`] or [`UNKNOWN`].
fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000 + 1
}

fn note(cell: &AtomicU64, blocked: bool, now: impl FnOnce() -> u64) {
    let noted = cell.load(Relaxed) != NOT_BLOCKED;
    if blocked != noted {
        cell.store(if blocked { now() } else { NOT_BLOCKED }, Relaxed);
    }
}

/// An exchange on a client connection; over when it is dropped with the response's body.
#[derive(Debug)]
pub(crate) struct Exchange {
    tally: Tally,
    unit: u64,
    /// Whether it is a request that is counted when it ends.
    counted: bool,
}

impl Exchange {
    /// What is known of the request.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The request was refused before it came to the gateway, and counts as that.
    #[cfg(feature = "http2")]
    pub(crate) fn refused(&mut self) {
        self.counted = false;
    }

    /// The request was answered with another protocol, which counts at once. From now on the exchange is a tunnel.
    pub(crate) fn switched(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.tally.switched();
        }
        // The new unit first, so that the connection is never without an exchange.
        let watch = &self.tally.watch;
        watch.exchanges.fetch_add(TUNNEL, Relaxed);
        watch.exchanges.fetch_sub(self.unit, Relaxed);
        self.unit = TUNNEL;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let watch = &self.tally.watch;
        let before = watch.exchanges.fetch_sub(self.unit, Relaxed);
        if self.unit == TUNNEL {
            self.tally.left_tunnel();
        }
        let is_last = before & u64::from(u32::MAX) == EXCHANGE;
        if !is_last && !self.counted {
            return;
        }
        let since = watch.numbers.now().unwrap_or_else(|| {
            // Layers may have taken time in this poll, too.
            let now = if self.tally.is_detailed() {
                Instant::now()
            } else {
                polled::now()
            };
            whole_nanos(now.saturating_duration_since(watch.start))
        });
        if is_last {
            watch.enter(Phase::Idle, millis(since));
        }
        if self.counted {
            self.tally.ended(since);
        }
    }
}
