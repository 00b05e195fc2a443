//! One after the other.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Balancer, Pick, Prepared, Seat};

/// One after the other; with weights, smoothly interleaved and exact over each round.
///
/// All workers share one counter, so the order holds for the gateway as a whole. Weights 5, 1 and 1 give `a a b a c a a`,
/// as in nginx. A round of more than 65 536 turns is scaled down.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{RoundRobin, dsl::{Weighted as _, cluster}};
///
/// let users = cluster(RoundRobin::new(), ["http://10.0.0.1:8080".weight(1), "http://10.0.0.2:8080".weight(3)]);
/// # let _ = users;
/// ```
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: AtomicUsize,
}

/// The places of one round in their order.
#[derive(Debug)]
struct Round(Box<[u32]>);

/// The longest round that is laid out in memory; beyond it, weights are scaled down.
const LONGEST_ROUND: u64 = 1 << 16;

/// How many steps the smoothest order may cost; beyond it, a cheaper one that is nearly as smooth is laid out.
const MOST_STEPS: u64 = 1 << 20;

impl RoundRobin {
    /// A policy that starts with the first endpoint.
    pub const fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
        }
    }
}

impl Balancer for RoundRobin {
    fn is_keyed(&self) -> bool {
        false
    }

    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let turn = || self.next.fetch_add(1, Ordering::Relaxed);
        let seat = match pick.prepared::<Round>() {
            Some(Round(order)) => pick.draw(|| order[turn() % order.len()] as usize),
            None => pick.draw(|| turn() % pick.seats().len().max(1)),
        };
        seat.map(Seat::index)
    }

    fn prepare(&self, seats: &[Seat]) -> Prepared {
        if seats
            .windows(2)
            .all(|pair| pair[0].weight() == pair[1].weight())
        {
            return Prepared::none();
        }
        let weights: Vec<u64> = seats.iter().map(Seat::weight).collect();
        let order = round_of(&weights);
        if order.is_empty() {
            return Prepared::none();
        }
        Prepared::new(Round(order.into()))
    }
}

/// The order of one round.
fn round_of(weights: &[u64]) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u128 = weights
        .iter()
        .map(|&weight| u128::from(weight / divisor))
        .sum();
    let scale = u64::try_from(total.div_ceil(u128::from(LONGEST_ROUND))).unwrap_or(u64::MAX);
    let weights: Vec<u64> = weights
        .iter()
        .map(|&weight| (weight / divisor / scale.max(1)).max(1))
        .collect();
    let total: u64 = weights.iter().sum();
    if total.saturating_mul(weights.len() as u64) <= MOST_STEPS {
        smooth(&weights, total)
    } else {
        interleaved(&weights, total)
    }
}

/// Smooth weighted round robin, as nginx does it: next is whoever lags behind its share the most.
fn smooth(weights: &[u64], total: u64) -> Vec<u32> {
    // Not above 2²⁰, by the bound on the steps.
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut lag = vec![0_i64; weights.len()];
    (0..total)
        .map(|_| {
            for (lag, &weight) in lag.iter_mut().zip(weights) {
                *lag += signed(weight);
            }
            let mut best = 0;
            for place in 1..lag.len() {
                if lag[place] > lag[best] {
                    best = place;
                }
            }
            lag[best] -= signed(total);
            u32::try_from(best).unwrap_or(u32::MAX)
        })
        .collect()
}

/// Each place at even distances, half of one from the start (Webster's method): O(log n) a turn.
pub(super) fn interleaved(weights: &[u64], total: u64) -> Vec<u32> {
    // The time of a place's turn `k` is (2k + 1) / weight, in units so fine that rounding does not reorder much.
    let time = |turn: u64, weight: u64| ((2 * turn + 1) << 40) / weight;
    let mut turns = vec![0_u64; weights.len()];
    let mut heap: BinaryHeap<Reverse<(u64, usize)>> = weights
        .iter()
        .enumerate()
        .map(|(place, &weight)| Reverse((time(0, weight), place)))
        .collect();
    (0..total)
        .filter_map(|_| {
            let Reverse((_, place)) = heap.pop()?;
            turns[place] += 1;
            if turns[place] < weights[place] {
                heap.push(Reverse((time(turns[place], weights[place]), place)));
            }
            u32::try_from(place).ok()
        })
        .collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::balance::testing::{Endpoints, assert_balancer};

    #[test]
    fn it_is_fair() {
        assert_balancer(RoundRobin::new);
    }

    #[test]
    fn a_round_is_exact_and_smooth() {
        let counts =
            |weights: &[u32], picks| Endpoints::weighted(weights).counts(&RoundRobin::new(), picks);
        assert_eq!(counts(&[1, 1, 1], 9), [3, 3, 3]);
        assert_eq!(counts(&[5, 1, 1], 70), [50, 10, 10]);
        assert_eq!(round_of(&[5_000, 1_000, 1_000]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn a_round_stays_small_whatever_the_weights() {
        let most = u64::from(u32::MAX) * 1_000;
        let round = round_of(&[most, 1_000, most - 7_000]);
        assert!(round.len() as u64 <= LONGEST_ROUND + 3);
        assert!(round.contains(&1));
        let many: Vec<u64> = (0..10_000).map(|weight| 1 + weight % 9).collect();
        assert_eq!(round_of(&many).len() as u64, many.iter().sum::<u64>());
    }

    #[test]
    fn turns_of_many_threads_are_shared_out_exactly() {
        let endpoints = Endpoints::weighted(&[3, 1]);
        let policy = RoundRobin::new();
        let mut total = vec![0; 2];
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| endpoints.counts(&policy, 1_000)))
                .collect();
            for thread in threads {
                for (total, count) in total.iter_mut().zip(thread.join().unwrap()) {
                    *total += count;
                }
            }
        });
        assert_eq!(total, [3_000, 1_000]);
    }

    proptest! {
        #[test]
        fn each_order_gives_each_place_its_turns_and_is_never_far_behind(
            weights in prop::collection::vec(1_u64..50, 2..20),
        ) {
            let total: u64 = weights.iter().sum();
            for order in [smooth(&weights, total), interleaved(&weights, total)] {
                let mut turns = vec![0_u64; weights.len()];
                for (turn, &place) in order.iter().enumerate() {
                    turns[place as usize] += 1;
                    for (&turns, &weight) in turns.iter().zip(&weights) {
                        // Never as much as two turns off its share, times the total on both sides.
                        let share = (turn as u64 + 1) * weight;
                        prop_assert!(share.abs_diff(turns * total) <= total * weights.len() as u64);
                    }
                }
                prop_assert_eq!(&turns, &weights);
            }
        }
    }
}
