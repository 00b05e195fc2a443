//! Ejection by what requests show: nobody asks the endpoint anything extra.

pub(crate) mod silence;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use self::silence::{Longest, Signs};
use super::Outcome;
use crate::{cluster::window::Window, sync::lock, time::FOREVER};

/// When an endpoint is ejected because of its answers, and for how long: `.passive(..)`. On by default.
///
/// A failure is a connection that cannot be made or is reset, an answer that is late or is not HTTP, and a status of 5xx other
/// than 501 and 505. One of a request that was sent longer ago than the window lasts (10 s) counts only if the endpoint has
/// answered nothing well in the meantime: it may have recovered since.
///
/// | what | default |
/// |---|---|
/// | failures in a row | 5 |
/// | or share of failures | 50 % of at least 20 requests in 10 s |
/// | or silence | nothing comes back for 5 s, while 3 requests or more wait for longer than that and other endpoints answer |
/// | ejected for | 5 s, doubling up to 300 s; always 5 s while no connection comes about |
/// | ejected at most | half of the endpoints, rounded down: never the only one |
///
/// When the time is over, one request is sent as a probe; if it succeeds the endpoint is back (and starts slowly), else it is
/// ejected for twice as long. An endpoint that then stays for 300 s has a clean slate.
///
/// An endpoint to which no connection comes about, so many times in a row, is ejected however many others are: it does nothing,
/// so that nobody is spared by asking it. When all are ejected, all are used, and the first that answers well is back at
/// once; the others are then probed at once.
///
/// An endpoint that is slow is not silent. The limit of silence is at least a sixth of the route's
/// [`response_timeout`](crate::ClusterBuilder::response_timeout), and twice as long as the slowest answer of the last 5 minutes. While
/// a request waits for longer than that at an endpoint that answers others, no endpoint is ejected for its silence. A silent endpoint
/// is back as soon as one of its late answers begins, and need not wait for a probe. Requests that wait there wait on; those that may
/// be [tried again](crate::RetryOptions) go elsewhere.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::PassiveOptions;
/// use std::time::Duration;
///
/// let options = PassiveOptions::new().in_a_row(3).eject_for(Duration::from_secs(10), Duration::from_mins(1));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct PassiveOptions {
    in_a_row: u32,
    volume: u32,
    percent: u32,
    window: Duration,
    first: Duration,
    longest: Duration,
    most: u32,
    /// Zero turns it off; none is the default, which depends on the route.
    silence: Option<Duration>,
}

impl PassiveOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            in_a_row: 5,
            volume: 20,
            percent: 50,
            window: Duration::from_secs(10),
            first: Duration::from_secs(5),
            longest: Duration::from_mins(5),
            most: 50,
            silence: None,
        }
    }

    /// Ejects after so many failures with no success between them; 5 by default, 0 turns it off.
    #[must_use]
    pub fn in_a_row(mut self, failures: u32) -> Self {
        self.in_a_row = failures;
        self
    }

    /// Ejects when `percent` of the requests in `window` failed, and there were at least `volume` of them; 50, 20 and 10 s by
    /// default. More than 100 percent turns it off.
    #[must_use]
    pub fn share(mut self, percent: u32, volume: u32, window: Duration) -> Self {
        (self.percent, self.volume, self.window) = (percent, volume, window);
        self
    }

    /// Ejects an endpoint from which nothing comes back for `limit`, while 3 requests or more have waited there for longer than that
    /// and other endpoints answer. 5 s by default, or a sixth of the route's
    /// [`response_timeout`](crate::ClusterBuilder::response_timeout) where that is longer; zero turns it off.
    ///
    /// Set it higher than the longest time that an honest answer takes to begin, such as that of a long poll. The limit adapts to
    /// slow answers, but knows of them only when the first of them has come. Bytes that pass through a tunnel do not count as a
    /// sign of life; parts of other responses, and interim responses, do.
    #[must_use]
    pub fn silence(mut self, limit: Duration) -> Self {
        self.silence = Some(limit.min(FOREVER));
        self
    }

    /// Ejects for `first`, and for twice as long each time, up to `longest`; 5 s and 300 s by default. While no connection comes
    /// about it is always `first`.
    #[must_use]
    pub fn eject_for(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first.min(FOREVER);
        self.longest = longest.clamp(self.first, FOREVER);
        self
    }

    /// Never ejects more than `percent` of the endpoints at a time; 50 by default, 100 at most.
    ///
    /// Endpoints to which no connection comes about are ejected beyond it, unless it is 0, which ejects nobody.
    #[must_use]
    pub fn at_most(mut self, percent: u32) -> Self {
        self.most = percent.min(100);
        self
    }

    /// The length of the ejection number `times`, counted from 1.
    ///
    /// A probe that finds nobody costs no request, since that goes elsewhere; so there the wait need not grow.
    fn length(&self, times: u32, unreachable: bool) -> Duration {
        if unreachable {
            return self.first;
        }
        let factor = 1_u32
            .checked_shl(times.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

impl Default for PassiveOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// How many endpoints of a cluster there are, and how many of them are ejected.
#[derive(Debug)]
pub(crate) struct Ejections {
    options: PassiveOptions,
    endpoints: AtomicUsize,
    ejected: AtomicUsize,
    start: Instant,
    /// The longest wait for an answer of an endpoint in use.
    longest: Longest,
}

impl Ejections {
    pub(crate) fn new(options: PassiveOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            endpoints: AtomicUsize::new(0),
            ejected: AtomicUsize::new(0),
            start: Instant::now(),
            longest: Longest::default(),
        })
    }

    /// How many are ejected.
    #[cfg(test)]
    pub(crate) fn ejected(&self) -> usize {
        self.ejected.load(Ordering::Relaxed)
    }

    /// Takes one of the ejections that are allowed at a time; who is `unreachable` is always allowed one, if anybody is.
    fn reserve(&self, unreachable: bool) -> bool {
        let endpoints = self.endpoints.load(Ordering::Relaxed);
        // The only one there is is never ejected.
        if endpoints <= 1 {
            return false;
        }
        let most = if unreachable && self.options.most > 0 {
            endpoints
        } else {
            endpoints.saturating_mul(self.options.most as usize) / 100
        };
        self.ejected
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ejected| {
                (ejected < most).then_some(ejected + 1)
            })
            .is_ok()
    }
}

/// Why an endpoint is, or would be, ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// So many failures in a row.
    InARow(u32),
    /// So many times in a row no connection came about.
    Unreachable(u32),
    /// Nothing has come back while so many requests waited.
    Silent(u32),
    /// So many failures among all requests in the window.
    Share { failed: u64, of: u64 },
    /// The probe failed.
    Probe,
}

/// What the outcome of a request changed; a `tracing` event and a count each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The endpoint is ejected: make a new list for the balancer.
    Ejected {
        cause: Cause,
        length: Duration,
        times: u32,
    },
    /// It would be ejected, but too many others are.
    Spared { cause: Cause },
    /// It is back: begin its slow start, and make a new list for the balancer.
    Returned,
}

/// One endpoint's record. Dropping it gives its ejection free, so endpoints may come and go.
///
/// For requests that succeed, it costs an addition to a shared word.
#[derive(Debug)]
pub(crate) struct Passive {
    cluster: Arc<Ejections>,
    streak: AtomicU32,
    /// The part of the streak, from its end, in which no connection came about.
    unreachable: AtomicU32,
    window: Window,
    signs: Signs,
    /// The same as in `state`, to be read without the lock.
    ejected: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How often it was ejected without a long stay in between.
    times: u32,
    /// Whether no connection came about when it was ejected last.
    unreachable: bool,
    /// Whether it was silent when it was ejected last, failed probes apart.
    silent: bool,
    returned: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Admitted,
    /// It is no longer in the cluster, and nothing counts any more.
    Left,
    Ejected {
        until: Instant,
    },
    Probing {
        since: Instant,
    },
    /// There is no other, and a request tries it out; if that fails, nothing has changed.
    Trying {
        since: Instant,
        until: Instant,
    },
}

impl Passive {
    /// An endpoint that nothing is held against.
    pub(crate) fn new(cluster: &Arc<Ejections>, now: Instant) -> Self {
        cluster.endpoints.fetch_add(1, Ordering::Relaxed);
        Self {
            cluster: Arc::clone(cluster),
            streak: AtomicU32::new(0),
            unreachable: AtomicU32::new(0),
            window: Window::new(cluster.options.window, now),
            signs: Signs::default(),
            ejected: AtomicBool::new(false),
            state: Mutex::new(State {
                phase: Phase::Admitted,
                times: 0,
                unreachable: false,
                silent: false,
                returned: now,
            }),
        }
    }

    /// Whether it gets no requests but probes.
    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
    }

    /// Whether it is ejected because no connection came about.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_ejected() && lock(&self.state).unreachable
    }

    /// Records how a request other than a probe ended that began then.
    ///
    /// While it is ejected that says nothing: such requests were begun before, or sent in panic. And what runs out of time
    /// now, but was sent long ago, tells of an endpoint that may be well again: so it is, if it has answered since.
    pub(crate) fn record(&self, outcome: Outcome, began: Instant, now: Instant) -> Option<Change> {
        if outcome == Outcome::Unknown || self.is_ejected() {
            return None;
        }
        let failed = outcome.is_failure();
        if failed && now.saturating_duration_since(began) >= self.cluster.options.window {
            let tally = self.window.tally(now);
            if tally.all > tally.marked {
                return None;
            }
        }
        self.window.add(failed, now);
        if failed {
            return self.failed(outcome == Outcome::Unreachable, now);
        }
        // Most of the time it is zero, and reading it leaves the cache line with all who share it.
        if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
            self.unreachable.store(0, Ordering::Relaxed);
        }
        None
    }

    fn failed(&self, unreachable: bool, now: Instant) -> Option<Change> {
        let options = &self.cluster.options;
        let more = |count: &AtomicU32| count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let streak = more(&self.streak);
        let unreached = if unreachable {
            more(&self.unreachable)
        } else {
            self.unreachable.store(0, Ordering::Relaxed);
            0
        };
        // With a remainder, so that an endpoint that was spared is judged anew only after as many failures more.
        let reaches = |count: u32| options.in_a_row > 0 && count.is_multiple_of(options.in_a_row);
        let cause = if unreachable && reaches(unreached) {
            Cause::Unreachable(unreached)
        } else if reaches(streak) {
            Cause::InARow(streak)
        } else {
            let tally = self.window.tally(now);
            if !tally.reaches(options.volume, options.percent) {
                return None;
            }
            Cause::Share {
                failed: tally.marked,
                of: tally.all,
            }
        };
        let mut state = lock(&self.state);
        if state.phase != Phase::Admitted {
            return None;
        }
        let gone = matches!(cause, Cause::Unreachable(_));
        if !self.cluster.reserve(gone) {
            if matches!(cause, Cause::Share { .. }) {
                self.window.clear();
            }
            return Some(Change::Spared { cause });
        }
        Some(self.eject_anew(&mut state, cause, unreachable, now))
    }

    /// Ejects an endpoint that was in use. After a long stay it has a clean slate.
    fn eject_anew(
        &self,
        state: &mut State,
        cause: Cause,
        unreachable: bool,
        now: Instant,
    ) -> Change {
        if now.saturating_duration_since(state.returned) >= self.cluster.options.longest {
            state.times = 0;
        }
        self.eject(state, cause, unreachable, now)
    }

    fn eject(&self, state: &mut State, cause: Cause, unreachable: bool, now: Instant) -> Change {
        if !unreachable || state.times == 0 {
            state.times = state.times.saturating_add(1);
        }
        state.unreachable = unreachable;
        if cause != Cause::Probe {
            state.silent = matches!(cause, Cause::Silent(_));
        }
        let length = self.cluster.options.length(state.times, unreachable);
        state.phase = Phase::Ejected {
            until: now + length,
        };
        self.ejected.store(true, Ordering::Relaxed);
        Change::Ejected {
            cause,
            length,
            times: state.times,
        }
    }

    /// When a probe may be sent; `None` while it is not ejected.
    ///
    /// A probe without a verdict is taken for lost after as long as an ejection can last.
    pub(crate) fn probe_due(&self) -> Option<Instant> {
        match lock(&self.state).phase {
            Phase::Admitted | Phase::Left => None,
            Phase::Ejected { until } => Some(until),
            Phase::Probing { since } | Phase::Trying { since, .. } => {
                Some(since + self.cluster.options.longest)
            }
        }
    }

    /// Takes the one probe that is allowed; whoever gets `true` sends a request to the endpoint, past the balancer, and says
    /// with [`settle`](Self::settle) how it ended.
    ///
    /// The probe may fail, so it should be a request that can be `retried`. One that cannot is taken only when no other came
    /// within the length of the first ejection.
    pub(crate) fn claim_probe(&self, retried: bool, now: Instant) -> bool {
        if !self.is_ejected() {
            return false;
        }
        let mut state = lock(&self.state);
        let options = &self.cluster.options;
        let due = match state.phase {
            Phase::Admitted | Phase::Left => return false,
            Phase::Ejected { until } if retried => until,
            Phase::Ejected { until } => until + options.first,
            Phase::Probing { since } | Phase::Trying { since, .. } => since + options.longest,
        };
        if now < due {
            return false;
        }
        state.phase = Phase::Probing { since: now };
        true
    }

    /// Lets a request that has no other endpoint bring this one back; whoever gets `true` says with [`settle`](Self::settle)
    /// how it ended. One at a time; if it fails, the ejection goes on as it was.
    pub(crate) fn claim_trial(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let Phase::Ejected { until } = state.phase else {
            return false;
        };
        state.phase = Phase::Trying { since: now, until };
        true
    }

    /// Lets an ejected endpoint be probed at once.
    pub(crate) fn hurry(&self, now: Instant) {
        let mut state = lock(&self.state);
        if let Phase::Ejected { until } | Phase::Trying { until, .. } = &mut state.phase {
            *until = now.min(*until);
        }
    }

    /// Says how a probe ended. When nothing can be said, the next request may be the probe.
    pub(crate) fn settle(&self, outcome: Outcome, now: Instant) -> Option<Change> {
        let mut state = lock(&self.state);
        match (state.phase, outcome) {
            (Phase::Admitted | Phase::Left | Phase::Ejected { .. }, _) => None,
            (_, Outcome::Good) => Some(self.admit(&mut state, now)),
            (Phase::Trying { until, .. }, _) => {
                state.phase = Phase::Ejected { until };
                None
            }
            (Phase::Probing { .. }, Outcome::Unknown) => {
                state.phase = Phase::Ejected { until: now };
                None
            }
            (Phase::Probing { .. }, _) => {
                let unreachable = outcome == Outcome::Unreachable;
                Some(self.eject(&mut state, Cause::Probe, unreachable, now))
            }
        }
    }

    /// Ends an ejection early: an active check has seen the endpoint recover, or an operator says so.
    pub(crate) fn pardon(&self, now: Instant) -> Option<Change> {
        let mut state = lock(&self.state);
        let is_out = !matches!(state.phase, Phase::Admitted | Phase::Left);
        is_out.then(|| self.admit(&mut state, now))
    }

    /// The endpoint is no longer in the cluster: it gives its ejection free, and is not one of those of which some may be ejected.
    pub(crate) fn leave(&self) {
        let mut state = lock(&self.state);
        let phase = std::mem::replace(&mut state.phase, Phase::Left);
        if phase == Phase::Left {
            return;
        }
        self.cluster.endpoints.fetch_sub(1, Ordering::Relaxed);
        if phase != Phase::Admitted {
            self.cluster.ejected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn admit(&self, state: &mut State, now: Instant) -> Change {
        state.phase = Phase::Admitted;
        state.returned = now;
        self.streak.store(0, Ordering::Relaxed);
        self.unreachable.store(0, Ordering::Relaxed);
        self.window.clear();
        self.cluster.ejected.fetch_sub(1, Ordering::Relaxed);
        self.ejected.store(false, Ordering::Relaxed);
        Change::Returned
    }
}

impl Drop for Passive {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests;
