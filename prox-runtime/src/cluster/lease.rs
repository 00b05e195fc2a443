//! One try of a request on one endpoint, from the choice to the last byte of the response.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::{
    Core, Permit, Upstream,
    balance::sticky::Belongs,
    breaker::Ticket,
    health::{self, passive::Passive},
};
use crate::{
    error::{Error, Failure},
    observe::traces::Try,
    time::whole_nanos,
};

/// What was asked of a request once, before its first try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// What the balancer tells requests apart by.
    pub(super) key: Option<u64>,
    /// Where its cookie says that it belongs.
    pub(super) belongs: Belongs,
}

impl Caller {
    pub(crate) const ANYBODY: Self = Self {
        key: None,
        belongs: Belongs::Nowhere,
    };

    /// Whether its cookie keeps it at an endpoint.
    pub(crate) fn is_bound(&self) -> bool {
        matches!(self.belongs, Belongs::To(_))
    }
}

/// Why a request gets no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// `NoEndpoint` or `CircuitOpen`.
    pub(crate) failure: Failure,
    /// When it is worth to ask again, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::failure(unavailable.failure)
    }
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The upstream answered.
    Status(StatusCode),
    /// It did not; only what is the endpoint's doing counts against it.
    Failed(Failure),
    /// Its time was over, but this process stood still, which says nothing of the endpoint.
    Late(Failure),
    /// The client left, or the time of the request as a whole was over, which says nothing of the endpoint.
    Left,
}

impl Outcome {
    pub(super) fn verdict(self) -> health::Outcome {
        match self {
            Self::Status(status) => health::Outcome::of(status),
            Self::Failed(failure) => health::Outcome::of_failure(failure),
            Self::Late(_) | Self::Left => health::Outcome::Unknown,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Failed(failure) | Self::Late(failure) => write!(f, "{failure}"),
            Self::Left => f.write_str("the client left"),
        }
    }
}

/// What the wait of a request says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Nothing before this time.
    Briefly { until: Instant },
    /// It is long, but the endpoint is in use.
    Long,
    /// The endpoint is out of use because it is silent.
    Silent,
}

/// How a lease keeps its endpoint.
#[derive(Debug)]
pub(super) enum Hold {
    /// By its number: the cluster itself keeps all that it has.
    Fixed(usize),
    /// By itself: it may leave the cluster before the request ends.
    Moving(Arc<Upstream>),
}

/// One request on one endpoint; the endpoint counts it as under way until this is dropped.
///
/// When nobody [settles](Self::settle) it, and there was no answer, the client has left: that is what dropping it says.
#[must_use = "the endpoint counts a request for as long as this lives"]
pub(crate) struct Lease {
    core: Arc<Core>,
    hold: Hold,
    /// Its place, where there is a limit.
    permit: Option<Permit>,
    /// What the breaker has to be answered with.
    ticket: Option<Ticket>,
    probe: bool,
    /// When the endpoint was chosen.
    began: Instant,
    settled: bool,
    /// Whether its request counts as one that waits for long.
    overdue: bool,
    /// What counts for the try unless the response breaks off.
    answered: Option<Answered>,
    /// Takes down what becomes of it, in a trace.
    recorded: Option<Try>,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    status: StatusCode,
    /// When it was, for a probe.
    since: Option<Instant>,
}

/// How long the response to a probe goes on until it counts as one that will: it may be a stream without an end.
const PROBED: Duration = Duration::from_secs(1);

impl Lease {
    pub(super) fn new(
        core: &Arc<Core>,
        hold: Hold,
        ticket: Option<Ticket>,
        probe: bool,
        began: Instant,
    ) -> Self {
        let lease = Self {
            core: Arc::clone(core),
            hold,
            permit: None,
            ticket,
            probe,
            began,
            settled: false,
            overdue: false,
            answered: None,
            recorded: None,
        };
        lease.upstream().load.enter();
        lease
    }

    /// The number of the endpoint in its cluster.
    pub(crate) fn index(&self) -> usize {
        match &self.hold {
            Hold::Fixed(index) => *index,
            Hold::Moving(upstream) => upstream.index(),
        }
    }

    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        match &self.hold {
            Hold::Fixed(index) => self.core.fixed(*index),
            Hold::Moving(upstream) => upstream,
        }
    }

    /// Keeps the place that the request was given at the endpoint for as long as the lease lives.
    pub(crate) fn hold(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// Takes down what becomes of the try, until the lease is dropped.
    pub(crate) fn record(&mut self, span: Try) {
        self.recorded = Some(span);
    }

    /// What is taken down of the try, if it is.
    pub(crate) fn recorded(&mut self) -> Option<&mut Try> {
        self.recorded.as_mut()
    }

    /// Says what became of the try, once: the first word counts.
    ///
    /// The endpoint goes on counting the request until the lease is dropped.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        if let (Some(span), Outcome::Failed(failure) | Outcome::Late(failure)) =
            (&mut self.recorded, outcome)
        {
            span.failed(failure);
        }
        let had_head = self.answered.take().is_some();
        if !had_head && !self.settled {
            self.count_outcome(outcome);
        }
        self.close(outcome);
    }

    #[cold]
    fn count_outcome(&self, outcome: Outcome) {
        let (status, failure) = match outcome {
            Outcome::Status(status) => (status.as_u16(), None),
            Outcome::Failed(failure) | Outcome::Late(failure) => (0, Some(failure)),
            Outcome::Left => (0, Some(Failure::ClientGone)),
        };
        self.count(status, failure, whole_nanos(self.began.elapsed()));
    }

    /// Counts the try, which has ended with this status or with this failure.
    #[inline]
    fn count(&self, status: u16, failure: Option<Failure>, took: u64) {
        let tries = &self.upstream().tries;
        self.core.tries.count(tries, status, failure, took);
    }

    /// The same for a try that is counted.
    fn close(&mut self, outcome: Outcome) {
        self.answered = None;
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let ticket = self.ticket.take();
        let (probe, began) = (self.probe, self.began);
        self.core
            .settle(self.upstream(), ticket, probe, began, outcome);
    }

    /// How long its request waits for an answer until the endpoint may be silent; none where that ejects nobody.
    pub(crate) fn silence(&self, response_timeout: Duration) -> Option<Duration> {
        self.passive()?.silence(response_timeout)
    }

    /// Says that its request has waited for an answer `since` then, and tells what that means where it may wait for `limit`.
    pub(crate) fn waited(&mut self, since: Instant, limit: Duration, now: Instant) -> Waited {
        let Some(passive) = self.passive() else {
            return Waited::Long;
        };
        let patience = passive.patience(limit, now);
        let until = since + patience;
        if now < until {
            return Waited::Briefly { until };
        }
        if !self.overdue {
            passive.waits();
            self.overdue = true;
        }
        if !self.core.is_silent(self.upstream(), patience, now) {
            return Waited::Long;
        }
        if self.probe {
            self.settle(Outcome::Failed(Failure::ResponseTimeout));
        }
        Waited::Silent
    }

    /// Something has come from the endpoint.
    pub(crate) fn heard(&self, now: Instant) {
        if let Some(passive) = self.passive() {
            passive.heard(now);
        }
    }

    /// Since when more of a response is waited for. As the wait begins, the endpoint has just been heard.
    pub(crate) fn waits_since(&self, begun: &mut Option<Instant>) -> Instant {
        *begun.get_or_insert_with(|| {
            let now = Instant::now();
            self.heard(now);
            now
        })
    }

    fn passive(&self) -> Option<&Passive> {
        self.upstream().state.passive.as_ref()
    }

    fn waits_no_more(&mut self) {
        if std::mem::take(&mut self.overdue)
            && let Some(passive) = self.passive()
        {
            passive.waits_no_more();
        }
    }

    /// Notes the answer, which came at `now` to a request of the time `sent`; `took` is in nanoseconds. A good answer counts once
    /// its response has ended, since until then it may [break off](Self::broke_off).
    pub(crate) fn answered(&mut self, status: StatusCode, sent: Instant, now: Instant, took: u64) {
        self.waits_no_more();
        if let Some(span) = &mut self.recorded {
            span.answered(status);
        }
        self.count(status.as_u16(), None, took);
        let outcome = Outcome::Status(status);
        if outcome.verdict() == health::Outcome::Bad {
            return self.close(outcome);
        }
        let is_probe = self.probe && !self.settled;
        self.core.answered(self.upstream(), sent, is_probe, now);
        if let Some(ticket) = self.ticket.take_if(|ticket| ticket.is_probe()) {
            self.core.passed(ticket);
        }
        let since = self.probe.then_some(now);
        self.answered = Some(Answered { status, since });
    }

    /// More of the response has come.
    pub(crate) fn goes_on(&mut self) {
        if self.proven().is_some_and(|at| at <= Instant::now()) {
            self.conclude();
        }
    }

    /// When a probe whose response still goes on, or is silent, has [passed](Self::conclude).
    pub(crate) fn proven(&self) -> Option<Instant> {
        Some(self.answered?.since? + PROBED)
    }

    /// The response broke off. That counts instead of its status, if it is the endpoint's doing.
    pub(crate) fn broke_off(&mut self, error: &Error) {
        if let (Some(span), Some(failure)) = (&mut self.recorded, error.as_failure()) {
            span.failed(failure);
        }
        if let Some(failure) = error.as_failure()
            && Outcome::Failed(failure).verdict() == health::Outcome::Bad
        {
            self.settle(Outcome::Failed(failure));
        }
    }

    /// The response has ended, or can no longer break off: its status counts. A client that left before its end changes nothing.
    pub(crate) fn conclude(&mut self) {
        if let Some(Answered { status, .. }) = self.answered.take() {
            self.close(Outcome::Status(status));
        }
    }

    /// The `Set-Cookie` that keeps the caller at this endpoint; none when it belongs here already, or nobody asked for it.
    pub(crate) fn cookie(&self, caller: &Caller, secure: bool) -> Option<HeaderValue> {
        let affinity = self.core.affinity()?;
        let value = self.upstream().cookie()?;
        if caller.belongs == Belongs::To(value) {
            return None;
        }
        affinity.bind(value, secure)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the place is given to who waits for it.
        self.upstream().load.leave();
        self.waits_no_more();
        self.conclude();
        self.settle(Outcome::Left);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("endpoint", &self.upstream().endpoint)
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
