//! Whether a slow request is sent a second time, to another endpoint.

use std::{sync::Arc, time::Duration};

use http::Method;
use tokio::time::Instant;

use super::budget::{Budget, BudgetOptions};
use crate::time::FOREVER;

/// Sends a request that takes long to a second endpoint too, and uses the first answer: `.hedge(50ms)`, or
/// `.hedge(HedgeOptions::after(50ms).budget(..))`. Off by default.
///
/// It cuts the longest waits, where they come from one slow endpoint, at the price of a few more requests. A good delay is the
/// 95th percentile of the latency. Only idempotent requests (RFC 9110, 9.2.2) are hedged, once, with a body of at most 64 KiB that
/// has arrived whole by then, and within a budget of its own: 5 % of the requests and 1 a second, unless
/// [`budget`](Self::budget) says otherwise. The first answer counts that is not `5xx`, and the other try is cancelled; when both
/// fail, it is the failure of the first. Upgrades are not hedged, and neither is a client that its cookie keeps at an endpoint.
///
/// Both tries wait for their turn, and end with the time of the request. Each counts for its endpoint, and for the breaker; one
/// that was cancelled says nothing against anybody.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::HedgeOptions;
/// use std::time::Duration;
///
/// let options = HedgeOptions::after(Duration::from_millis(50));
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HedgeOptions {
    after: Duration,
    budget: BudgetOptions,
}

impl HedgeOptions {
    /// Sends the second request when there is no answer after `delay`.
    pub fn after(delay: Duration) -> Self {
        Self {
            after: delay.min(FOREVER),
            budget: BudgetOptions::for_hedging(),
        }
    }

    /// Bounds how many requests are hedged; 5 % and 1 a second by default.
    #[must_use]
    pub fn budget(mut self, budget: BudgetOptions) -> Self {
        self.budget = budget;
        self
    }

    /// The budget, which is apart from the one for retries. Each request that could be hedged is a deposit.
    pub(crate) fn new_budget(&self, now: Instant) -> Budget {
        Budget::new(self.budget, now)
    }

    /// When to ask [`decide`](Self::decide) about a request that was sent `sent`; `None` when it is never hedged.
    pub(crate) fn due(&self, method: &Method, body_again: bool, sent: Instant) -> Option<Instant> {
        (method.is_idempotent() && body_again).then(|| sent + self.after)
    }

    /// Decides, once the request is due and has no answer. It is asked once; what it allows is taken from the budget.
    pub(crate) fn decide(
        another_endpoint: bool,
        end: Option<Instant>,
        budget: &Budget,
        now: Instant,
    ) -> Hedge {
        if !another_endpoint {
            Hedge::No(NoHedge::Alone)
        } else if end.is_some_and(|end| now >= end) {
            Hedge::No(NoHedge::NoTime)
        } else if budget.withdraw(now) {
            Hedge::Send
        } else {
            Hedge::No(NoHedge::Budget)
        }
    }
}

impl From<Duration> for HedgeOptions {
    fn from(delay: Duration) -> Self {
        Self::after(delay)
    }
}

/// The options of a route, and what is left of its budget.
#[derive(Debug)]
pub(crate) struct Hedging {
    pub(crate) options: HedgeOptions,
    pub(crate) budget: Budget,
}

impl Hedging {
    pub(super) fn new(options: HedgeOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            budget: options.new_budget(Instant::now()),
        })
    }
}

/// What becomes of a request that is due to be hedged; an event and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hedge {
    /// Send it to another endpoint too.
    Send,
    /// Go on waiting for the first one.
    No(NoHedge),
}

/// Why a slow request is not hedged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHedge {
    /// There is no other endpoint that may be used.
    Alone,
    /// The client has not sent all of its body yet, or it is too long to be kept.
    Body,
    /// The request's time has run out.
    NoTime,
    /// The budget is used up.
    Budget,
}

impl NoHedge {
    /// The stable name, for events.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Body => "body",
            Self::NoTime => "no_time",
            Self::Budget => "budget",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idempotent_requests_that_can_be_sent_again_are_hedged() {
        let now = Instant::now();
        let delay = Duration::from_millis(50);
        let options = HedgeOptions::after(delay);
        assert_eq!(options.due(&Method::GET, true, now), Some(now + delay));
        assert_eq!(options.due(&Method::GET, false, now), None);
        assert_eq!(options.due(&Method::POST, true, now), None);
    }

    #[test]
    fn a_hedge_needs_another_endpoint_and_time_and_a_budget_of_its_own() {
        let now = Instant::now();
        let budget = HedgeOptions::after(Duration::ZERO).new_budget(now);
        for _ in 0..200 {
            budget.deposit(now);
        }
        let decide = |another, end| HedgeOptions::decide(another, end, &budget, now);
        assert_eq!(decide(false, None), Hedge::No(NoHedge::Alone));
        assert_eq!(decide(true, Some(now)), Hedge::No(NoHedge::NoTime));
        let sent = (0..100)
            .filter(|_| decide(true, None) == Hedge::Send)
            .count();
        assert_eq!(sent, 10 + 10);
        assert_eq!(decide(true, None), Hedge::No(NoHedge::Budget));
    }
}
