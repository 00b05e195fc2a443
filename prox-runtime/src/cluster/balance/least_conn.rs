//! The least busy endpoint.

use super::{Balancer, Pick, Prepared, Seat, alias::Alias};

/// Up to so many endpoints, each is looked at.
const SCANNED: usize = 64;

/// With more endpoints, the least busy of so many is taken.
const SAMPLED: usize = 16;

/// The endpoint with the fewest requests under way, in proportion to its weight; ties are drawn by weight.
///
/// With more than 64 endpoints it is the least busy of 16 that are drawn by weight: to look at all of them would cost more
/// than the difference is worth, since each worker would fetch what all others write. An endpoint that is busier than the
/// rest is still all but never taken.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{LeastConn, dsl::cluster};
///
/// let users = cluster(LeastConn::new(), ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);
/// # let _ = users;
/// ```
#[derive(Debug, Default)]
pub struct LeastConn(());

impl LeastConn {
    /// A policy that remembers nothing: it goes by what is under way.
    pub const fn new() -> Self {
        Self(())
    }

    /// Looks at each endpoint.
    fn scan(pick: &Pick<'_>) -> Option<usize> {
        let mut best: Option<(usize, u128, u128)> = None;
        let mut tied = 0;
        for seat in pick.seats() {
            if !pick.is_untried(seat.index()) {
                continue;
            }
            let (active, weight) = (seat.load().active() as u128, u128::from(seat.weight()));
            let (less, equal) = best.map_or((true, false), |(_, a, w)| {
                // active / weight, compared without dividing
                (active * w < a * weight, active * w == a * weight)
            });
            if less {
                best = Some((seat.index(), active, weight));
                tied = seat.weight();
            } else if equal {
                // Of all that are tied so far, each remains with the chance of its weight.
                tied += seat.weight();
                if pick.random_below(tied) < seat.weight() {
                    best = Some((seat.index(), active, weight));
                }
            }
        }
        best.map(|(index, ..)| index)
    }

    /// Looks at some, drawn by weight, so that the first of equals is one of them by weight.
    fn sample(pick: &Pick<'_>, alias: &Alias) -> Option<usize> {
        let seats = pick.seats();
        let mut best = pick.draw(|| alias.draw(pick.rng()))?;
        let mut least = best.load().active() as u128;
        for _ in 1..SAMPLED {
            if least == 0 {
                break;
            }
            let Some(seat) = seats.get(alias.draw(pick.rng())) else {
                continue;
            };
            let active = seat.load().active() as u128;
            if active * u128::from(best.weight()) < least * u128::from(seat.weight())
                && pick.is_untried(seat.index())
            {
                (best, least) = (seat, active);
            }
        }
        Some(best.index())
    }
}

impl Balancer for LeastConn {
    fn is_keyed(&self) -> bool {
        false
    }

    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        match pick.prepared::<Alias>() {
            Some(alias) => Self::sample(pick, alias),
            None => Self::scan(pick),
        }
    }

    fn prepare(&self, seats: &[Seat]) -> Prepared {
        if seats.len() <= SCANNED {
            return Prepared::none();
        }
        Prepared::new(Alias::new(seats.iter().map(Seat::weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::balance::testing::{Endpoints, assert_balancer};

    #[test]
    fn it_is_fair() {
        assert_balancer(LeastConn::new);
    }

    #[test]
    fn the_least_busy_for_its_weight_is_taken() {
        let mut endpoints = Endpoints::weighted(&[1, 4, 1]);
        endpoints.busy(0, 2).busy(1, 5).busy(2, 3);
        assert_eq!(endpoints.pick(&LeastConn::new()), Some(1));
        endpoints.busy(1, 9);
        assert_eq!(endpoints.pick(&LeastConn::new()), Some(0));
    }

    #[test]
    fn a_tie_is_fair_to_whoever_stands_behind_a_busy_one() {
        let mut endpoints = Endpoints::weighted(&[1, 1, 1, 1]);
        endpoints.busy(0, 1);
        let counts = endpoints.counts(&LeastConn::new(), 30_000);
        assert_eq!(counts[0], 0);
        assert!(
            counts[1..].iter().all(|count| count.abs_diff(10_000) < 400),
            "{counts:?}"
        );
    }

    #[test]
    fn requests_that_stay_are_spread_by_weight() {
        for size in [2, 100] {
            let weights: Vec<u32> = (0..size).map(|index| 1 + index % 2 * 2).collect();
            let mut endpoints = Endpoints::weighted(&weights);
            let rounds = 50 * weights.iter().sum::<u32>();
            for _ in 0..rounds {
                let index = endpoints.pick(&LeastConn::new()).unwrap();
                let active = endpoints.active(index);
                endpoints.busy(index, active + 1);
            }
            for (index, weight) in weights.iter().enumerate() {
                let off = endpoints.active(index).abs_diff(50 * *weight as usize);
                assert!(off <= *weight as usize, "{size} {index}: {off}");
            }
        }
    }

    #[test]
    fn among_many_a_busy_one_is_left_alone() {
        let mut endpoints = Endpoints::weighted(&[1; 1_000]);
        for index in 0..1_000 {
            endpoints.busy(index, 10);
        }
        endpoints.busy(7, 50);
        assert_eq!(endpoints.counts(&LeastConn::new(), 50_000)[7], 0);
    }
}
