//! The state machine of active checks: what a row of results means, and when to check again.

use std::time::Duration;

use crate::cluster::rng::Rng;

/// How an endpoint is checked: `.health(http("/healthz").every(5s).timeout(1s))`. Off by default.
///
/// | what | default |
/// |---|---|
/// | time between checks | 10 s, shorter or longer by up to 10 %, so that gateways do not check in step |
/// | time for an answer | 3 s |
/// | fails in a row until it is unhealthy | 3 |
/// | successes in a row until it is healthy | 2 |
/// | time between checks while it is changing | 1 s |
///
/// At start the endpoint counts as healthy until the first check, which is made at once and decides alone: a gateway that
/// starts must not answer `503` because it has not asked yet, and need not ask a dead endpoint three times.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::CheckOptions;
/// use std::time::Duration;
///
/// let options = CheckOptions::new().every(Duration::from_secs(5)).timeout(Duration::from_secs(1)).fall(2);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct CheckOptions {
    every: Duration,
    changing: Duration,
    timeout: Duration,
    fall: u32,
    rise: u32,
    /// Whether the check can be made over HTTP/2 alone.
    http2: bool,
}

/// How much earlier or later than on time a check is made, in percent.
const JITTER: u32 = 10;

impl CheckOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            every: Duration::from_secs(10),
            changing: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            fall: 3,
            rise: 2,
            http2: false,
        }
    }

    /// Waits so long between two checks, give or take 10 %; 10 s by default, at least 10 ms.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(10));
        self
    }

    /// Waits so long between two checks while some have failed, or some have passed; 1 s by default, at least 10 ms.
    ///
    /// It is never longer than the time between checks otherwise.
    #[must_use]
    pub fn every_while_changing(mut self, interval: Duration) -> Self {
        self.changing = interval.max(Duration::from_millis(10));
        self
    }

    /// Takes a check for failed after so long; 3 s by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Takes a healthy endpoint out after so many failed checks in a row; 3 by default, at least 1.
    #[must_use]
    pub fn fall(mut self, checks: u32) -> Self {
        self.fall = checks.max(1);
        self
    }

    /// Takes an unhealthy endpoint back after so many passed checks in a row; 2 by default, at least 1.
    #[must_use]
    pub fn rise(mut self, checks: u32) -> Self {
        self.rise = checks.max(1);
        self
    }

    /// Can be made over HTTP/2 alone.
    pub(crate) fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) fn is_over_http2(&self) -> bool {
        self.http2
    }

    /// How long one check may take.
    pub(crate) fn limit(&self) -> Duration {
        self.timeout
    }
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What checks say about an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not checked, or has not been yet; it may be used.
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

/// The checks of one endpoint, kept by the task that makes them.
#[derive(Debug)]
pub(crate) struct ActiveCheck {
    options: CheckOptions,
    verdict: Verdict,
    /// Results in a row that speak against the verdict.
    against: u32,
}

impl ActiveCheck {
    pub(crate) fn new(options: CheckOptions) -> Self {
        Self {
            options,
            verdict: Verdict::Unknown,
            against: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Records a check; returns the verdict when it has changed.
    pub(crate) fn record(&mut self, passed: bool) -> Option<Verdict> {
        let says = if passed {
            Verdict::Healthy
        } else {
            Verdict::Unhealthy
        };
        if self.verdict == says {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = match self.verdict {
            Verdict::Unknown => 1,
            Verdict::Healthy => self.options.fall,
            Verdict::Unhealthy => self.options.rise,
        };
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.verdict = says;
        Some(says)
    }

    /// How long to wait before the next check; not at all before the first.
    pub(crate) fn wait(&self, rng: &Rng) -> Duration {
        let wait = match self.verdict {
            Verdict::Unknown => return Duration::ZERO,
            _ if self.against > 0 => self.options.changing.min(self.options.every),
            _ => self.options.every,
        };
        rng.around(wait, JITTER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Verdict::*, *};
    use crate::cluster::rng::Rng;

    fn verdicts(results: &str) -> Vec<Option<Verdict>> {
        let mut check = ActiveCheck::new(CheckOptions::new());
        results
            .chars()
            .map(|result| check.record(result == '+'))
            .collect()
    }

    #[test]
    fn the_first_check_decides_alone() {
        assert_eq!(verdicts("+"), [Some(Healthy)]);
        assert_eq!(verdicts("-"), [Some(Unhealthy)]);
    }

    #[test]
    fn three_fails_take_it_out_and_two_successes_bring_it_back() {
        assert_eq!(
            verdicts("+--+--"),
            [Some(Healthy), None, None, None, None, None]
        );
        assert_eq!(
            verdicts("+---"),
            [Some(Healthy), None, None, Some(Unhealthy)]
        );
        assert_eq!(
            verdicts("-+-++"),
            [Some(Unhealthy), None, None, None, Some(Healthy)]
        );
    }

    #[test]
    fn it_is_checked_more_often_while_it_changes() {
        let rng = Rng::seeded(1);
        let mut check = ActiveCheck::new(CheckOptions::new());
        assert_eq!(check.wait(&rng), Duration::ZERO);
        let about = |wait: Duration, seconds: f64| {
            (seconds * 0.9..=seconds * 1.1).contains(&wait.as_secs_f64())
        };
        for (passed, seconds) in [
            (true, 10.0),
            (false, 1.0),
            (false, 1.0),
            (false, 10.0),
            (true, 1.0),
            (true, 10.0),
        ] {
            check.record(passed);
            assert!(about(check.wait(&rng), seconds));
        }
        let hectic = CheckOptions::new().every(Duration::from_millis(100));
        let mut check = ActiveCheck::new(hectic);
        check.record(true);
        check.record(false);
        assert!(about(check.wait(&rng), 0.1));
    }

    proptest! {
        #[test]
        fn a_verdict_needs_its_row_of_results(
            results in prop::collection::vec(any::<bool>(), 1..200),
            fall in 1_u32..6,
            rise in 1_u32..6,
        ) {
            let mut check = ActiveCheck::new(CheckOptions::new().fall(fall).rise(rise));
            for (turn, &passed) in results.iter().enumerate() {
                check.record(passed);
                let row = |of: bool, length: u32| {
                    let length = length as usize;
                    turn + 1 >= length && results[turn + 1 - length..=turn].iter().all(|&r| r == of)
                };
                if row(true, rise) {
                    prop_assert_eq!(check.verdict(), Healthy);
                }
                if row(false, fall) {
                    prop_assert_eq!(check.verdict(), Unhealthy);
                }
                prop_assert_ne!(check.verdict(), Unknown);
            }
        }
    }
}
