//! Ids of traces and spans.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

/// The secrets of a thread: the key of a hash, and what the other ids of a request are mixed with.
struct Secrets {
    keys: RandomState,
    trace: u64,
    span: u64,
    count: Cell<u64>,
}

thread_local! {
    static SECRETS: Secrets = Secrets::new();
}

impl Secrets {
    fn new() -> Self {
        let keys = RandomState::new();
        Self {
            trace: keys.hash_one("trace"),
            span: keys.hash_one("span"),
            keys,
            count: Cell::new(0),
        }
    }

    /// A keyed hash of a counter.
    fn next(&self) -> u64 {
        let number = self.count.get().wrapping_add(1);
        self.count.set(number);
        self.keys.hash_one(number)
    }
}

/// 64 bits that no one outside can foresee.
pub(super) fn next() -> u64 {
    SECRETS.with(Secrets::next)
}

/// The ids of a new trace and of its first span, of which no one outside can foresee those that come next.
///
/// They are of one hash, which is most of what an id costs.
pub(super) fn root() -> (u128, u64) {
    SECRETS.with(|secrets| {
        let upper = secrets.next();
        let lower = spread(upper ^ secrets.trace);
        let span = spread(upper ^ secrets.span);
        (u128::from(upper) << 64 | u128::from(lower), span)
    })
}

/// The half of the id of a trace by which samplers decide.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is the half that is wanted"
)]
pub(super) const fn lower_half(trace: u128) -> u64 {
    trace as u64
}

/// Spreads 64 bits, so that each bit of the result depends on all of them (the finalizer of `SplitMix64`).
const fn spread(bits: u64) -> u64 {
    let mut z = bits;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn threads_have_ids_of_their_own() {
        let ids = || (0..1000).map(|_| root()).collect::<Vec<_>>();
        let mut all = ids();
        all.extend(std::thread::spawn(ids).join().unwrap());
        let traces: HashSet<u128> = all.iter().map(|(trace, _)| *trace).collect();
        let halves: HashSet<u64> = all.iter().map(|(_, span)| *span).collect();
        assert_eq!((traces.len(), halves.len()), (2000, 2000));
    }

    #[test]
    fn the_lower_halves_of_traces_are_spread_evenly() {
        let below = (0..10_000)
            .filter(|_| lower_half(root().0) >> 1 < 1 << 61)
            .count();
        assert!((2000..3000).contains(&below), "{below}");
    }
}
