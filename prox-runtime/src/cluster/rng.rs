//! Random numbers that are quick, and that a test can foresee.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// `SplitMix64`: a counter and a hash of it. Good enough to spread load, and for nothing that must be secret.
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

thread_local! {
    static LOCAL: Rng = Rng::seeded(RandomState::new().hash_one(0_u8));
}

impl Rng {
    /// A source whose numbers follow from `seed`.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// Uses the source of this thread, which no other thread slows down.
    pub(crate) fn with_local<R>(f: impl FnOnce(&Self) -> R) -> R {
        LOCAL.with(f)
    }

    /// Has the numbers of the source of this thread follow from `seed` from now on.
    #[cfg(feature = "testing")]
    pub(crate) fn seed_local(seed: u64) {
        LOCAL.with(|local| local.0.set(mix(seed)));
    }

    /// The next 64 bits.
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        mix(state)
    }

    /// A number under `limit`; 0 when the limit is 0.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        reduce(self.next(), limit)
    }

    /// Whether something happens that has this chance: never at 0, always at 1.
    pub(crate) fn hits(&self, chance: f32) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
        let drawn = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
        drawn < chance
    }

    /// A position in a list of `length`; 0 when it is empty.
    #[cfg(test)]
    pub(crate) fn position(&self, length: usize) -> usize {
        // Not above `length`, which is a usize.
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// Any time from zero to `limit`, both included.
    pub(crate) fn up_to(&self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos.saturating_add(1)))
    }

    /// `middle`, longer or shorter by at most `percent` of it.
    pub(crate) fn around(&self, middle: Duration, percent: u32) -> Duration {
        let spread = (middle / 100).saturating_mul(percent.min(100));
        let shortest = middle.saturating_sub(spread);
        shortest.saturating_add(self.up_to(spread.saturating_mul(2)))
    }
}

/// Spreads 64 bits, so that each bit of the result depends on all of them.
pub(crate) const fn mix(bits: u64) -> u64 {
    let mut z = bits;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Maps 64 random bits to a number under `limit`: the high half of a product, which needs no division.
pub(crate) fn reduce(bits: u64, limit: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(limit)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (a, b) = (Rng::seeded(7), Rng::seeded(7));
        assert!((0..100).all(|_| a.next() == b.next()));
        assert_ne!(Rng::seeded(8).next(), Rng::seeded(7).next());
    }

    #[test]
    fn positions_are_even_and_in_range() {
        let rng = Rng::seeded(1);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[rng.position(7)] += 1;
        }
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 400),
            "{counts:?}"
        );
        assert_eq!(rng.position(0), 0);
    }

    #[test]
    fn chances_are_kept() {
        let rng = Rng::seeded(1);
        let hits = |chance| (0..10_000).filter(|_| rng.hits(chance)).count();
        assert_eq!((hits(0.0), hits(1.0)), (0, 10_000));
        assert!(hits(0.25).abs_diff(2_500) < 200);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let rng = Rng::seeded(1);
        let (low, high) = (Duration::from_secs(9), Duration::from_secs(11));
        let mut seen = (high, low);
        for _ in 0..10_000 {
            let time = rng.around(Duration::from_secs(10), 10);
            assert!((low..=high).contains(&time));
            seen = (seen.0.min(time), seen.1.max(time));
        }
        assert!(seen.0 < low + Duration::from_millis(10));
        assert!(seen.1 + Duration::from_millis(10) > high);
        assert_eq!(rng.around(Duration::ZERO, 10), Duration::ZERO);
        assert!(rng.around(Duration::MAX, 10) > Duration::MAX / 2);
    }
}
