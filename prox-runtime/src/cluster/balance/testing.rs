//! A kit that holds a balancing policy to what the policies of Prox do; with the feature `testing`.
//!
//! [`assert_balancer`] is one line in a test of one's own policy. [`Endpoints`] is a cluster without sockets, for tests of
//! what is special about it: it makes endpoints busy, slow or ejected, and asks the policy. All random numbers follow from a
//! fixed seed, and time moves when it is told to, so a test gives the same result each time.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Balancer, FULL, Load, Pick, Roster, Seat, Total};
use crate::cluster::rng::{Rng, mix};

/// How many choices a share is measured over.
const PICKS: usize = 100_000;

/// The same for shares that are measured again and again.
const FEWER_PICKS: usize = 40_000;

/// How many requests a share is measured over, when they take their time.
const REQUESTS: usize = 10_000;

/// What equal endpoints take for an answer, in microseconds.
const TYPICAL: u64 = 500;

/// A cluster without sockets.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{LeastConn, testing::Endpoints};
///
/// let mut endpoints = Endpoints::weighted(&[1, 1, 1]);
/// endpoints.busy(0, 5).busy(1, 2).eject(2);
/// assert_eq!(endpoints.pick(&LeastConn::new()), Some(1));
/// ```
#[derive(Debug)]
pub struct Endpoints {
    all: Vec<Entry>,
    now: Instant,
    turn: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    weight: u32,
    ejected: bool,
    load: Arc<Load>,
}

impl Endpoints {
    /// One endpoint for each weight: idle, healthy, and without an answer so far.
    pub fn weighted(weights: &[u32]) -> Self {
        let now = Instant::now();
        let total = Arc::<Total>::default();
        let entry = |&weight| Entry {
            weight,
            ejected: false,
            load: Arc::new(Load::new(&total, now)),
        };
        Self {
            all: weights.iter().map(entry).collect(),
            now,
            turn: AtomicU64::new(0),
        }
    }

    /// How many there are, ejected ones included.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many requests the endpoint has under way.
    pub fn active(&self, index: usize) -> usize {
        self.all[index].load.active()
    }

    /// Lets the endpoint have so many requests under way.
    pub fn busy(&mut self, index: usize, requests: usize) -> &mut Self {
        let load = &self.all[index].load;
        (load.active()..requests).for_each(|_| load.enter());
        (requests..load.active()).for_each(|_| load.leave());
        self
    }

    /// Lets the endpoint have answered a request just now, after so long.
    pub fn answered(&mut self, index: usize, after: Duration) -> &mut Self {
        self.all[index].load.answered(after, self.now);
        self
    }

    /// How often each endpoint is chosen for so many requests, of which `width` are always under way, and each takes as many
    /// microseconds as `latency` says of its endpoint. Time moves on meanwhile.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{LeastConn, testing::Endpoints};
    ///
    /// let mut endpoints = Endpoints::weighted(&[1, 1]);
    /// let counts = endpoints.serve(&LeastConn::new(), 1_000, 8, |index| [200, 600][index]);
    /// assert!(counts[0] > 2 * counts[1]);
    /// ```
    ///
    /// # Panics
    ///
    /// When the policy chooses no endpoint, or one that may not be chosen.
    pub fn serve(
        &mut self,
        policy: &dyn Balancer,
        requests: usize,
        width: usize,
        mut latency: impl FnMut(usize) -> u64,
    ) -> Vec<usize> {
        let mut counts = vec![0; self.count()];
        // The ends of those under way, the next one on top, and their endpoints.
        let mut under_way: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::new();
        let (mut clock, start) = (0, self.now);
        let roster = self.roster(policy);
        let turns = self.turns(requests);
        let rng = Rng::seeded(mix(turns.start));
        for turn in turns {
            if under_way.len() >= width.max(1)
                && let Some(Reverse((end, index, took))) = under_way.pop()
            {
                clock = end;
                self.now = start + Duration::from_micros(clock);
                let load = &self.all[index].load;
                load.answered(Duration::from_micros(took), self.now);
                load.leave();
            }
            let pick = Pick::new(&roster, &[], Some(mix(turn)), self.now, &rng);
            let chosen = policy.pick(&pick);
            let index = chosen.unwrap_or_else(|| panic!("{policy:?} chose no endpoint"));
            assert!(
                pick.is_available(index),
                "{policy:?} chose endpoint {index}, which is ejected, or not there"
            );
            counts[index] += 1;
            self.all[index].load.enter();
            let took = latency(index);
            under_way.push(Reverse((clock + took, index, took)));
        }
        for Reverse((_, index, _)) in under_way {
            self.all[index].load.leave();
        }
        counts
    }

    /// Takes the endpoint out, as failed health checks do.
    pub fn eject(&mut self, index: usize) -> &mut Self {
        self.all[index].ejected = true;
        self
    }

    /// Puts an ejected endpoint back.
    pub fn restore(&mut self, index: usize) -> &mut Self {
        self.all[index].ejected = false;
        self
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    /// Asks the policy for the endpoint of one request, which is not begun: call [`busy`](Self::busy) for that.
    pub fn pick(&self, policy: &dyn Balancer) -> Option<usize> {
        self.pick_for(policy, mix(self.turn.load(Ordering::Relaxed)))
    }

    /// The same for a request with this [key](Balancer::key).
    pub fn pick_for(&self, policy: &dyn Balancer, key: u64) -> Option<usize> {
        self.pick_after(policy, key, &[])
    }

    /// The same for a request that has failed on the endpoints `tried`.
    pub fn pick_after(&self, policy: &dyn Balancer, key: u64, tried: &[usize]) -> Option<usize> {
        let roster = self.roster(policy);
        let rng = Rng::seeded(mix(self.turns(1).start));
        policy.pick(&Pick::new(&roster, tried, Some(key), self.now, &rng))
    }

    /// How often each endpoint is chosen for so many requests, each with a key of its own.
    ///
    /// # Panics
    ///
    /// When the policy chooses an endpoint that may not be chosen.
    pub fn counts(&self, policy: &dyn Balancer, picks: usize) -> Vec<usize> {
        self.counts_after(policy, picks, &[])
    }

    /// The same for requests that have failed on the endpoints `tried`.
    ///
    /// # Panics
    ///
    /// When the policy chooses an endpoint that may not be chosen.
    pub fn counts_after(&self, policy: &dyn Balancer, picks: usize, tried: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.count()];
        self.run(
            policy,
            picks,
            tried,
            |turn| Some(mix(turn)),
            |index| {
                counts[index] += 1;
            },
        );
        counts
    }

    /// What the policy chooses, request by request; a choice of nothing is passed over.
    fn run(
        &self,
        policy: &dyn Balancer,
        picks: usize,
        tried: &[usize],
        key: impl Fn(u64) -> Option<u64>,
        mut chosen: impl FnMut(usize),
    ) {
        let roster = self.roster(policy);
        let turns = self.turns(picks);
        let rng = Rng::seeded(mix(turns.start));
        for turn in turns {
            let pick = Pick::new(&roster, tried, key(turn), self.now, &rng);
            if let Some(index) = policy.pick(&pick) {
                assert!(
                    pick.is_available(index),
                    "{policy:?} chose endpoint {index}, which is ejected, tried, or not there"
                );
                chosen(index);
            }
        }
    }

    /// Numbers that no other request has had.
    fn turns(&self, picks: usize) -> Range<u64> {
        let start = self.turn.fetch_add(picks as u64, Ordering::Relaxed);
        start..start + picks as u64
    }

    pub(crate) fn seats(&self) -> Vec<Seat> {
        let entries = self.all.iter().enumerate();
        entries
            .filter(|(_, entry)| !entry.ejected)
            .map(|(index, entry)| {
                let weight = u64::from(entry.weight) * FULL;
                Seat::new(
                    index,
                    weight,
                    mix(index as u64 + 1),
                    Arc::clone(&entry.load),
                )
            })
            .collect()
    }

    pub(crate) fn roster(&self, policy: &dyn Balancer) -> Roster {
        Roster::new(self.count(), self.seats(), policy)
    }

    #[cfg(test)]
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    #[cfg(test)]
    pub(super) fn picks_for_keys(&self, policy: &dyn Balancer, keys: usize) -> Vec<usize> {
        self.turn.store(0, Ordering::Relaxed);
        let mut picked = Vec::with_capacity(keys);
        self.run(policy, keys, &[], Some, |index| picked.push(index));
        picked
    }

    #[cfg(test)]
    pub(super) fn counts_without_key(&self, policy: &dyn Balancer, picks: usize) -> Vec<usize> {
        let mut counts = vec![0; self.count()];
        self.run(policy, picks, &[], |_| None, |index| counts[index] += 1);
        counts
    }
}

/// Holds a policy to everything that those of Prox hold to: [`assert_sound`] and [`assert_fair`].
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{RoundRobin, testing::assert_balancer};
///
/// assert_balancer(RoundRobin::new);
/// ```
///
/// # Panics
///
/// When it does not hold; the message says what.
pub fn assert_balancer<B: Balancer>(policy: impl Fn() -> B) {
    assert_sound(&policy);
    assert_fair(&policy);
}

/// Checks what no policy may get wrong, whatever it goes by.
///
/// With no endpoint it chooses none; with one, that one; while there are some, one of them. It never chooses an endpoint
/// that is ejected, or that failed the same request before. It bears being asked from several threads at once.
///
/// # Panics
///
/// When it does not hold; the message says what.
pub fn assert_sound<B: Balancer>(policy: impl Fn() -> B) {
    let none = Endpoints::weighted(&[]);
    let chosen = none.pick(&policy());
    assert_eq!(chosen, None, "{:?} chose one of no endpoints", policy());
    let mut one = Endpoints::weighted(&[1]);
    let chosen = one.pick(&policy());
    assert_eq!(
        chosen,
        Some(0),
        "{:?} did not choose the only one",
        policy()
    );
    assert_untouched(&one.counts_after(&policy(), 10, &[0]), &policy());
    one.eject(0);
    assert_untouched(&one.counts(&policy(), 10), &policy());

    for weights in [&[1, 1][..], &[7, 1, 3], &[1; 5], &[2; 100], &[1; 1_000]] {
        let mut endpoints = Endpoints::weighted(weights);
        for index in [0, weights.len() - 1] {
            endpoints
                .busy(index, 3)
                .answered(index, Duration::from_millis(20));
            assert_answers(&endpoints, &policy());
            endpoints.counts_after(&policy(), 100, &[index]);
            endpoints.eject(index);
            let seats = endpoints.seats();
            if seats.is_empty() {
                assert_untouched(&endpoints.counts(&policy(), 10), &policy());
            } else {
                assert_answers(&endpoints, &policy());
            }
        }
        let all: Vec<usize> = (0..weights.len()).collect();
        assert_untouched(&endpoints.counts_after(&policy(), 10, &all), &policy());
    }

    let endpoints = Endpoints::weighted(&[3, 1, 1]);
    let shared = policy();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_answers(&endpoints, &shared));
        }
    });
}

fn assert_answers(endpoints: &Endpoints, policy: &dyn Balancer) {
    let chosen: usize = endpoints.counts(policy, 500).iter().sum();
    assert_eq!(
        chosen, 500,
        "{policy:?} chose no endpoint while there were some"
    );
}

fn assert_untouched(counts: &[usize], policy: &dyn Balancer) {
    let chosen: usize = counts.iter().sum();
    assert_eq!(
        chosen, 0,
        "{policy:?} chose an endpoint while there was none"
    );
}

/// Checks that endpoints get requests in proportion to their weights.
///
/// - Idle ones do, to within 1 % of all requests: at first, while an endpoint is ejected, when it is back, and on a second try.
///   So nobody inherits the share of a neighbour.
/// - Equally fast ones do, to within 2 %, with one request at a time and under load, though no answer takes as long as another.
/// - None is starved by an accident: with one request at a time, an endpoint whose first answer was late has at least a third of
///   its share of the next 180 requests.
///
/// # Panics
///
/// When it does not hold; the message says where.
pub fn assert_fair<B: Balancer>(policy: impl Fn() -> B) {
    for weights in [&[1, 1][..], &[3, 1], &[5, 1, 1], &[1, 2, 3, 4, 5, 6]] {
        let endpoints = Endpoints::weighted(weights);
        let counts = endpoints.counts(&policy(), PICKS);
        assert_shares(&counts, weights, &[], "of weighted endpoints", &policy());
    }
    let many = Endpoints::weighted(&[1; 100]);
    let counts = many.counts(&policy(), PICKS);
    assert_shares(&counts, &[1; 100], &[], "of many endpoints", &policy());

    for weights in [&[1, 1, 1, 1][..], &[3, 1, 2]] {
        for index in [0, 1, weights.len() - 1] {
            let policy = policy();
            let mut endpoints = Endpoints::weighted(weights);
            endpoints.counts(&policy, 101);
            endpoints.eject(index);
            let counts = endpoints.counts(&policy, FEWER_PICKS);
            assert_shares(&counts, weights, &[index], "after an ejection", &policy);
            endpoints.restore(index);
            let counts = endpoints.counts(&policy, FEWER_PICKS);
            assert_shares(&counts, weights, &[], "after a return", &policy);
            let counts = endpoints.counts_after(&policy, FEWER_PICKS, &[index]);
            assert_shares(&counts, weights, &[index], "of second tries", &policy);
        }
    }
    assert_fair_at_work(&policy);
}

/// Holds the shares when requests take their time.
fn assert_fair_at_work<B: Balancer>(policy: &impl Fn() -> B) {
    for weights in [&[1, 1][..], &[1, 1, 1], &[3, 1, 2], &[1; 12]] {
        let is_even = weights.iter().all(|&weight| weight == weights[0]);
        for (width, what) in [
            (1, "with one request at a time"),
            (2, "with two requests at a time"),
            (64, "under load"),
        ] {
            // Two requests cannot be in proportion to weights, and a policy that goes by them need not try.
            if width == 2 && !is_even {
                continue;
            }
            let mut endpoints = Endpoints::weighted(weights);
            let noise = Rng::seeded(7);
            let policy = policy();
            let latency = |_| TYPICAL / 2 + noise.below(TYPICAL);
            let counts = endpoints.serve(&policy, REQUESTS, width, latency);
            assert_shares_within(0.02, &counts, weights, &[], what, &policy);
        }
    }
    for seed in 0..50 {
        let mut endpoints = Endpoints::weighted(&[1, 1, 1]);
        endpoints.turn = AtomicU64::new(mix(seed) >> 20);
        let (noise, policy) = (Rng::seeded(mix(seed)), policy());
        let mut is_late = true;
        let latency = |index| {
            let usual = TYPICAL / 2 + noise.below(TYPICAL);
            if index == 1 && std::mem::take(&mut is_late) {
                40 * TYPICAL
            } else {
                usual
            }
        };
        let counts = endpoints.serve(&policy, 180, 1, latency);
        assert!(
            counts.iter().all(|&count| count >= 20),
            "{policy:?} starves an endpoint after one late answer: {counts:?} of 180 requests"
        );
    }
}

fn assert_shares(
    counts: &[usize],
    weights: &[u32],
    out: &[usize],
    what: &str,
    policy: &dyn Balancer,
) {
    assert_shares_within(0.01, counts, weights, out, what, policy);
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2⁵²")]
fn assert_shares_within(
    tolerance: f64,
    counts: &[usize],
    weights: &[u32],
    out: &[usize],
    what: &str,
    policy: &dyn Balancer,
) {
    let weight = |index: usize| {
        if out.contains(&index) {
            0
        } else {
            weights[index]
        }
    };
    let total: u32 = (0..weights.len()).map(weight).sum();
    let picks: usize = counts.iter().sum();
    for (index, &count) in counts.iter().enumerate() {
        let share = count as f64 / picks as f64;
        let expected = f64::from(weight(index)) / f64::from(total);
        assert!(
            (share - expected).abs() <= tolerance,
            "{policy:?}: the shares {what} with weights {weights:?}: endpoint {index} got {:.2} % instead of {:.2} %",
            share * 100.0,
            expected * 100.0,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Goes to the neighbour when the endpoint is not available.
    #[derive(Debug)]
    struct Neighbour;

    impl Balancer for Neighbour {
        fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
            let count = pick.count() as u64;
            let start = usize::try_from(pick.random_below(count)).unwrap();
            (start..pick.count())
                .chain(0..start)
                .find(|&index| pick.is_available(index))
        }
    }

    /// Does not look at what was tried or ejected.
    #[derive(Debug)]
    struct Blind;

    impl Balancer for Blind {
        fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
            (pick.count() > 0).then_some(0)
        }
    }

    #[test]
    fn a_policy_that_favours_the_neighbour_is_caught() {
        assert_sound(|| Neighbour);
        let caught = catch_unwind(|| assert_fair(|| Neighbour)).unwrap_err();
        let message = caught.downcast_ref::<String>().unwrap();
        assert!(message.contains("with weights [3, 1]"), "{message}");
        let mut endpoints = Endpoints::weighted(&[1; 4]);
        let counts = endpoints.eject(0).counts(&Neighbour, PICKS);
        let biased = || assert_shares(&counts, &[1; 4], &[0], "after an ejection", &Neighbour);
        assert!(catch_unwind(biased).is_err());
    }

    /// The one that was fastest last, as a policy by latency alone would have it.
    #[derive(Debug)]
    struct Fastest;

    impl Balancer for Fastest {
        fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
            pick.available().min_by_key(|&index| {
                let tie = pick.random_below(1_000);
                (pick.latency(index).unwrap_or_default(), tie)
            })
        }
    }

    #[test]
    fn a_policy_that_starves_whom_it_does_not_know_is_caught() {
        let caught = catch_unwind(|| assert_fair_at_work(&|| Fastest)).unwrap_err();
        let message = caught.downcast_ref::<String>().unwrap();
        assert!(message.contains("with one request at a time"), "{message}");
    }

    #[test]
    fn a_policy_that_does_not_look_is_caught() {
        let caught = catch_unwind(|| assert_sound(|| Blind)).unwrap_err();
        let message = caught.downcast_ref::<String>().unwrap();
        assert!(
            message.contains("may") || message.contains("tried"),
            "{message}"
        );
    }
}
