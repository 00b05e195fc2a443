//! The wait of a try for its response: how long it goes on, and what it says about the endpoint.

use std::time::Duration;

use tokio::time::Instant;

use super::{Spare, Upload};
use crate::{
    cluster::{Attempt, Core, Failed, Lease, Policy, Reason, Verdict, Waited},
    error::Failure,
    pool::Patience,
};

/// How often a request that waits for long looks at the endpoint again.
const LOOKS: Duration = Duration::from_secs(1);

/// The wait of one try.
pub(super) struct Waiting<'a> {
    pub(super) core: &'a Core,
    pub(super) policy: &'a Policy,
    pub(super) lease: &'a mut Lease,
    pub(super) upload: &'a Upload,
    /// The body for another try.
    pub(super) spare: Option<&'a mut Spare>,
    pub(super) attempt: Attempt<'a>,
    pub(super) sent: Instant,
    /// The end of the try or of the request, whatever comes first.
    pub(super) end: Option<Instant>,
    pub(super) state: Silence,
}

/// What is known of the endpoint's silence.
#[derive(Default)]
pub(super) struct Silence {
    /// How long the wait must be for the endpoint to be silent; none where nobody looks.
    limit: Option<Duration>,
    /// When to look next, after the first time.
    next: Option<Instant>,
    /// Whether another try was refused for good.
    refused: bool,
    /// The request goes elsewhere after this time.
    leaves: Option<Duration>,
    /// When the time of the try was over.
    due: Option<Instant>,
}

impl Silence {
    pub(super) fn new(lease: &Lease, policy: &Policy) -> Self {
        Self {
            limit: lease.silence(policy.response_timeout),
            ..Self::default()
        }
    }
}

impl Waiting<'_> {
    /// Whether the request has left the endpoint because of its silence, and how long it waits before its next try.
    pub(super) fn leaves(&self) -> Option<Duration> {
        self.state.leaves
    }

    /// When the time of the try was over, if that ended it.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state.due
    }

    fn last(&self) -> Option<Instant> {
        self.upload.deadline(self.sent, self.policy, self.end)
    }

    /// Looks at the endpoint, and says whether the request leaves it, and when to look again.
    fn look(&mut self, heard: bool, now: Instant) -> Result<Instant, Duration> {
        let (Some(limit), Some((since, _))) =
            (self.state.limit, self.upload.upstream_since(self.sent))
        else {
            return Ok(now + LOOKS);
        };
        if heard {
            self.lease.heard(now);
            return Ok(now + limit);
        }
        let again = now + LOOKS.min(limit / 4).max(Duration::from_millis(1));
        match self.lease.waited(since, limit, now) {
            Waited::Briefly { until } => Ok(until),
            Waited::Long => Ok(again),
            Waited::Silent => self.elsewhere().map_or(Ok(again), Err),
        }
    }

    /// When the request may be tried elsewhere, which takes from the budget of retries. Otherwise it goes on waiting: the
    /// endpoint may still answer.
    fn elsewhere(&mut self) -> Option<Duration> {
        let options = &self.policy.retry;
        if self.state.refused || !options.is_on() || !self.core.has_another(&[self.lease.index()]) {
            return None;
        }
        let attempt = Attempt {
            failed: Failed::TryTimeout,
            body_again: self.spare.as_ref().is_some_and(|spare| spare.is_whole()),
            ..self.attempt
        };
        let endpoint = &self.lease.upstream().endpoint;
        match self.core.decide(options, &attempt, endpoint, "silence") {
            Verdict::Retry { wait } => Some(wait),
            Verdict::GiveUp(reason) => {
                self.state.refused = reason != Reason::Budget;
                None
            }
        }
    }
}

impl Patience for Waiting<'_> {
    fn deadline(&mut self) -> Option<Instant> {
        let last = self.last();
        let Some(limit) = self.state.limit else {
            return last;
        };
        let first = || Some(self.upload.upstream_since(self.sent)?.0 + limit);
        let look = self.state.next.or_else(first);
        look.into_iter().chain(last).min()
    }

    fn passed(&mut self, heard: bool) -> Option<Failure> {
        let now = Instant::now();
        self.state.due = self.last().filter(|&last| last <= now);
        if self.state.due.is_some() {
            return Some(Failure::ResponseTimeout);
        }
        match self.look(heard, now) {
            Ok(next) => {
                self.state.next = Some(next);
                None
            }
            Err(wait) => {
                self.state.leaves = Some(wait);
                Some(Failure::ResponseTimeout)
            }
        }
    }
}
