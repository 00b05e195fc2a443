//! What is known of one request, as numbers: they are counted when it ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Response, StatusCode, Version};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::Watch;
use crate::{
    error::{Error, Failure},
    identity::Principal,
    metrics::{self, Ended, ErrorType},
    observe::{
        ending,
        traces::{End, Slot, Trace},
    },
    sync::lock,
    time::whole_nanos,
};

/// No route has this number.
const NO_ROUTE: u32 = u32::MAX;

/// The length of a body that has not said how long it is.
const UNKNOWN: u64 = u64::MAX;

/// The numbers of the request under way. One task writes them, so relaxed order is enough, and each is a plain store.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Counts the requests that the connection has had.
    request: AtomicU32,
    route: AtomicU32,
    /// Nanoseconds after the start of the watch, and never 0 once it is known.
    began: AtomicU64,
    /// The same for now, where it was read in this poll of the connection's task.
    now: AtomicU64,
    method: AtomicU8,
    version: AtomicU8,
    /// 0 until there is a response.
    status: AtomicU16,
    /// 0 for none, else the place of a failure behind that.
    failure: AtomicU8,
    received: AtomicU64,
    sent: AtomicU64,
    length: AtomicU64,
    /// Whether the response has come to its end.
    whole: AtomicBool,
    /// Whether the details below may be read.
    detailed: AtomicBool,
    tries: AtomicU32,
    /// Nanoseconds, and never 0 once it is known.
    connect: AtomicU64,
    first_byte: AtomicU64,
    queue: AtomicU64,
    place: Mutex<Option<Place>>,
    caller: Mutex<Option<Principal>>,
    trace: Slot,
}

/// Where a request went last.
#[derive(Clone, Debug)]
struct Place {
    backend: Arc<str>,
    endpoint: Arc<str>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            request: AtomicU32::new(0),
            route: AtomicU32::new(NO_ROUTE),
            began: AtomicU64::new(0),
            now: AtomicU64::new(0),
            method: AtomicU8::new(0),
            version: AtomicU8::new(0),
            status: AtomicU16::new(0),
            failure: AtomicU8::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            length: AtomicU64::new(UNKNOWN),
            whole: AtomicBool::new(false),
            detailed: AtomicBool::new(false),
            tries: AtomicU32::new(0),
            connect: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            queue: AtomicU64::new(0),
            place: Mutex::new(None),
            caller: Mutex::new(None),
            trace: Slot::default(),
        }
    }
}

impl Numbers {
    /// Those of a new request.
    pub(super) fn begin(&self, method: &Method, version: Version) {
        let request = self.request.load(Relaxed).wrapping_add(1);
        self.request.store(request, Relaxed);
        if self.detailed.load(Relaxed) {
            self.detailed.store(false, Relaxed);
            self.tries.store(0, Relaxed);
            self.connect.store(0, Relaxed);
            self.first_byte.store(0, Relaxed);
            self.queue.store(0, Relaxed);
            *lock(&self.place) = None;
            *lock(&self.caller) = None;
        }
        self.route.store(NO_ROUTE, Relaxed);
        self.began.store(0, Relaxed);
        self.now.store(0, Relaxed);
        self.method.store(metrics::method(method), Relaxed);
        self.version.store(metrics::version(version), Relaxed);
        self.status.store(0, Relaxed);
        self.failure.store(0, Relaxed);
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.length.store(UNKNOWN, Relaxed);
        self.whole.store(false, Relaxed);
    }

    /// The time that was read is over.
    pub(super) fn forget_now(&self) {
        self.now.store(0, Relaxed);
    }

    /// How many nanoseconds after the start of the watch it is, if that was read in this poll. Layers may have taken time since then.
    pub(super) fn now(&self) -> Option<u64> {
        let now = self.now.load(Relaxed);
        (now > 0 && !self.detailed.load(Relaxed)).then_some(now)
    }

    pub(super) fn received(&self, bytes: usize) {
        add(&self.received, bytes);
    }

    fn failure(&self) -> Option<Failure> {
        let place = self.failure.load(Relaxed).checked_sub(1)?;
        Failure::ALL.get(usize::from(place)).copied()
    }
}

/// What becomes of one request: where it went, how long that took, how much was sent.
///
/// A layer finds it in its request, by [`RequestExt::tally`](crate::RequestExt::tally), and reads it behind
/// [`Next::run`](crate::Next::run), or when the body of the response has ended. The numbers grow until then. A clone that is kept
/// for longer tells nothing.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Next, Request, RequestExt, Response};
///
/// async fn slow_tries(req: Request, next: Next) -> Response {
///     let tally = req.tally().cloned();
///     let response = next.run(req).await;
///     if let Some(tally) = tally
///         && tally.tries() > 1
///     {
///         eprintln!("{} tries, the last at {:?}", tally.tries(), tally.endpoint());
///     }
///     response
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Tally {
    pub(super) watch: Arc<Watch>,
    /// The number of the request on its connection.
    request: u32,
}

/// Never 0, which stands for what is not known.
fn nanos(time: Duration) -> u64 {
    whole_nanos(time).max(1)
}

/// Adds to a number that nobody else writes.
fn add(number: &AtomicU64, more: usize) {
    number.store(number.load(Relaxed) + more as u64, Relaxed);
}

impl Tally {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        let request = watch.numbers.request.load(Relaxed);
        Self { watch, request }
    }

    /// The numbers, as long as they are those of this request.
    fn own(&self) -> Option<&Numbers> {
        let numbers = &self.watch.numbers;
        (numbers.request.load(Relaxed) == self.request).then_some(numbers)
    }

    fn time(&self, of: impl Fn(&Numbers) -> &AtomicU64) -> Option<Duration> {
        let nanos = of(self.own()?).load(Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    fn place(&self) -> Option<Place> {
        lock(&self.own()?.place).clone()
    }

    /// The name of the backend that was asked; `None` if none was.
    pub fn backend(&self) -> Option<Arc<str>> {
        self.place().map(|place| place.backend)
    }

    /// The URL of the endpoint that was asked last; with hedging, of the endpoint that answered. `None` if none was asked.
    pub fn endpoint(&self) -> Option<Arc<str>> {
        self.place().map(|place| place.endpoint)
    }

    /// Who the caller is, if an authenticator has admitted the request; of several, what the innermost says.
    pub fn principal(&self) -> Option<Principal> {
        lock(&self.own()?.caller).clone()
    }

    /// How many endpoints or connections were tried; 0 if no backend was asked.
    pub fn tries(&self) -> u32 {
        self.own().map_or(0, |numbers| numbers.tries.load(Relaxed))
    }

    /// The time until there was a connection to an endpoint, failed tries included; next to nothing for a kept connection.
    pub fn connect(&self) -> Option<Duration> {
        self.time(|numbers| &numbers.connect)
    }

    /// The time from there to the head of the upstream's response.
    pub fn first_byte(&self) -> Option<Duration> {
        self.time(|numbers| &numbers.first_byte)
    }

    /// How long the request has waited for a place at endpoints that have a [queue](crate::QueueOptions); the wait is part of
    /// [`connect`](Self::connect). `None` if it was not asked to wait.
    pub fn queue(&self) -> Option<Duration> {
        self.time(|numbers| &numbers.queue)
    }

    /// The version of HTTP that the client speaks: `1.0`, `1.1` or `2`.
    pub fn protocol(&self) -> Option<&'static str> {
        metrics::version_name(self.own()?.version.load(Relaxed))
    }

    /// The bytes of the body of the request that were read.
    pub fn bytes_in(&self) -> u64 {
        self.own()
            .map_or(0, |numbers| numbers.received.load(Relaxed))
    }

    /// The bytes of the body of the response that were handed to the connection of the client.
    pub fn bytes_out(&self) -> u64 {
        self.own().map_or(0, |numbers| numbers.sent.load(Relaxed))
    }

    /// Why the gateway answered by itself, or why the response was cut. What a layer outside of the reader answers is not known yet.
    pub fn failure(&self) -> Option<Failure> {
        self.own()?.failure()
    }

    /// Has the details taken down that cost something: layers may ask for them.
    pub(crate) fn detail(&self) {
        self.watch.numbers.detailed.store(true, Relaxed);
    }

    /// The numbers, if details are wanted of them.
    fn details(&self) -> Option<&Numbers> {
        self.own().filter(|numbers| numbers.detailed.load(Relaxed))
    }

    /// An authenticator has admitted the request.
    pub(crate) fn is_of(&self, caller: &Principal) {
        if let Some(numbers) = self.details() {
            *lock(&numbers.caller) = Some(caller.clone());
        }
    }

    /// An endpoint is tried.
    pub(crate) fn tries_at(&self, backend: &Arc<str>, endpoint: &Arc<str>) {
        if let Some(numbers) = self.details() {
            let tries = numbers.tries.load(Relaxed);
            numbers.tries.store(tries.saturating_add(1), Relaxed);
            self.is_at(backend, endpoint);
        }
    }

    /// This endpoint is the one that counts.
    pub(crate) fn is_at(&self, backend: &Arc<str>, endpoint: &Arc<str>) {
        if let Some(numbers) = self.details() {
            *lock(&numbers.place) = Some(Place {
                backend: Arc::clone(backend),
                endpoint: Arc::clone(endpoint),
            });
        }
    }

    /// It has a place at an endpoint with a queue, after so long.
    pub(crate) fn waited(&self, time: Duration) {
        if let Some(numbers) = self.details() {
            let before = numbers.queue.load(Relaxed);
            numbers
                .queue
                .store(before.saturating_add(nanos(time)), Relaxed);
        }
    }

    /// There is a connection to an endpoint, for a request that came then.
    pub(crate) fn connected(&self, came: Instant) {
        if let Some(numbers) = self.details() {
            numbers.connect.store(nanos(came.elapsed()), Relaxed);
        }
    }

    /// The head of the response to a try is there now that was sent then. Says how many nanoseconds it took, of a request that
    /// `started` then.
    pub(crate) fn has_head(&self, sent: Instant, started: Instant, now: Instant) -> u64 {
        let numbers = &self.watch.numbers;
        let since = nanos(now.saturating_duration_since(self.watch.start));
        numbers.now.store(since, Relaxed);
        let took = if sent == started {
            // As a rule.
            since.saturating_sub(numbers.began.load(Relaxed))
        } else {
            whole_nanos(now.saturating_duration_since(sent))
        };
        if self.is_detailed()
            && let Some(numbers) = self.own()
        {
            numbers.first_byte.store(took.max(1), Relaxed);
        }
        took
    }

    /// Whether the details may be read.
    pub(crate) fn is_detailed(&self) -> bool {
        self.watch.numbers.detailed.load(Relaxed)
    }

    /// It has a context in a trace, and a span if that is recorded.
    pub(crate) fn traced(&self, trace: Option<Trace>) {
        self.watch.numbers.trace.put(trace);
    }

    /// Whether its context is that of this gateway.
    pub(crate) fn is_traced(&self) -> bool {
        self.watch.numbers.trace.is_on()
    }

    /// Its trace, if that is recorded.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.own()?.trace.get()
    }

    /// The number of the route that takes it.
    pub(crate) fn route(&self, index: usize) {
        let index = u32::try_from(index).unwrap_or(NO_ROUTE);
        self.watch.numbers.route.store(index, Relaxed);
    }

    /// The number of the route that has taken it.
    #[cfg(feature = "testing")]
    pub(crate) fn taken_by(&self) -> Option<usize> {
        let route = self.own()?.route.load(Relaxed);
        (route != NO_ROUTE).then_some(route as usize)
    }

    /// When the gateway began to answer it; the first word counts.
    pub(crate) fn began(&self, at: Instant) {
        let began = &self.watch.numbers.began;
        if began.load(Relaxed) == 0 {
            let since = at.saturating_duration_since(self.watch.start);
            began.store(nanos(since), Relaxed);
        }
    }

    /// It has a response. Says whether that has no body to send: one to `HEAD`, `204` and `304` have none.
    #[inline]
    pub(crate) fn answered(&self, response: &Response<impl Body>, head: bool) -> bool {
        let numbers = &self.watch.numbers;
        let status = response.status();
        numbers.status.store(status.as_u16(), Relaxed);
        if let Some(&failure) = response.extensions().get() {
            self.failed(failure);
        }
        let length = response.body().size_hint().exact();
        numbers.length.store(length.unwrap_or(UNKNOWN), Relaxed);
        let bodiless = head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        numbers.whole.store(bodiless, Relaxed);
        bodiless
    }

    /// What goes wrong with it, or what was answered for that reason; the first word counts.
    pub(crate) fn failed(&self, failure: Failure) {
        let known = &self.watch.numbers.failure;
        if known.load(Relaxed) == 0 {
            known.store(failure as u8 + 1, Relaxed);
        }
    }

    /// The next frame of the response, or its end, is handed to the connection.
    pub(crate) fn sends(&self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        let numbers = &self.watch.numbers;
        match frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => add(&numbers.sent, data.len()),
                // Nothing comes behind trailers.
                None => numbers.whole.store(true, Relaxed),
            },
            Some(Err(error)) => self.failed(error.as_failure().unwrap_or(Failure::Internal)),
            None => numbers.whole.store(true, Relaxed),
        }
    }

    /// It was answered with another protocol.
    #[cold]
    pub(super) fn switched(&self) {
        let status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        self.count(status, None, None);
    }

    /// Counts it, `since` nanoseconds after the start of the watch. What is dropped before its end says [why](ending::why).
    #[inline]
    pub(super) fn ended(&self, since: u64) {
        let numbers = &self.watch.numbers;
        let (mut status, mut failure) = (numbers.status.load(Relaxed), numbers.failure());
        let whole = || {
            numbers.whole.load(Relaxed)
                || numbers.sent.load(Relaxed) >= numbers.length.load(Relaxed)
        };
        if status == 0 {
            let why = failure.unwrap_or_else(ending::why);
            (status, failure) = (why.status().as_u16(), Some(why));
        } else if failure.is_none() && !whole() {
            failure = Some(ending::why());
        }
        self.count(status, failure, Some(since));
        self.end_trace(status, failure);
    }

    /// The tunnel that it was answered with has ended.
    pub(super) fn left_tunnel(&self) {
        self.end_trace(StatusCode::SWITCHING_PROTOCOLS.as_u16(), None);
    }

    fn end_trace(&self, status: u16, failure: Option<Failure>) {
        let numbers = &self.watch.numbers;
        if let Some(trace) = numbers.trace.take() {
            let route = numbers.route.load(Relaxed);
            trace.end(End {
                route: Some(route).filter(|&route| route != NO_ROUTE),
                status,
                failure,
                protocol: metrics::version_name(numbers.version.load(Relaxed)),
            });
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "each request passes here, and one place calls it"
    )]
    fn count(&self, status: u16, failure: Option<Failure>, since: Option<u64>) {
        let Some(meter) = &self.watch.meter else {
            return;
        };
        let numbers = &self.watch.numbers;
        let took = since.map(|since| match numbers.began.load(Relaxed) {
            0 => 0,
            began => since.saturating_sub(began),
        });
        let route = numbers.route.load(Relaxed);
        meter.count(&Ended {
            route: Some(route).filter(|&route| route != NO_ROUTE),
            method: numbers.method.load(Relaxed),
            version: numbers.version.load(Relaxed),
            status,
            error: ErrorType::of(status, failure),
            took,
            received: numbers.received.load(Relaxed),
            sent: numbers.sent.load(Relaxed),
        });
    }
}
