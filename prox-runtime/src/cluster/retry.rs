//! Whether a request that failed is tried again, and when.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use tokio::time::Instant;

use super::{budget::Budget, rng::Rng};
use crate::time::FOREVER;

/// What is tried again: `.retry(2)`, or `.retry(RetryOptions::new(2).per_try_timeout(1s))`.
///
/// A request for which no connection could be made goes to another endpoint, up to three of them one after the other and within
/// the [budget](crate::BudgetOptions), for any method, since nothing was sent. Everything else is tried again only when asked
/// for, and only if all of this holds:
///
/// - the method is idempotent (RFC 9110, 9.2.2), or [`any_method`](Self::any_method) says that it does not matter;
/// - the body is empty or can be sent again: it is not longer than 64 KiB;
/// - the answer is 502, 503 or 504, or the connection was reset, or a [time limit for one try](Self::per_try_timeout) ran out;
/// - nothing of the response has gone to the client;
/// - the [budget](crate::BudgetOptions) is not used up, and the time limit of the request leaves time for it.
///
/// A request that its upstream has provably not processed is sent again whatever its method, and however often that happens: nothing of
/// it had left, or an upstream of HTTP/2 said so (`REFUSED_STREAM`, or a `GOAWAY` for an earlier stream). So is an idempotent request
/// without a body that is lost with a kept connection. The first time is free, and on the same endpoint; from then on the
/// [budget](crate::BudgetOptions) bounds it, and the time that a connection may take
/// ([`connect_timeout`](crate::ClusterBuilder::connect_timeout), 3 s), counted from the first refusal.
///
/// An endpoint that is gone takes nothing from the number of retries. A request that may be retried and is lost with a kept connection,
/// before a byte of its response, is sent on another connection to the same endpoint: free, and once for each endpoint that is tried. If that
/// one is lost as well, or does not come about, the request moves to an endpoint that was not tried. There are up to three such moves.
///
/// The next try goes to another endpoint, if there is one. Before it, the request waits for a random time: up to 25 ms before
/// the first retry, twice as much before each further one, up to 250 ms ("full jitter"). A `Retry-After` of up to 1 s is
/// waited for; an answer that asks for more is passed on.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::RetryOptions;
/// use std::time::Duration;
///
/// let options = RetryOptions::new(2).per_try_timeout(Duration::from_millis(500));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct RetryOptions {
    retries: u32,
    per_try: Option<Duration>,
    any_method: bool,
    statuses: Vec<StatusCode>,
    first: Duration,
    longest: Duration,
    patience: Duration,
}

/// Retries because an endpoint is gone, beyond those that were asked for, while there is an endpoint that was not tried. More than
/// one, because several endpoints can be gone at once, and nobody knows yet.
const MOVES: u32 = 3;

impl RetryOptions {
    /// Up to so many retries, after the first try.
    pub fn new(retries: u32) -> Self {
        Self {
            retries,
            per_try: None,
            any_method: false,
            statuses: vec![
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            first: Duration::from_millis(25),
            longest: Duration::from_millis(250),
            patience: Duration::from_secs(1),
        }
    }

    /// Gives up a try whose response has not begun after so long, and makes the next; off by default. A request that may not be tried
    /// again, such as a `POST`, ends then with `504`.
    #[must_use]
    pub fn per_try_timeout(mut self, limit: Duration) -> Self {
        self.per_try = Some(limit.min(FOREVER));
        self
    }

    /// Retries requests of every method: their effect must be the same if an upstream gets them twice.
    #[must_use]
    pub fn any_method(mut self) -> Self {
        self.any_method = true;
        self
    }

    /// Retries answers with these statuses, instead of 502, 503 and 504, or of those of an earlier call.
    #[must_use]
    pub fn on(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Waits up to `first` before the first retry, twice as long before each further one, and never longer than `longest`; 25 ms
    /// and 250 ms by default.
    #[must_use]
    pub fn back_off(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest.max(first));
        self
    }

    /// Waits for a `Retry-After` of at most so long; 1 s by default.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit.min(FOREVER);
        self
    }

    /// Whether anything but a failure to connect is ever tried again.
    pub(crate) fn is_on(&self) -> bool {
        self.retries > 0
    }

    /// Whether an answer with this status is a reason to try again.
    pub(crate) fn is_for(&self, status: StatusCode) -> bool {
        self.is_on() && self.statuses.contains(&status)
    }

    /// How long a try may take that begins now, when the request as a whole must end at `end`.
    pub(crate) fn try_limit(&self, end: Option<Instant>, now: Instant) -> Option<Duration> {
        let left = end.map(|end| end.saturating_duration_since(now));
        match (self.per_try, left) {
            (Some(limit), Some(left)) => Some(limit.min(left)),
            (limit, left) => limit.or(left),
        }
    }

    /// Whether the body of such a request should be kept for another try; see [`Replay`](crate::replay::Replay).
    pub(crate) fn keeps_bodies_of(&self, method: &Method) -> bool {
        self.is_on() && (self.any_method || method.is_idempotent())
    }

    /// Decides whether a try that failed is made again; what it allows is taken from the budget.
    pub(crate) fn decide(
        &self,
        attempt: &Attempt<'_>,
        budget: &Budget,
        now: Instant,
        rng: &Rng,
    ) -> Verdict {
        let wait = match self.wait(attempt, rng) {
            Ok(wait) => wait,
            Err(reason) => return Verdict::GiveUp(reason),
        };
        if attempt
            .end
            .is_some_and(|end| end.saturating_duration_since(now) <= wait)
        {
            return Verdict::GiveUp(Reason::NoTime);
        }
        // Last, because it takes something.
        if budget.withdraw(now) {
            Verdict::Retry { wait }
        } else {
            Verdict::GiveUp(Reason::Budget)
        }
    }

    /// How long to wait before the next try, if the failure, the request and the count allow one.
    fn wait(&self, attempt: &Attempt<'_>, rng: &Rng) -> Result<Duration, Reason> {
        if attempt.failed == Failed::Connect {
            if attempt.moves_on() {
                return Ok(Duration::ZERO);
            }
            self.left(attempt)?;
            return Ok(self.back_off_before(attempt.retries, rng));
        }
        if attempt.failed == Failed::Unprocessed {
            // Time and budget are its only limits.
            return Ok(self.back_off_before(attempt.retries, rng));
        }
        let asked = match attempt.failed {
            Failed::Status(status, _) if !self.statuses.contains(&status) => {
                return Err(Reason::Final);
            }
            Failed::Other => return Err(Reason::Final),
            Failed::Status(_, RetryAfter::After(asked)) => asked,
            Failed::Status(_, RetryAfter::Unclear) => Duration::MAX,
            _ => Duration::ZERO,
        };
        let moves_on = attempt.moves_on() && self.is_on();
        if !moves_on {
            self.left(attempt)?;
        }
        if !self.any_method && !attempt.method.is_idempotent() {
            return Err(Reason::Method);
        }
        if !attempt.body_again {
            return Err(Reason::Body);
        }
        if asked > self.patience {
            return Err(Reason::RetryAfter);
        }
        if moves_on {
            return Ok(Duration::ZERO);
        }
        Ok(self.back_off_before(attempt.retries, rng).max(asked))
    }

    fn left(&self, attempt: &Attempt<'_>) -> Result<(), Reason> {
        if attempt.retries < self.retries {
            return Ok(());
        }
        Err(if self.retries == 0 {
            Reason::Off
        } else {
            Reason::Count
        })
    }

    /// Any time up to a limit that doubles with each retry.
    fn back_off_before(&self, retries: u32, rng: &Rng) -> Duration {
        let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
        rng.up_to(self.first.saturating_mul(factor).min(self.longest))
    }
}

impl From<u32> for RetryOptions {
    fn from(retries: u32) -> Self {
        Self::new(retries)
    }
}

impl Default for RetryOptions {
    /// No retries but those for failures to connect.
    fn default() -> Self {
        Self::new(0)
    }
}

/// A try that failed before anything of a response went to the client, and what is left of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) method: &'a Method,
    pub(crate) failed: Failed,
    /// How often it was tried again before; 0 after the first try. Neither a kept connection that turned out to be dead counts, nor
    /// an endpoint that was gone.
    pub(crate) retries: u32,
    /// How often it went elsewhere because an endpoint was gone.
    pub(crate) moves: u32,
    /// Whether all of the body can be sent again. When nothing was sent, it is not asked.
    pub(crate) body_again: bool,
    /// Whether there is an endpoint that may be used and was not tried.
    pub(crate) another_endpoint: bool,
    /// When the request as a whole runs out of time.
    pub(crate) end: Option<Instant>,
}

impl Attempt<'_> {
    /// Whether the request may go elsewhere because the endpoint is gone, which is not one of the retries that somebody asked for.
    pub(crate) fn moves_on(&self) -> bool {
        let is_gone = matches!(self.failed, Failed::Connect | Failed::Lost);
        is_gone && self.moves < MOVES && self.another_endpoint
    }
}

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// There was no connection (DNS, TCP, TLS, or late), so nothing was sent.
    Connect,
    /// The upstream has not processed the request, by its own word or because nothing of it has left; or the request was lost with a
    /// kept connection, and is idempotent. It was sent again before, and that happened once more.
    Unprocessed,
    /// The request was lost with a kept connection, and then with the next one to the same endpoint, which is about to go.
    Lost,
    /// The connection or the stream ended before the response.
    Reset,
    /// The [limit for one try](RetryOptions::per_try_timeout) ran out.
    TryTimeout,
    /// The endpoint answered with this status.
    Status(StatusCode, RetryAfter),
    /// Anything else: a malformed response, a limit of the whole request, a request that the client broke off.
    Other,
}

/// What the header `Retry-After` of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    Nothing,
    After(Duration),
    /// A date, or no value that RFC 9110, 10.2.3 knows. A date has whole seconds, and clocks differ by more than a retry may
    /// wait, so it counts as too long.
    Unclear,
}

impl RetryAfter {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::RETRY_AFTER) else {
            return Self::Nothing;
        };
        let digits = value.as_bytes().trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Self::Unclear;
        }
        let seconds = str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        Self::After(seconds.map_or(Duration::MAX, Duration::from_secs))
    }
}

/// Whether to try again; a `tracing` event and a count, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again after `wait`, on an endpoint that was not tried, if there is one.
    Retry { wait: Duration },
    /// Pass on what there is.
    GiveUp(Reason),
}

/// Why a request is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The failure is none that another try could mend.
    Final,
    /// Nobody asked for retries.
    Off,
    /// There were as many as were asked for.
    Count,
    /// The method is not idempotent.
    Method,
    /// The body cannot be sent again.
    Body,
    /// The upstream asked for more patience than there is.
    RetryAfter,
    /// The request's time would run out.
    NoTime,
    /// The budget is used up.
    Budget,
}

impl Reason {
    /// Whether another try was asked for, and could have been of use.
    pub(crate) const fn is_refusal(self) -> bool {
        !matches!(self, Self::Final | Self::Off)
    }

    /// The stable name, for events and counters.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Off => "off",
            Self::Count => "count",
            Self::Method => "method",
            Self::Body => "body",
            Self::RetryAfter => "retry_after",
            Self::NoTime => "no_time",
            Self::Budget => "budget",
        }
    }
}

#[cfg(test)]
mod tests;
