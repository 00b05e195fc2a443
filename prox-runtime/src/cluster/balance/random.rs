//! Any endpoint.

use super::{Balancer, Pick, Prepared, Seat, alias::Alias};

/// Any endpoint, in proportion to its weight: `random`, and `weighted`, which says aloud that weights count.
///
/// Each choice is independent of all others, so nothing is shared between workers; the shares are even over many requests
/// only.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Random, dsl::{Weighted as _, cluster}};
///
/// let users = cluster(Random::new(), ["http://10.0.0.1:8080".weight(9), "http://10.0.0.2:8080".weight(1)]);
/// # let _ = users;
/// ```
#[derive(Debug, Default)]
pub struct Random(());

impl Random {
    /// A policy whose choices differ from start to start.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Balancer for Random {
    fn is_keyed(&self) -> bool {
        false
    }

    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let alias = pick.prepared::<Alias>()?;
        pick.draw(|| alias.draw(pick.rng())).map(Seat::index)
    }

    fn prepare(&self, seats: &[Seat]) -> Prepared {
        Prepared::new(Alias::new(seats.iter().map(Seat::weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::balance::testing::{Endpoints, assert_balancer};

    #[test]
    fn it_is_fair() {
        assert_balancer(Random::new);
    }

    #[test]
    fn it_follows_weights_that_differ_by_much() {
        let counts = Endpoints::weighted(&[900, 90, 9, 1]).counts(&Random::new(), 100_000);
        for (count, expected) in counts.into_iter().zip([90_000, 9_000, 900, 100_usize]) {
            assert!(
                count.abs_diff(expected) <= expected / 10 + 50,
                "{count} of {expected}"
            );
        }
    }
}
