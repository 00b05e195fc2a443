//! A growing share for an endpoint that has just come back.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::cluster::balance::FULL;

/// How an endpoint that returns gets its share back: `.slow_start(..)`. On by default: within 30 s, from 10 %.
///
/// It applies after an ejection, after failed checks, and to an endpoint that is found while the gateway runs; not to the
/// start of the gateway, when all would be slow alike. The share grows in a straight line, in steps of a second, and works
/// through the weights: policies that ignore weights ignore it. When all endpoints start slowly, each has its usual share.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::SlowStart;
/// use std::time::Duration;
///
/// let gentle = SlowStart::over(Duration::from_mins(2)).from_percent(5);
/// # let _ = (gentle, SlowStart::off());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SlowStart {
    over: Duration,
    from: u32,
}

impl SlowStart {
    /// Gives an endpoint its full share after so long.
    pub fn over(time: Duration) -> Self {
        Self {
            over: time,
            from: 10,
        }
    }

    /// Gives an endpoint its full share at once.
    pub fn off() -> Self {
        Self::over(Duration::ZERO)
    }

    /// Begins with `percent` of the full share; 10 by default, at least 1, at most 100.
    #[must_use]
    pub fn from_percent(mut self, percent: u32) -> Self {
        self.from = percent.clamp(1, 100);
        self
    }

    /// The share after so long, in thousandths of the full one.
    fn share(&self, age: Duration) -> u64 {
        // In whole seconds, since each step makes a new list for the balancer.
        let age = Duration::from_secs(age.as_secs());
        if age >= self.over {
            return FULL;
        }
        let grown = age.as_millis() * u128::from(FULL) / self.over.as_millis().max(1);
        u64::try_from(grown)
            .unwrap_or(FULL)
            .clamp(u64::from(self.from) * FULL / 100, FULL)
    }
}

impl Default for SlowStart {
    fn default() -> Self {
        Self::over(Duration::from_secs(30))
    }
}

/// How far one endpoint is.
#[derive(Debug)]
pub(crate) struct Warmth {
    start: Instant,
    /// When it came back, in milliseconds since `start`, plus one; 0 when it is warm.
    since: AtomicU64,
}

impl Warmth {
    /// An endpoint with its full share.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            since: AtomicU64::new(0),
        }
    }

    /// Lets the endpoint start slowly from now on.
    pub(crate) fn chill(&self, now: Instant) {
        self.since.store(self.millis(now) + 1, Ordering::Relaxed);
    }

    /// Its share in thousandths; once it is full, the slow start is over for good.
    pub(crate) fn share(&self, options: &SlowStart, now: Instant) -> u64 {
        let Some(since) = self.since.load(Ordering::Relaxed).checked_sub(1) else {
            return FULL;
        };
        let age = self.millis(now).saturating_sub(since);
        let share = options.share(Duration::from_millis(age));
        if share == FULL {
            self.since.store(0, Ordering::Relaxed);
        }
        share
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_from_a_tenth_to_all_within_thirty_seconds() {
        let now = Instant::now();
        let (options, warmth) = (SlowStart::default(), Warmth::new(now));
        let at = |millis| warmth.share(&options, now + Duration::from_millis(millis));
        assert_eq!(at(0), FULL);
        warmth.chill(now);
        assert_eq!(
            [at(0), at(2_999), at(3_999), at(15_000)],
            [100, 100, 100, 500]
        );
        assert_eq!([at(15_999), at(29_999), at(30_000)], [500, 966, FULL]);
        // It is warm now, and stays so, even for a clock that was read earlier.
        assert_eq!(at(10_000), FULL);
        warmth.chill(now + Duration::from_mins(1));
        assert_eq!(at(60_000), 100);
    }

    #[test]
    fn it_never_shrinks_and_never_starves() {
        let options = SlowStart::over(Duration::from_secs(7)).from_percent(0);
        let shares: Vec<u64> = (0..8_000)
            .map(|m| options.share(Duration::from_millis(m)))
            .collect();
        assert!(shares.is_sorted());
        assert_eq!((shares[0], shares[7_999]), (10, FULL));
    }

    #[test]
    fn without_it_an_endpoint_is_warm_at_once() {
        let now = Instant::now();
        let warmth = Warmth::new(now);
        warmth.chill(now);
        assert_eq!(warmth.share(&SlowStart::off(), now), FULL);
    }
}
