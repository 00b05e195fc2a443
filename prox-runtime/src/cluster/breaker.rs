//! The circuit breaker of a backend: when most requests fail, the rest fail at once.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{health::Outcome, window::Window};
use crate::{sync::lock, time::FOREVER};

/// When a backend's circuit breaker opens, and for how long: `.breaker(..)`. Off by default.
///
/// | what | default |
/// |---|---|
/// | opens at | 50 % failures of at least 20 requests in 10 s |
/// | stays open for | 5 s; requests get `503` with `Retry-After` |
/// | then | 3 requests pass as probes; it closes when all succeed, and opens again when one fails |
///
/// It looks at the backend as a whole, and each try counts; single endpoints are ejected by passive health long before. So it
/// is for what all endpoints have in common, such as their database.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::BreakerOptions;
/// use std::time::Duration;
///
/// let options = BreakerOptions::new().open_for(Duration::from_secs(10)).probes(1);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct BreakerOptions {
    percent: u32,
    volume: u32,
    window: Duration,
    open: Duration,
    probes: u32,
}

impl BreakerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            percent: 50,
            volume: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
            probes: 3,
        }
    }

    /// Opens when `percent` of the tries in `window` failed, and there were at least `volume` of them; 50, 20 and 10 s by
    /// default.
    #[must_use]
    pub fn share(mut self, percent: u32, volume: u32, window: Duration) -> Self {
        (self.percent, self.volume, self.window) = (percent, volume, window);
        self
    }

    /// Refuses requests for so long before the first probe; 5 s by default, at least 1 ms.
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open = time.clamp(Duration::from_millis(1), FOREVER);
        self
    }

    /// Closes after so many successful probes; 3 by default, at least 1.
    #[must_use]
    pub fn probes(mut self, count: u32) -> Self {
        self.probes = count.max(1);
        self
    }
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The state of one backend's breaker. While it is closed, a request costs two loads and an addition.
#[derive(Debug)]
pub(crate) struct Breaker {
    options: BreakerOptions,
    window: Window,
    /// Counts the changes of phase: even while it is closed, odd otherwise. Read without the lock.
    epoch: AtomicU32,
    phase: Mutex<Phase>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    Half {
        /// When a probe was last sent.
        since: Instant,
        sent: u32,
        passed: u32,
    },
}

/// What the breaker says to a request that is about to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Go on, and give the ticket to [`Breaker::record`] afterwards, even when the client leaves.
    Pass(Ticket),
    /// Go on as a probe, likewise. With the first one the breaker has become half open, which is an event.
    Probe { ticket: Ticket, first: bool },
    /// Answer `503` with this `Retry-After`.
    Refuse { retry_after: Duration },
}

/// Which phase of the breaker a request belongs to, so that one from before cannot speak for the probes.
#[must_use = "the breaker waits for the outcome"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl Ticket {
    /// Whether the request shows if the backend is well again.
    pub(crate) fn is_probe(self) -> bool {
        !self.0.is_multiple_of(2)
    }
}

/// What the outcome of a request changed; a `tracing` event and a count each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerChange {
    /// So many of the requests in the window failed.
    Opened {
        failed: u64,
        of: u64,
    },
    /// A probe failed.
    OpenedAgain,
    Closed,
}

impl Breaker {
    pub(crate) fn new(options: BreakerOptions, now: Instant) -> Self {
        Self {
            window: Window::new(options.window, now),
            options,
            epoch: AtomicU32::new(0),
            phase: Mutex::new(Phase::Closed),
        }
    }

    /// Whether it refuses all requests except probes.
    pub(crate) fn is_open(&self) -> bool {
        !self.epoch.load(Ordering::Relaxed).is_multiple_of(2)
    }

    /// Asks whether a request may be tried.
    pub(crate) fn admit(&self, now: Instant) -> Admission {
        let epoch = self.epoch.load(Ordering::Relaxed);
        if epoch.is_multiple_of(2) {
            return Admission::Pass(Ticket(epoch));
        }
        let mut phase = lock(&self.phase);
        let ticket = Ticket(self.epoch.load(Ordering::Relaxed));
        match &mut *phase {
            Phase::Closed => Admission::Pass(ticket),
            Phase::Open { until } if now < *until => Admission::Refuse {
                retry_after: *until - now,
            },
            Phase::Open { .. } => {
                // The epoch moves on by two, so that the tickets of earlier probes are void.
                let epoch = self.epoch.fetch_add(2, Ordering::Relaxed).wrapping_add(2);
                *phase = Phase::Half {
                    since: now,
                    sent: 1,
                    passed: 0,
                };
                Admission::Probe {
                    ticket: Ticket(epoch),
                    first: true,
                }
            }
            Phase::Half { since, sent, .. } if *sent < self.options.probes => {
                (*since, *sent) = (now, *sent + 1);
                Admission::Probe {
                    ticket,
                    first: false,
                }
            }
            Phase::Half { since, passed, .. } if now >= *since + self.options.open => {
                // The verdicts of the probes are late; they still count, but one more request may speak.
                let passed = *passed;
                *phase = Phase::Half {
                    since: now,
                    sent: self.options.probes,
                    passed,
                };
                Admission::Probe {
                    ticket,
                    first: false,
                }
            }
            Phase::Half { since, .. } => Admission::Refuse {
                retry_after: *since + self.options.open - now,
            },
        }
    }

    /// Says how a request that was admitted ended.
    pub(crate) fn record(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        now: Instant,
    ) -> Option<BreakerChange> {
        if self.epoch.load(Ordering::Relaxed) != ticket.0 {
            return None;
        }
        if ticket.is_probe() {
            return self.settle(ticket, outcome, now);
        }
        if outcome == Outcome::Unknown {
            return None;
        }
        self.window.add(outcome.is_failure(), now);
        if outcome == Outcome::Good {
            return None;
        }
        let tally = self.window.tally(now);
        if !tally.reaches(self.options.volume, self.options.percent) {
            return None;
        }
        let mut phase = lock(&self.phase);
        if *phase != Phase::Closed || self.epoch.load(Ordering::Relaxed) != ticket.0 {
            return None;
        }
        self.change(&mut phase, self.open(now));
        Some(BreakerChange::Opened {
            failed: tally.marked,
            of: tally.all,
        })
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome, now: Instant) -> Option<BreakerChange> {
        let mut phase = lock(&self.phase);
        if self.epoch.load(Ordering::Relaxed) != ticket.0 {
            return None;
        }
        let Phase::Half { sent, passed, .. } = &mut *phase else {
            return None;
        };
        match outcome {
            Outcome::Unknown => {
                *sent = sent.saturating_sub(1);
                None
            }
            Outcome::Bad | Outcome::Unreachable => {
                // Still odd: the next phase of probes has an epoch of its own.
                *phase = self.open(now);
                Some(BreakerChange::OpenedAgain)
            }
            Outcome::Good => {
                *passed += 1;
                if *passed < self.options.probes {
                    return None;
                }
                self.window.clear();
                self.change(&mut phase, Phase::Closed);
                Some(BreakerChange::Closed)
            }
        }
    }

    fn open(&self, now: Instant) -> Phase {
        Phase::Open {
            until: now + self.options.open,
        }
    }

    /// Goes between closed and not closed.
    fn change(&self, phase: &mut Phase, next: Phase) {
        *phase = next;
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::health::Outcome::{self, *},
        *,
    };

    const OPEN: Duration = Duration::from_secs(5);

    fn breaker() -> (Breaker, Instant) {
        let now = Instant::now();
        (Breaker::new(BreakerOptions::new(), now), now)
    }

    fn ticket(breaker: &Breaker, now: Instant) -> Option<Ticket> {
        match breaker.admit(now) {
            Admission::Pass(ticket) | Admission::Probe { ticket, .. } => Some(ticket),
            Admission::Refuse { .. } => None,
        }
    }

    fn run(breaker: &Breaker, outcome: Outcome, now: Instant) -> Option<BreakerChange> {
        breaker.record(ticket(breaker, now).unwrap(), outcome, now)
    }

    fn opened() -> (Breaker, Instant) {
        let (breaker, now) = breaker();
        let change = (0..20).find_map(|_| run(&breaker, Bad, now));
        assert_eq!(change, Some(BreakerChange::Opened { failed: 20, of: 20 }));
        assert!(breaker.is_open());
        (breaker, now)
    }

    #[test]
    fn it_opens_at_half_of_twenty_and_not_before() {
        let (breaker, now) = breaker();
        for _ in 0..10 {
            assert_eq!(run(&breaker, Good, now), None);
        }
        for _ in 0..9 {
            assert_eq!(run(&breaker, Bad, now), None);
            assert_eq!(run(&breaker, Unknown, now), None);
        }
        let change = run(&breaker, Bad, now);
        assert_eq!(change, Some(BreakerChange::Opened { failed: 10, of: 20 }));
        let half = now + OPEN / 2;
        let retry_after = OPEN / 2;
        assert_eq!(breaker.admit(half), Admission::Refuse { retry_after });
    }

    #[test]
    fn three_probes_close_it() {
        let (breaker, now) = opened();
        let later = now + OPEN;
        let first = breaker.admit(later);
        assert!(matches!(first, Admission::Probe { first: true, .. }));
        let Admission::Probe { ticket: a, .. } = first else {
            unreachable!()
        };
        let (b, c) = (
            ticket(&breaker, later).unwrap(),
            ticket(&breaker, later).unwrap(),
        );
        assert_eq!(ticket(&breaker, later), None);
        assert_eq!(breaker.record(a, Good, later), None);
        assert_eq!(breaker.record(b, Good, later), None);
        assert!(breaker.is_open());
        assert_eq!(breaker.record(c, Good, later), Some(BreakerChange::Closed));
        assert!(!breaker.is_open());
        // What failed before it opened is forgotten.
        assert_eq!(run(&breaker, Bad, later), None);
        assert!(matches!(breaker.admit(later), Admission::Pass(_)));
    }

    #[test]
    fn one_failed_probe_opens_it_again() {
        let (breaker, now) = opened();
        let later = now + OPEN;
        let (a, b) = (
            ticket(&breaker, later).unwrap(),
            ticket(&breaker, later).unwrap(),
        );
        assert_eq!(
            breaker.record(a, Bad, later),
            Some(BreakerChange::OpenedAgain)
        );
        assert_eq!(ticket(&breaker, later), None);
        // The other probe belongs to a phase that is over, in the next one too.
        let again = later + OPEN;
        let c = ticket(&breaker, again).unwrap();
        assert_eq!(breaker.record(b, Bad, again), None);
        assert_eq!(breaker.record(c, Good, again), None);
    }

    #[test]
    fn what_was_begun_before_it_opened_does_not_speak_for_the_probes() {
        let (breaker, now) = breaker();
        let old = ticket(&breaker, now).unwrap();
        let change = (0..20).find_map(|_| run(&breaker, Bad, now));
        assert!(change.is_some());
        let probe = ticket(&breaker, now + OPEN).unwrap();
        assert_eq!(breaker.record(old, Bad, now + OPEN), None);
        assert_eq!(breaker.record(probe, Good, now + OPEN), None);
    }

    #[test]
    fn a_probe_that_says_nothing_is_replaced() {
        let (breaker, now) = opened();
        let later = now + OPEN;
        let tickets: Vec<_> = (0..3).map(|_| ticket(&breaker, later).unwrap()).collect();
        assert_eq!(ticket(&breaker, later), None);
        assert_eq!(breaker.record(tickets[0], Unknown, later), None);
        assert!(ticket(&breaker, later).is_some());
        assert_eq!(ticket(&breaker, later), None);
        // Probes that never come back are replaced one at a time.
        assert!(ticket(&breaker, later + OPEN).is_some());
        assert_eq!(ticket(&breaker, later + OPEN), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Admit,
        Record(usize, Outcome),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let outcome = prop_oneof![Just(Good), Just(Bad), Just(Bad), Just(Unknown)];
        prop_oneof![
            4 => Just(Step::Admit),
            4 => (0..40_usize, outcome).prop_map(|(at, outcome)| Step::Record(at, outcome)),
            1 => (0..3_000_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_it_lets_no_more_than_the_probes_through_and_recovers(
            steps in prop::collection::vec(step(), 0..400),
        ) {
            let options = BreakerOptions::new().share(50, 3, Duration::from_secs(10));
            let mut now = Instant::now();
            let breaker = Breaker::new(options, now);
            let mut tickets: Vec<Ticket> = Vec::new();
            for step in steps {
                match step {
                    Step::Admit => match breaker.admit(now) {
                        Admission::Pass(ticket) => {
                            prop_assert_eq!(*lock(&breaker.phase), Phase::Closed);
                            tickets.push(ticket);
                        }
                        Admission::Probe { ticket, .. } => tickets.push(ticket),
                        Admission::Refuse { retry_after } => {
                            prop_assert!(retry_after > Duration::ZERO && retry_after <= OPEN);
                        }
                    },
                    Step::Record(at, outcome) if !tickets.is_empty() => {
                        let ticket = tickets.swap_remove(at % tickets.len());
                        breaker.record(ticket, outcome, now);
                    }
                    Step::Record(..) => {}
                    Step::Wait(more) => now += Duration::from_millis(more),
                }
                let closed = *lock(&breaker.phase) == Phase::Closed;
                prop_assert_eq!(closed, breaker.epoch.load(Ordering::Relaxed).is_multiple_of(2));
                if let Phase::Half { sent, passed, .. } = *lock(&breaker.phase) {
                    prop_assert!(sent <= 3 && passed < 3);
                }
            }
            // Once all goes well, it closes.
            for _ in 0..4 {
                now += OPEN;
                for _ in 0..3 {
                    if let Some(ticket) = ticket(&breaker, now) {
                        breaker.record(ticket, Good, now);
                    }
                }
            }
            prop_assert_eq!(*lock(&breaker.phase), Phase::Closed);
        }
    }
}
