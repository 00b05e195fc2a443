//! The better of two.

use super::{Balancer, Pick, Prepared, Seat, alias::Alias};

/// The better of two endpoints that are drawn by weight: the one whose latency times its requests under way is lower.
///
/// The latency is a moving average that jumps up to each peak and sinks back over 10 s ("peak EWMA"). An answer of an endpoint
/// that had nothing else to do takes three quarters of the difference back at once. An endpoint without an answer counts as fast
/// as the endpoint that it is compared with. So does, the longer its last answer is ago, an endpoint that was slow or fast once. A
/// new endpoint thus gets its share by weight and by what it has under way, and a failure counts as a slow answer.
///
/// Endpoints that are equally fast get equal shares by weight, also with one request at a time: where two have equally much under
/// way, a difference in latency is a matter of chance. An endpoint that takes twice as long keeps half of the requests that
/// would be its share, and so on. An idle endpoint always keeps a quarter of them, however slow it was, so that it is known when
/// it is fast again; while it works on one, it is compared as all others are.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{P2c, dsl::cluster};
///
/// let users = cluster(P2c::new(), ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);
/// # let _ = users;
/// ```
#[derive(Debug, Default)]
pub struct P2c(());

/// What it needs of a list.
#[derive(Debug)]
struct Table {
    alias: Alias,
    /// The mean of the weights.
    mean: f32,
}

/// How often a second endpoint is drawn, when it is the first one again.
const DRAWS: usize = 4;

/// The chance at most that an idle endpoint which was drawn first loses to a better one.
const MOST: f32 = 0.75;

impl P2c {
    /// A policy that starts without knowing any latency.
    pub const fn new() -> Self {
        Self(())
    }

    /// Whether `second` takes the place of `first`.
    fn prefers(pick: &Pick<'_>, table: &Table, first: &Seat, second: &Seat) -> bool {
        let (a, b) = latencies(pick, first, second);
        let (busy, other) = (busyness(first, table.mean), busyness(second, table.mean));
        let gain = 1.0 - (b * other) / (a * busy);
        if gain <= 0.0 {
            return false;
        }
        // Equally busy ones differ in their latency alone. The least difference must not decide for all requests.
        let chance = if (busy - other).abs() < f32::EPSILON {
            gain
        } else {
            1.0
        };
        let is_idle = first.load().active() == 0;
        pick.rng()
            .hits(if is_idle { chance.min(MOST) } else { chance })
    }
}

/// The requests under way in proportion to the weight, with the one that is to come: an idle endpoint counts the same
/// whatever its weight, since the draw has honoured that already.
#[allow(clippy::cast_precision_loss, reason = "they are compared, not counted")]
fn busyness(seat: &Seat, mean: f32) -> f32 {
    seat.load().active() as f32 * mean / (seat.weight() as f32).max(1.0) + 1.0
}

/// Both latencies in microseconds, brought together as far as they are no longer known.
fn latencies(pick: &Pick<'_>, first: &Seat, second: &Seat) -> (f32, f32) {
    let now = pick.now();
    match (first.load().latency(now), second.load().latency(now)) {
        (Some(a), Some(b)) => {
            let middle = f32::midpoint(a.micros, b.micros);
            let half = (a.micros - middle) * a.trust(b);
            (middle + half, middle - half)
        }
        _ => (1.0, 1.0),
    }
}

impl Balancer for P2c {
    fn is_keyed(&self) -> bool {
        false
    }

    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let table = pick.prepared::<Table>()?;
        let draw = || table.alias.draw(pick.rng());
        let first = pick.draw(draw)?;
        if pick.seats().len() == 1 {
            return Some(first.index());
        }
        let second = (0..DRAWS)
            .filter_map(|_| pick.seats().get(draw()))
            .find(|seat| seat.index() != first.index() && pick.is_untried(seat.index()));
        match second {
            Some(second) if Self::prefers(pick, table, first, second) => Some(second.index()),
            _ => Some(first.index()),
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a mean of weights need not be exact"
    )]
    fn prepare(&self, seats: &[Seat]) -> Prepared {
        let total: f32 = seats.iter().map(|seat| seat.weight() as f32).sum();
        Prepared::new(Table {
            alias: Alias::new(seats.iter().map(Seat::weight)),
            mean: total / seats.len().max(1) as f32,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use super::*;
    use crate::cluster::balance::testing::{Endpoints, assert_balancer};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_is_fair() {
        assert_balancer(P2c::new);
    }

    /// The shares when `width` requests are always under way, each for as long as its endpoint takes.
    fn shares(endpoints: &mut Endpoints, latency: impl Fn(usize) -> u32, width: usize) -> Vec<f64> {
        let mut under_way: VecDeque<(u32, usize)> = VecDeque::new();
        let mut counts = vec![0_u32; endpoints.count()];
        let mut clock = 0;
        for turn in 0..20_000 {
            if under_way.len() == width {
                let next = under_way
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, entry)| entry.0);
                let at = next.unwrap().0;
                let (end, index) = under_way.remove(at).unwrap();
                endpoints.advance(MS * (end - clock));
                clock = end;
                let active = endpoints.active(index);
                endpoints
                    .busy(index, active - 1)
                    .answered(index, MS * latency(index));
            }
            let index = endpoints.pick(&P2c::new()).unwrap();
            let active = endpoints.active(index);
            endpoints.busy(index, active + 1);
            under_way.push_back((clock + latency(index), index));
            if turn >= 2_000 {
                counts[index] += 1;
            }
        }
        counts
            .iter()
            .map(|&count| f64::from(count) / 18_000.0)
            .collect()
    }

    #[test]
    fn equal_endpoints_share_by_weight_under_load() {
        let shares = shares(&mut Endpoints::weighted(&[3, 1, 2, 2]), |_| 20, 64);
        for (share, expected) in shares.iter().zip([0.375, 0.125, 0.25, 0.25]) {
            assert!((share - expected).abs() < 0.02, "{shares:?}");
        }
    }

    #[test]
    fn a_slow_endpoint_gets_less() {
        let slow = |index| if index == 0 { 400 } else { 20 };
        let shares = shares(&mut Endpoints::weighted(&[1; 4]), slow, 16);
        assert!(shares[0] < 0.05, "{shares:?}");
        assert!(shares[0] > 0.0, "it is asked now and then: {shares:?}");
    }

    #[test]
    fn a_cold_endpoint_is_not_flooded() {
        let mut endpoints = Endpoints::weighted(&[1; 10]);
        for index in 1..10 {
            endpoints.answered(index, 20 * MS);
        }
        for _ in 0..1_000 {
            let index = endpoints.pick(&P2c::new()).unwrap();
            let active = endpoints.active(index);
            endpoints.busy(index, active + 1);
        }
        assert!(endpoints.active(0) <= 120, "{}", endpoints.active(0));
    }

    #[test]
    fn what_was_slow_long_ago_counts_like_the_others() {
        let mut endpoints = Endpoints::weighted(&[1; 2]);
        endpoints.answered(0, 400 * MS).answered(1, 20 * MS);
        let first = |endpoints: &Endpoints| endpoints.counts(&P2c::new(), 1_000)[0];
        assert!(
            (100..200).contains(&first(&endpoints)),
            "a quarter of a half"
        );
        endpoints.advance(Duration::from_mins(10));
        endpoints.busy(1, 1);
        assert!(first(&endpoints) > 900);
    }
}
