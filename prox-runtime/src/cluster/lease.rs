//! One try of a request on one endpoint, from the choice to the last byte of the response.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::{Core, Permit, Upstream, balance::sticky::Belongs, breaker::Ticket, health};
use crate::error::{Error, Failure};

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
    /// The client left, or the time of the request as a whole was over, which says nothing of the endpoint.
    Left,
}

impl Outcome {
    pub(super) fn verdict(self) -> health::Outcome {
        match self {
            Self::Status(status) => health::Outcome::of(status),
            Self::Failed(failure) => health::Outcome::of_failure(failure),
            Self::Left => health::Outcome::Unknown,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Failed(failure) => write!(f, "{failure}"),
            Self::Left => f.write_str("the client left"),
        }
    }
}

/// One request on one endpoint; the endpoint counts it as under way until this is dropped.
///
/// When nobody [settles](Self::settle) it, the client has left, and that is what dropping it says.
#[must_use = "the endpoint counts a request for as long as this lives"]
pub(crate) struct Lease {
    core: Arc<Core>,
    index: usize,
    /// Its place, where there is a limit.
    permit: Option<Permit>,
    /// What the breaker has to be answered with.
    ticket: Option<Ticket>,
    probe: bool,
    settled: bool,
}

impl Lease {
    pub(super) fn new(core: &Arc<Core>, index: usize, ticket: Option<Ticket>, probe: bool) -> Self {
        core.upstream(index).load.enter();
        Self {
            core: Arc::clone(core),
            index,
            permit: None,
            ticket,
            probe,
            settled: false,
        }
    }

    /// The number of the endpoint in its cluster.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        self.core.upstream(self.index)
    }

    /// How long the endpoint has taken since then, where anybody goes by it: a clock is not read for nothing.
    pub(crate) fn since(&self, sent: Instant) -> Duration {
        if self.ticket.is_some() || self.core.is_watched(self.upstream()) {
            sent.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// Keeps the place that the request was given at the endpoint for as long as the lease lives.
    pub(crate) fn hold(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// Says what became of the try, once: the first word counts. `after` is how long the endpoint took to answer.
    ///
    /// The endpoint goes on counting the request until the lease is dropped.
    pub(crate) fn settle(&mut self, outcome: Outcome, after: Duration) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let ticket = self.ticket.take();
        self.core
            .settle(self.index, ticket, self.probe, outcome, after);
    }

    /// The `Set-Cookie` that keeps the caller at this endpoint; none when it belongs here already, or nobody asked for it.
    pub(crate) fn cookie(&self, caller: &Caller, secure: bool) -> Option<HeaderValue> {
        let affinity = self.core.affinity()?;
        if caller.belongs == Belongs::To(self.index) {
            return None;
        }
        affinity.bind(self.index, secure)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the place is given to who waits for it.
        self.upstream().load.leave();
        self.settle(Outcome::Left, Duration::ZERO);
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
