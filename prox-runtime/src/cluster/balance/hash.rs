//! The same endpoint for the same key.

use std::fmt;

use http::request::Parts;

use super::{Balancer, Pick, Prepared, Seat, round_robin::interleaved};
use crate::cluster::{
    rng::{mix, reduce},
    siphash::siphash,
};

/// What an endpoint may have under way, in proportion to its fair share, before keys move on to another one.
const BOUND: f64 = 1.25;

/// How many places are looked at before the least busy of them is taken.
const PROBES: u64 = 32;

/// The sizes of the table, all prime: the first with 128 places for each endpoint is used, or the last.
const SIZES: [usize; 3] = [8_191, 65_537, 524_287];

type Key = dyn Fn(&Parts) -> Option<u64> + Send + Sync;

/// The same endpoint for all requests with the same key, as long as it is there and not overloaded: `hash(key)`.
///
/// Keys are spread by weight with a Maglev table (Eisenbud et al., NSDI 2016). Among the consistent hashes it is the one that
/// finds an endpoint in constant time, however many there are, and that is even to within one percent (two with more than 4 096 endpoints): a ring would need
/// ten thousand points for each endpoint to be so even, and rendezvous hashing looks at every endpoint for each request. In
/// return, when an endpoint goes, a few keys beside its own move too (about one in fifty). Replicas of the gateway agree, in
/// whatever order they list the endpoints.
///
/// Popular keys do not overload an endpoint: with more than 1.25 times its fair share of the requests under way, it is passed
/// over, and the key goes to the next place of its own sequence ("consistent hashing with bounded loads", Mirrokni et al.,
/// 2016). A request without the key goes to any endpoint, by weight.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Hash, key_of, dsl::cluster};
///
/// let by_user = Hash::new(|req| req.headers.get("x-user").map(|user| key_of(user.as_bytes())));
/// let users = cluster(by_user.bounded(1.5), ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);
/// # let _ = users;
/// ```
pub struct Hash {
    key: Box<Key>,
    /// `None` when endpoints take whatever falls to them.
    bound: Option<f64>,
    problem: Option<String>,
}

/// A key for [`Hash`](struct@Hash) of any bytes: the same in each process and in each version.
pub fn key_of(bytes: &[u8]) -> u64 {
    siphash([0, 0], bytes)
}

impl Hash {
    /// A policy that tells requests apart by what `key` makes of them; see [`key_of`].
    pub fn new(key: impl Fn(&Parts) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self {
            key: Box::new(key),
            bound: Some(BOUND),
            problem: None,
        }
    }

    /// With what is wrong with its key, which is said when the gateway starts.
    pub(crate) fn with_problem(mut self, problem: Option<String>) -> Self {
        self.problem = problem;
        self
    }

    /// Passes over an endpoint that has more than `factor` times its fair share under way; 1.25 by default.
    ///
    /// A lower factor spreads better and keeps fewer keys in place. Anything below 1.01, or no number, counts as 1.01: with
    /// 1, every endpoint but one could be full.
    #[must_use]
    pub fn bounded(mut self, factor: f64) -> Self {
        self.bound = Some(factor.max(1.01));
        self
    }

    /// Never passes over an endpoint, whatever it has under way.
    #[must_use]
    pub fn unbounded(mut self) -> Self {
        self.bound = None;
        self
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hash")
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl Balancer for Hash {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let table = pick.prepared::<Maglev>()?;
        let Some(key) = pick.key() else {
            return pick
                .draw(|| table.place(pick.rng().next()))
                .map(Seat::index);
        };
        let mut least: Option<(f64, usize)> = None;
        for probe in 0..PROBES {
            let place = table.place(mix(key.wrapping_add(probe << 56 | probe)));
            let Some(seat) = pick.seats().get(place) else {
                continue;
            };
            if !pick.is_untried(seat.index()) {
                continue;
            }
            let Some(bound) = self.bound else {
                return Some(seat.index());
            };
            let fullness = table.fullness(place, seat);
            if fullness < bound {
                return Some(seat.index());
            }
            if least.is_none_or(|(other, _)| fullness < other) {
                least = Some((fullness, seat.index()));
            }
        }
        // Nothing but tried ones is all but impossible while there are others; then any of those will do.
        least
            .map(|(_, index)| index)
            .or_else(|| pick.available().next())
    }

    fn prepare(&self, seats: &[Seat]) -> Prepared {
        Prepared::new(Maglev::new(seats))
    }

    fn key(&self, req: &Parts) -> Option<u64> {
        (self.key)(req)
    }

    fn check(&self) -> Result<(), String> {
        self.problem.clone().map_or(Ok(()), Err)
    }
}

/// A table in which each endpoint has as many entries as its weight says, where it has had them before.
struct Maglev {
    entries: Box<[u32]>,
    /// What part of all requests falls to each place.
    shares: Box<[f64]>,
}

impl Maglev {
    #[allow(
        clippy::cast_precision_loss,
        reason = "a share need not be exact to the last bit"
    )]
    fn new(seats: &[Seat]) -> Self {
        let total: u128 = seats.iter().map(|seat| u128::from(seat.weight())).sum();
        if total == 0 {
            return Self {
                entries: Box::default(),
                shares: Box::default(),
            };
        }
        let size = SIZES
            .into_iter()
            .find(|&size| size >= seats.len() * 128)
            .unwrap_or(SIZES[SIZES.len() - 1]);
        Self {
            entries: fill(seats, &turns(seats, size, total), size),
            shares: seats
                .iter()
                .map(|seat| seat.weight() as f64 / total as f64)
                .collect(),
        }
    }

    /// The place of a hashed key.
    fn place(&self, hash: u64) -> usize {
        let entry = usize::try_from(reduce(hash, self.entries.len() as u64)).unwrap_or(0);
        self.entries
            .get(entry)
            .map_or(usize::MAX, |&place| place as usize)
    }

    /// How full the endpoint is with what it has under way, 1 being its fair share of all, the request to come included.
    ///
    /// With less than one request for each endpoint, a whole one is always fair.
    #[allow(
        clippy::cast_precision_loss,
        reason = "requests under way are far below 2⁵²"
    )]
    fn fullness(&self, place: usize, seat: &Seat) -> f64 {
        let active = seat.load().active() as f64;
        let all = seat.load().total() as f64 + 1.0;
        let share = self.shares.get(place).copied().unwrap_or(0.0);
        active / (all * share).max(f64::MIN_POSITIVE)
    }
}

/// Who takes an entry, turn by turn, so that each has its share of the table.
fn turns(seats: &[Seat], size: usize, total: u128) -> Vec<u32> {
    let part = |seat: &Seat| {
        let exact = u128::from(seat.weight()) * size as u128;
        (exact / total, exact % total)
    };
    let mut counts: Vec<u64> = seats
        .iter()
        .map(|seat| u64::try_from(part(seat).0).unwrap_or(u64::MAX))
        .collect();
    // The largest remainders get what rounding left over; among equals the identity decides, not the order.
    let mut order: Vec<usize> = (0..seats.len()).collect();
    order.sort_by_key(|&place| {
        (
            std::cmp::Reverse(part(&seats[place]).1),
            seats[place].identity(),
        )
    });
    let left = size
        - counts
            .iter()
            .map(|&count| usize::try_from(count).unwrap_or(0))
            .sum::<usize>();
    for &place in order.iter().take(left) {
        counts[place] += 1;
    }
    // Entries are taken in the order of the identities, so that the order in which endpoints are listed does not matter.
    order.sort_by_key(|&place| seats[place].identity());
    if seats
        .windows(2)
        .all(|pair| pair[0].weight() == pair[1].weight())
    {
        let turns = order.iter().cycle().take(size);
        return turns
            .filter_map(|&place| u32::try_from(place).ok())
            .collect();
    }
    let taken: Vec<u64> = order.iter().map(|&place| counts[place]).collect();
    let with_share: Vec<usize> = (0..order.len()).filter(|&at| taken[at] > 0).collect();
    let shares: Vec<u64> = with_share.iter().map(|&at| taken[at]).collect();
    interleaved(&shares, size as u64)
        .into_iter()
        .filter_map(|turn| u32::try_from(order[with_share[turn as usize]]).ok())
        .collect()
}

/// Fills the table: whose turn it is takes the next free entry of its own permutation of the table.
fn fill(seats: &[Seat], turns: &[u32], size: usize) -> Box<[u32]> {
    const FREE: u32 = u32::MAX;
    let mut entries = vec![FREE; size];
    let mut walks: Vec<(usize, usize)> = seats
        .iter()
        .map(|seat| {
            let first = reduce(mix(seat.identity() ^ 0x6f66_6673_6574), size as u64);
            let step = reduce(mix(seat.identity() ^ 0x736b_6970), size as u64 - 1) + 1;
            (
                usize::try_from(first).unwrap_or(0),
                usize::try_from(step).unwrap_or(1),
            )
        })
        .collect();
    for &place in turns {
        let (at, step) = &mut walks[place as usize];
        while entries[*at] != FREE {
            *at = (*at + *step) % size;
        }
        entries[*at] = place;
    }
    entries.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::balance::testing::{Endpoints, assert_balancer};

    fn hash() -> Hash {
        Hash::new(|_| None)
    }

    fn places(endpoints: &Endpoints, policy: &Hash) -> Vec<usize> {
        endpoints.picks_for_keys(policy, 20_000)
    }

    #[test]
    fn it_is_fair() {
        assert_balancer(hash);
    }

    #[test]
    fn a_key_stays_where_it_is() {
        let endpoints = Endpoints::weighted(&[1, 2, 3]);
        assert_eq!(places(&endpoints, &hash()), places(&endpoints, &hash()));
    }

    #[test]
    fn few_keys_move_beside_those_of_an_endpoint_that_goes() {
        let mut endpoints = Endpoints::weighted(&[1; 10]);
        let before = places(&endpoints, &hash());
        endpoints.eject(3);
        let after = places(&endpoints, &hash());
        let moved = before.iter().zip(&after);
        let others = moved.filter(|(old, new)| **old != 3 && old != new).count();
        assert!(
            others * 100 < before.len() * 4,
            "{others} of {}",
            before.len()
        );
        endpoints.restore(3);
        assert_eq!(places(&endpoints, &hash()), before);
    }

    #[test]
    fn an_endpoint_that_gains_weight_takes_keys_from_all() {
        let light = places(&Endpoints::weighted(&[1, 1, 1, 1]), &hash());
        let heavy = places(&Endpoints::weighted(&[2, 1, 1, 1]), &hash());
        let stray = light
            .iter()
            .zip(&heavy)
            .filter(|(old, new)| old != new && **new != 0)
            .count();
        assert!(stray * 100 < light.len() * 10, "{stray} of {}", light.len());
        let gained = heavy.iter().filter(|&&place| place == 0).count();
        assert!(gained.abs_diff(8_000) < 400, "{gained}");
    }

    #[test]
    fn a_popular_key_does_not_overload_an_endpoint() {
        let mut endpoints = Endpoints::weighted(&[1; 8]);
        for _ in 0..800 {
            let index = endpoints.pick_for(&hash(), 42).unwrap();
            let active = endpoints.active(index);
            endpoints.busy(index, active + 1);
        }
        let most = (0..8).map(|index| endpoints.active(index)).max().unwrap();
        assert!(most <= 126, "{most}");
        let first = endpoints.pick_for(&hash().unbounded(), 42);
        assert_eq!(first, Endpoints::weighted(&[1; 8]).pick_for(&hash(), 42));
    }

    #[test]
    fn a_request_without_the_key_goes_anywhere() {
        let counts = Endpoints::weighted(&[3, 1]).counts_without_key(&hash(), 10_000);
        assert!(counts[0].abs_diff(7_500) < 200, "{counts:?}");
    }

    #[test]
    fn a_key_that_failed_moves_the_same_way_each_time() {
        let endpoints = Endpoints::weighted(&[1; 5]);
        let first = endpoints.pick_for(&hash(), 7).unwrap();
        let second = endpoints.pick_after(&hash(), 7, &[first]).unwrap();
        assert_ne!(first, second);
        assert_eq!(endpoints.pick_after(&hash(), 7, &[first]), Some(second));
    }

    #[test]
    fn a_bound_that_is_no_number_is_raised() {
        assert_eq!(hash().bounded(f64::NAN).bound, Some(1.01));
        assert_eq!(hash().bounded(0.0).bound, Some(1.01));
    }

    #[test]
    fn the_order_of_the_endpoints_does_not_matter() {
        let seats = Endpoints::weighted(&[1, 2, 3]).seats();
        let turned: Vec<Seat> = seats.iter().rev().cloned().collect();
        let (a, b) = (Maglev::new(&seats), Maglev::new(&turned));
        let same = (0..a.entries.len()).all(|at| {
            seats[a.entries[at] as usize].index() == turned[b.entries[at] as usize].index()
        });
        assert!(same);
    }
}
