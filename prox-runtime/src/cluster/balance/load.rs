//! What an endpoint is busy with, and how quickly it answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How long an answer counts: after this time, the difference that it makes has shrunk to 37 %.
const DECAY: Duration = Duration::from_secs(10);

/// What a lower sample of an endpoint with one request at a time leaves of the difference.
const ALONE: f32 = 0.25;

/// An answer that took longer counts as this.
const SLOWEST: Duration = Duration::from_mins(1);

/// How many requests are under way, in a cluster as a whole.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Total(AtomicUsize);

/// The requests on one endpoint, and its latency; on cache lines of its own, since all workers write it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Load {
    active: AtomicUsize,
    latency: Latency,
    total: Arc<Total>,
}

impl Load {
    /// The load of an endpoint of the cluster whose requests `total` counts; `now` is not later than its first request.
    pub(crate) fn new(total: &Arc<Total>, now: Instant) -> Self {
        Self {
            active: AtomicUsize::new(0),
            latency: Latency::new(now),
            total: Arc::clone(total),
        }
    }

    /// A request was given to the endpoint; each call needs its [`leave`](Self::leave).
    pub(crate) fn enter(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.total.0.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has ended, to the last byte of its response, or was given up.
    pub(crate) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.total.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that are under way.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Requests that are under way on all endpoints of the cluster.
    pub(crate) fn total(&self) -> usize {
        self.total.0.load(Ordering::Relaxed)
    }

    /// The endpoint answered, so long after the request was sent. The request still counts as under way.
    pub(crate) fn answered(&self, after: Duration, now: Instant) {
        self.latency.record(after, now, self.active() <= 1);
    }

    /// The endpoint failed: it counts as twice as slow as before, so that one that fails quickly does not look fast.
    pub(crate) fn failed(&self, now: Instant) {
        if let Some(estimate) = self.latency.estimate(now) {
            let doubled = Duration::from_secs_f32(estimate.micros * 2.0 / 1e6);
            self.latency.record(doubled, now, false);
        }
    }

    /// How quickly the endpoint answers; `None` until it has answered once.
    pub(crate) fn latency(&self, now: Instant) -> Option<Estimate> {
        self.latency.estimate(now)
    }
}

/// A latency as it was estimated with the last answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub(crate) micros: f32,
    age: Duration,
}

impl Estimate {
    /// What estimates of both ages still say together: 1 with the answers themselves, falling towards 0 from then on.
    pub(crate) fn trust(self, other: Self) -> f32 {
        trust(self.age + other.age)
    }
}

fn trust(age: Duration) -> f32 {
    (-age.as_secs_f32() / DECAY.as_secs_f32()).exp()
}

/// A moving average that jumps up to each peak at once, and sinks back over some seconds; or sooner, when the endpoint had nothing
/// else to do: then a late answer was an accident rather than a sign of too much work.
///
/// One word holds the estimate and its time. Two answers at the same moment may overwrite each other; the next one mends it.
#[derive(Debug)]
struct Latency {
    start: Instant,
    /// Microseconds as the bits of an `f32`, then milliseconds since `start`; all zero until the first answer.
    state: AtomicU64,
}

impl Latency {
    fn new(now: Instant) -> Self {
        Self {
            start: now,
            state: AtomicU64::new(0),
        }
    }

    fn record(&self, sample: Duration, now: Instant, alone: bool) {
        // At least a microsecond, so that the word is not zero.
        let sample = (sample.min(SLOWEST).as_secs_f32() * 1e6).max(1.0);
        let micros = match self.estimate(now) {
            Some(old) if old.micros > sample => {
                let rest = if alone { ALONE } else { 1.0 };
                sample + (old.micros - sample) * trust(old.age).min(rest)
            }
            _ => sample,
        };
        let state = u64::from(micros.to_bits()) << 32 | u64::from(self.millis(now));
        self.state.store(state, Ordering::Relaxed);
    }

    fn estimate(&self, now: Instant) -> Option<Estimate> {
        let state = self.state.load(Ordering::Relaxed);
        if state == 0 {
            return None;
        }
        let (bits, then) = halves(state);
        // Milliseconds come round after 49 days; a clock that was read before the answer came is as good as now.
        let age = self.millis(now).wrapping_sub(then);
        let age = if age > u32::MAX / 2 { 0 } else { age };
        Some(Estimate {
            micros: f32::from_bits(bits),
            age: Duration::from_millis(age.into()),
        })
    }

    fn millis(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.start);
        halves((since.as_secs() * 1_000) + u64::from(since.subsec_millis())).1
    }
}

/// The high and the low half.
fn halves(word: u64) -> (u32, u32) {
    let low = word & u64::from(u32::MAX);
    (
        u32::try_from(word >> 32).unwrap_or(u32::MAX),
        u32::try_from(low).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn load() -> (Load, Instant) {
        let now = Instant::now();
        (Load::new(&Arc::default(), now), now)
    }

    fn millis(load: &Load, now: Instant) -> f32 {
        load.latency(now).unwrap().micros / 1e3
    }

    #[test]
    fn a_peak_counts_at_once_and_sinks_over_seconds() {
        let (load, start) = load();
        load.enter();
        load.enter();
        assert!(load.latency(start).is_none());
        load.answered(20 * MS, start);
        load.answered(500 * MS, start);
        assert!((millis(&load, start) - 500.0).abs() < 0.1);
        // An answer at the same moment says nothing new; one after the decay has a weight of 63 %.
        load.answered(20 * MS, start);
        assert!((millis(&load, start) - 500.0).abs() < 0.1);
        load.answered(20 * MS, start + DECAY);
        assert!((millis(&load, start + DECAY) - 196.6).abs() < 1.0);
    }

    #[test]
    fn a_peak_sinks_sooner_while_there_is_one_request_at_a_time() {
        let (load, start) = load();
        load.enter();
        load.answered(420 * MS, start);
        for expected in [120.0, 45.0, 26.25] {
            load.answered(20 * MS, start);
            assert!((millis(&load, start) - expected).abs() < 0.1);
        }
    }

    #[test]
    fn an_estimate_is_trusted_less_as_it_ages() {
        let (load, start) = load();
        load.answered(20 * MS, start);
        let trust = |after| trust(load.latency(start + after).unwrap().age);
        assert!((trust(Duration::ZERO) - 1.0).abs() < 1e-6);
        assert!((trust(DECAY) - 0.368).abs() < 1e-3);
        assert!(trust(Duration::from_mins(5)) < 1e-6);
    }

    #[test]
    fn a_failure_does_not_make_an_endpoint_look_fast() {
        let (load, start) = load();
        load.failed(start);
        assert!(load.latency(start).is_none());
        load.answered(20 * MS, start);
        load.failed(start);
        assert!((millis(&load, start) - 40.0).abs() < 0.1);
        for _ in 0..100 {
            load.failed(start);
        }
        assert!((millis(&load, start) - 60_000.0).abs() < 1.0);
    }

    #[test]
    fn requests_are_counted_for_the_endpoint_and_for_the_cluster() {
        let total = Arc::default();
        let now = Instant::now();
        let (a, b) = (Load::new(&total, now), Load::new(&total, now));
        a.enter();
        a.enter();
        b.enter();
        a.leave();
        assert_eq!((a.active(), b.active(), a.total()), (1, 1, 2));
    }
}
