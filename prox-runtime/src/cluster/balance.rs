//! Which endpoint is next.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::Upstream;

/// Chooses an endpoint for each request.
///
/// Give any value that implements it as the first argument of `cluster(..)`. It is asked from all workers at once, for
/// every request, so it keeps its state in atomics.
///
/// ```
/// use prox_runtime::{Balancer, Pick};
///
/// /// Uses the first endpoint, and the others only when it failed.
/// #[derive(Debug)]
/// struct First;
///
/// impl Balancer for First {
///     fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
///         pick.available().next()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a balancing policy",
    label = "this cannot choose an endpoint",
    note = "a policy is `rr`, `least_conn`, `random`, or a type that implements `prox::Balancer`"
)]
pub trait Balancer: Send + Sync + fmt::Debug + 'static {
    /// The index of the endpoint for one request, or `None` when there is none that is available.
    fn pick(&self, pick: &Pick<'_>) -> Option<usize>;

    /// Told the weights of the endpoints once, before the first request.
    fn prepare(&mut self, weights: &[u32]) {
        let _ = weights;
    }
}

/// The endpoints of a cluster at the moment of a choice.
#[derive(Debug)]
pub struct Pick<'a> {
    upstreams: &'a [Upstream],
    tried: &'a [usize],
}

impl<'a> Pick<'a> {
    pub(super) fn new(upstreams: &'a [Upstream], tried: &'a [usize]) -> Self {
        Self { upstreams, tried }
    }

    /// How many endpoints the cluster has, whether they are available or not.
    pub fn count(&self) -> usize {
        self.upstreams.len()
    }

    /// Whether the endpoint may be chosen: it has not failed this same request before.
    pub fn is_available(&self, index: usize) -> bool {
        index < self.upstreams.len() && !self.tried.contains(&index)
    }

    /// The indices that may be chosen.
    pub fn available(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).filter(|&index| self.is_available(index))
    }

    /// How many requests the endpoint is working on.
    pub fn active(&self, index: usize) -> usize {
        self.upstreams.get(index).map_or(0, Upstream::active)
    }

    /// The endpoint's weight.
    pub fn weight(&self, index: usize) -> u32 {
        self.upstreams
            .get(index)
            .map_or(0, |upstream| upstream.endpoint.share())
    }

    /// The first available endpoint at `start` or behind it, round and round.
    fn from(&self, start: usize) -> Option<usize> {
        let count = self.count();
        (0..count)
            .map(|step| (start + step) % count)
            .find(|&index| self.is_available(index))
    }
}

/// One after the other; with weights, smoothly interleaved and exact over each round.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: AtomicUsize,
    /// The order of one round; empty when all weights are equal.
    round: Vec<u32>,
}

/// The longest round that is laid out in memory; beyond it, weights are scaled down.
const LONGEST_ROUND: u64 = 1 << 16;

impl RoundRobin {
    /// A policy that starts with the first endpoint.
    pub const fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
            round: Vec::new(),
        }
    }
}

impl Balancer for RoundRobin {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let start = match self.round.len() {
            0 => turn % pick.count().max(1),
            length => self.round[turn % length] as usize,
        };
        pick.from(start)
    }

    fn prepare(&mut self, weights: &[u32]) {
        self.round = if weights.windows(2).all(|pair| pair[0] == pair[1]) {
            Vec::new()
        } else {
            smooth_round(weights)
        };
    }
}

/// Smooth weighted round robin, as nginx does it, laid out for one whole round.
fn smooth_round(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights
        .iter()
        .map(|&weight| u64::from(weight / divisor))
        .sum();
    let scale = total.div_ceil(LONGEST_ROUND).max(1);
    let weights: Vec<i64> = weights
        .iter()
        .map(|&weight| i64::from(weight / divisor) / i64::try_from(scale).unwrap_or(i64::MAX))
        .map(|weight| weight.max(1))
        .collect();
    let total: i64 = weights.iter().sum();
    let mut current = vec![0_i64; weights.len()];
    (0..total)
        .map(|_| {
            for (current, weight) in current.iter_mut().zip(&weights) {
                *current += weight;
            }
            let mut best = 0;
            for index in 1..current.len() {
                if current[index] > current[best] {
                    best = index;
                }
            }
            current[best] -= total;
            u32::try_from(best).unwrap_or(u32::MAX)
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The endpoint with the fewest requests under way, in proportion to its weight; ties go round.
#[derive(Debug, Default)]
pub struct LeastConn {
    next: AtomicUsize,
}

impl LeastConn {
    /// A policy that breaks its first tie for the first endpoint.
    pub const fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
        }
    }
}

impl Balancer for LeastConn {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let count = pick.count();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut best: Option<(usize, u64, u64)> = None;
        for index in (0..count).map(|step| (start.wrapping_add(step)) % count) {
            if !pick.is_available(index) {
                continue;
            }
            // active / weight, compared without dividing
            let (active, weight) = (pick.active(index) as u64, u64::from(pick.weight(index)));
            if best.is_none_or(|(_, a, w)| active * w < a * weight) {
                best = Some((index, active, weight));
            }
        }
        best.map(|(index, ..)| index)
    }
}

/// Marks a state that is still to be drawn, which only [`Balancer::prepare`] can do: the value itself is a constant.
const UNSEEDED: u64 = 0;

/// Any endpoint, in proportion to its weight.
#[derive(Debug, Default)]
pub struct Random {
    state: AtomicU64,
}

impl Random {
    /// A policy whose choices differ from start to start.
    pub const fn new() -> Self {
        Self::seeded(UNSEEDED)
    }

    /// A policy whose choices follow from `seed`, which must not be 0.
    pub const fn seeded(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// `SplitMix64`: a counter, and a hash of it.
    fn next(&self) -> u64 {
        let mut z = self
            .state
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Balancer for Random {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let total: u64 = pick
            .available()
            .map(|index| u64::from(pick.weight(index)))
            .sum();
        if total == 0 {
            return None;
        }
        // The high half of a product maps the random number to the range without a division.
        let mut point =
            u64::try_from((u128::from(self.next()) * u128::from(total)) >> 64).unwrap_or(0);
        for index in pick.available() {
            let weight = u64::from(pick.weight(index));
            if point < weight {
                return Some(index);
            }
            point -= weight;
        }
        None
    }

    fn prepare(&mut self, _: &[u32]) {
        let state = self.state.get_mut();
        if *state == UNSEEDED {
            *state = RandomState::new().hash_one(0_u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    fn upstreams(weights: &[u32]) -> Vec<Upstream> {
        weights
            .iter()
            .enumerate()
            .map(|(index, &weight)| {
                let endpoint: super::super::Endpoint =
                    format!("http://10.0.0.{}:80", index + 1).parse().unwrap();
                Upstream::new(endpoint.weight(weight), Pool::default())
            })
            .collect()
    }

    fn shares(mut balancer: impl Balancer, weights: &[u32], picks: usize) -> Vec<usize> {
        let upstreams = upstreams(weights);
        balancer.prepare(weights);
        let mut counts = vec![0; weights.len()];
        for _ in 0..picks {
            counts[balancer.pick(&Pick::new(&upstreams, &[])).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn round_robin_is_exact_and_smooth() {
        assert_eq!(shares(RoundRobin::new(), &[1, 1, 1], 9), [3, 3, 3]);
        assert_eq!(shares(RoundRobin::new(), &[5, 1, 1], 70), [50, 10, 10]);
        assert_eq!(smooth_round(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn a_round_stays_small_whatever_the_weights() {
        let round = smooth_round(&[u32::MAX, 1, u32::MAX - 7]);
        assert!(round.len() as u64 <= LONGEST_ROUND + 3);
    }

    #[test]
    fn random_follows_the_weights() {
        let shares = shares(Random::seeded(7), &[3, 1], 100_000);
        assert!(shares[0].abs_diff(75_000) < 1_000, "{shares:?}");
    }

    #[test]
    fn least_conn_goes_round_while_all_are_idle() {
        assert_eq!(shares(LeastConn::new(), &[1, 1], 10), [5, 5]);
    }

    #[test]
    fn what_was_tried_is_not_picked_again() {
        let upstreams = upstreams(&[1, 1, 1]);
        for balancer in [
            &RoundRobin::new() as &dyn Balancer,
            &LeastConn::new(),
            &Random::seeded(1),
        ] {
            for _ in 0..20 {
                assert_eq!(balancer.pick(&Pick::new(&upstreams, &[0, 2])), Some(1));
            }
            assert_eq!(balancer.pick(&Pick::new(&upstreams, &[0, 1, 2])), None);
        }
    }
}
