//! What a policy sees when it chooses.

use std::{any::Any, time::Duration};

use tokio::time::Instant;

use super::roster::{Roster, Seat};
use crate::cluster::rng::Rng;

/// How often a draw is repeated when it hits an endpoint that failed this request before.
const DRAWS: usize = 32;

/// The endpoints of a cluster at the moment of a choice.
///
/// Those that may be chosen are the [`seats`](Self::seats), but for the few that failed this same request before. Policies
/// that must be quick with thousands of endpoints work on the seats; for the others, [`available`](Self::available) is all
/// they need.
#[derive(Debug)]
pub struct Pick<'a> {
    roster: &'a Roster,
    tried: &'a [usize],
    key: Option<u64>,
    now: Instant,
    rng: &'a Rng,
}

impl<'a> Pick<'a> {
    pub(crate) fn new(
        roster: &'a Roster,
        tried: &'a [usize],
        key: Option<u64>,
        now: Instant,
        rng: &'a Rng,
    ) -> Self {
        Self {
            roster,
            tried,
            key,
            now,
            rng,
        }
    }

    /// A number above every index: how many endpoints the cluster has, whether they are available or not, and how many gaps
    /// those have left that are gone.
    pub fn count(&self) -> usize {
        self.roster.count()
    }

    /// The endpoints that are healthy and in the group that is in use, in the order in which they were written.
    pub fn seats(&self) -> &'a [Seat] {
        self.roster.seats()
    }

    /// Whether the endpoint may be chosen: it has a seat, and has not failed this same request before.
    pub fn is_available(&self, index: usize) -> bool {
        self.roster.seat(index).is_some() && self.is_untried(index)
    }

    /// Whether the endpoint has not failed this same request before.
    pub fn is_untried(&self, index: usize) -> bool {
        !self.tried.contains(&index)
    }

    /// The indices that may be chosen.
    pub fn available(&self) -> impl Iterator<Item = usize> {
        self.roster
            .seats()
            .iter()
            .map(Seat::index)
            .filter(|&index| self.is_untried(index))
    }

    /// How many requests the endpoint is working on; 0 when it has no seat.
    pub fn active(&self, index: usize) -> usize {
        self.roster
            .seat(index)
            .map_or(0, |seat| seat.load().active())
    }

    /// The endpoint's weight as it holds now, in thousandths, as in [`Seat::weight`]; 0 when it has no seat.
    pub fn weight(&self, index: usize) -> u64 {
        self.roster.seat(index).map_or(0, Seat::weight)
    }

    /// How long the endpoint takes to answer, by the last answers; `None` before the first of them.
    pub fn latency(&self, index: usize) -> Option<Duration> {
        let estimate = self.roster.seat(index)?.load().latency(self.now)?;
        Some(Duration::from_secs_f32(estimate.micros / 1e6))
    }

    /// What the request is hashed by, when the policy's [`key`](super::Balancer::key) found something.
    pub fn key(&self) -> Option<u64> {
        self.key
    }

    /// The time of the choice.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A random number under `limit`, and 0 when that is 0; tests give it a seed.
    pub fn random_below(&self, limit: u64) -> u64 {
        self.rng.below(limit)
    }

    /// What [`Balancer::prepare`](super::Balancer::prepare) made of these seats, when it is a `T`.
    pub fn prepared<T: Any>(&self) -> Option<&'a T> {
        self.roster.prepared().get()
    }

    pub(super) fn rng(&self) -> &'a Rng {
        self.rng
    }

    /// The seat of the first place that `draw` gives and that was not tried before.
    ///
    /// When it keeps hitting what was tried, one of the others is drawn by weight. So what falls to an endpoint that failed
    /// goes to all the others as they are weighted, not to its neighbour.
    pub(super) fn draw(&self, mut draw: impl FnMut() -> usize) -> Option<&'a Seat> {
        let seats = self.seats();
        if self.tried.is_empty() {
            return seats.get(draw());
        }
        if seats.is_empty() {
            return None;
        }
        (0..DRAWS)
            .filter_map(|_| seats.get(draw()))
            .find(|seat| self.is_untried(seat.index()))
            .or_else(|| self.scan())
    }

    /// Any seat that was not tried, by weight; looks at each.
    fn scan(&self) -> Option<&'a Seat> {
        let untried = || {
            self.seats()
                .iter()
                .filter(|seat| self.is_untried(seat.index()))
        };
        let mut point = self.rng.below(untried().map(Seat::weight).sum());
        untried().find(|seat| match point.checked_sub(seat.weight()) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
    }
}
