//! When keys are fetched, as a pure function of what has happened and of the time.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Rng;

/// How long keys are not asked for again where their answer does not say, and what it may say.
pub(super) const USUAL: Duration = Duration::from_mins(5);
pub(super) const SHORTEST: Duration = Duration::from_mins(1);
pub(super) const LONGEST: Duration = Duration::from_mins(15);

/// How long no unknown key leads to another fetch.
const QUIET: Duration = Duration::from_secs(10);

/// The longest pause between tries that fail.
const MOST: Duration = Duration::from_mins(1);

/// What has become of the fetches so far.
#[derive(Debug)]
pub(super) struct Pace {
    /// Whether a fetch is under way.
    under_way: bool,
    /// When the next one is due; at once at the start.
    due: Option<Instant>,
    /// How many have failed since the last that did not.
    failures: u32,
    /// When keys came last.
    came: Option<Instant>,
    /// Whether a key that is not known has asked for the fetch that is under way.
    for_key: bool,
    quiet_until: Option<Instant>,
}

/// What may be done about a key that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Fetch the keys, or wait for the fetch that is under way.
    Fetch,
    /// It was asked for a moment ago: there is no such key.
    Absent,
    /// The last fetch has failed, so nobody knows. The next one is this far away.
    Unavailable(Duration),
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            under_way: false,
            due: None,
            failures: 0,
            came: None,
            for_key: false,
            quiet_until: None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Whether a fetch should begin now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_under_way() && self.due.is_none_or(|due| due <= now)
    }

    /// When to look again.
    pub(super) fn next(&self, now: Instant) -> Instant {
        match self.due {
            Some(due) if !self.is_under_way() => due,
            // The end of the fetch that is under way is told.
            _ => now + LONGEST,
        }
    }

    /// How long a client should wait before it asks again.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let due = self.due.filter(|_| !self.is_under_way());
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    pub(super) fn begin(&mut self) {
        self.under_way = true;
    }

    /// Whether a fetch should begin now, which has then begun.
    pub(super) fn begin_if_due(&mut self, now: Instant) -> bool {
        let due = self.is_due(now);
        self.under_way |= due;
        due
    }

    /// Whether keys that came are still good, although none came since.
    pub(super) fn is_fresh(&self, now: Instant, max_stale: Duration) -> bool {
        self.came
            .is_some_and(|came| now.saturating_duration_since(came) < max_stale)
    }

    /// What to do about a key that is not known.
    pub(super) fn unknown(&mut self, now: Instant) -> Unknown {
        if !self.is_under_way() {
            let is_before = |time: Option<Instant>| time.is_some_and(|time| now < time);
            if self.is_failing() && is_before(self.due) {
                return Unknown::Unavailable(self.wait(now));
            }
            if !self.is_failing() && is_before(self.quiet_until) {
                return Unknown::Absent;
            }
        }
        self.for_key = true;
        Unknown::Fetch
    }

    /// The fetch has brought keys, which count for so long by their answer. Says how many tries have failed before it.
    pub(super) fn came(&mut self, now: Instant, lasts: Option<Duration>, rng: &Rng) -> u32 {
        let lasts = lasts.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
        self.end(now, rng.around(lasts, 10));
        self.came = Some(now);
        std::mem::take(&mut self.failures)
    }

    /// The fetch has failed. Says how long it is until the next try.
    pub(super) fn failed(&mut self, now: Instant, rng: &Rng) -> Duration {
        let doubled = Duration::from_secs(1 << self.failures.min(6)).min(MOST);
        let pause = rng.around(doubled, 10).min(MOST);
        self.failures = self.failures.saturating_add(1);
        self.end(now, pause);
        pause
    }

    /// Whether the last fetch has failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    fn end(&mut self, now: Instant, pause: Duration) {
        self.under_way = false;
        self.due = Some(now + pause);
        if std::mem::take(&mut self.for_key) {
            self.quiet_until = Some(now + QUIET);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_an_answer_says_counts_within_bounds_and_a_tenth_of_it_is_chance() {
        let rng = Rng::seeded(1);
        for (says, wanted) in [
            (None, 300),
            (Some(Duration::ZERO), 60),
            (Some(SECOND * 600), 600),
            (Some(SECOND * 86_400), 900),
            (Some(Duration::MAX), 900),
        ] {
            let now = Instant::now();
            let (mut pace, mut seen) = (Pace::new(), Vec::new());
            assert!(pace.is_due(now));
            for _ in 0..100 {
                pace.begin();
                assert!(!pace.is_due(now));
                pace.came(now, says, &rng);
                seen.push(pace.wait(now));
                assert!(!pace.is_due(now) && pace.is_due(pace.next(now)));
            }
            let bounds = SECOND * wanted * 9 / 10..=SECOND * wanted * 11 / 10;
            assert!(seen.iter().all(|wait| bounds.contains(wait)), "{seen:?}");
            assert!(seen.iter().any(|wait| *wait < SECOND * wanted * 92 / 100));
            assert!(seen.iter().any(|wait| *wait > SECOND * wanted * 108 / 100));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_that_fail_come_less_and_less_often_and_a_success_ends_that() {
        let now = Instant::now();
        let (mut pace, rng) = (Pace::new(), Rng::seeded(1));
        for wanted in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            pace.begin();
            let pause = pace.failed(now, &rng);
            let bounds = SECOND * wanted * 9 / 10..=(SECOND * wanted * 11 / 10).min(MOST);
            assert!(bounds.contains(&pause), "{wanted}: {pause:?}");
            assert_eq!(pace.wait(now), pause);
        }
        assert!(pace.is_failing());
        pace.begin();
        assert_eq!(pace.came(now, None, &Rng::seeded(1)), 9);
        assert!(!pace.is_failing());
        pace.begin();
        assert!(pace.failed(now, &rng) < SECOND * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_leads_to_one_fetch_and_then_to_none_for_a_while() {
        let mut now = Instant::now();
        let mut pace = Pace::new();
        pace.begin();
        // Somebody else has begun it: it is waited for.
        assert_eq!(pace.unknown(now), Unknown::Fetch);
        pace.came(now, None, &Rng::seeded(1));
        assert_eq!(pace.unknown(now), Unknown::Absent);
        now += QUIET.saturating_sub(SECOND);
        assert_eq!(pace.unknown(now), Unknown::Absent);
        now += SECOND;
        assert_eq!(pace.unknown(now), Unknown::Fetch);
        pace.begin();
        let pause = pace.failed(now, &Rng::seeded(1));
        assert_eq!(pace.unknown(now), Unknown::Unavailable(pause));
        now += pause;
        // The issuer may be there again, and a fetch is due anyway.
        assert!(pace.is_due(now));
        assert_eq!(pace.unknown(now), Unknown::Fetch);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_no_key_asked_for_begins_no_quiet_time() {
        let now = Instant::now();
        let mut pace = Pace::new();
        pace.begin();
        pace.came(now, None, &Rng::seeded(1));
        assert_eq!(pace.unknown(now), Unknown::Fetch);
    }

    #[tokio::test(start_paused = true)]
    async fn old_keys_hold_for_their_time() {
        let now = Instant::now();
        let mut pace = Pace::new();
        assert!(!pace.is_fresh(now, LONGEST));
        pace.begin();
        pace.came(now, None, &Rng::seeded(1));
        assert!(pace.is_fresh(now + LONGEST - SECOND, LONGEST));
        assert!(!pace.is_fresh(now + LONGEST, LONGEST));
    }
}
