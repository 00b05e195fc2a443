//! The endpoints that may be chosen at the moment, as an immutable list.

use std::{any::Any, fmt, sync::Arc};

use super::{Balancer, load::Load};

/// The weight of an endpoint that was written with weight 1 and gets its full share.
pub(crate) const FULL: u64 = 1_000;

/// An endpoint that may be chosen: it is healthy, and belongs to the group in use.
#[derive(Clone, Debug)]
pub struct Seat {
    index: usize,
    weight: u64,
    identity: u64,
    load: Arc<Load>,
}

impl Seat {
    /// `weight` is in thousandths; `identity` is what an address hashes to, the same in each process.
    pub(crate) fn new(index: usize, weight: u64, identity: u64, load: Arc<Load>) -> Self {
        Self {
            index,
            weight,
            identity,
            load,
        }
    }

    /// What [`Balancer::pick`] returns for this endpoint.
    ///
    /// An endpoint keeps its index while it is in the cluster. Indices can have gaps: those of endpoints that may not be
    /// chosen, or have left. One that has left can have its index given to another, when no request is under way on it.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The weight that holds now, in thousandths: 1000 times the weight as it was written, less during a slow start.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// A number that stands for the address, the same in each process; what consistent hashing goes by.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }
}

/// What a [`Balancer`] has worked out for a list of endpoints: any value, or nothing.
///
/// It is made by [`Balancer::prepare`] and read by [`Pick::prepared`](super::Pick::prepared). It is replaced together with
/// the list that it was made from, so the two always fit.
#[derive(Default)]
pub struct Prepared(Option<Box<dyn Any + Send + Sync>>);

impl Prepared {
    /// Nothing, for policies that need no preparation.
    pub fn none() -> Self {
        Self(None)
    }

    /// Keeps `value` for as long as the endpoints stay as they are.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(value)))
    }

    pub(super) fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Prepared(..)"
        } else {
            "Prepared"
        })
    }
}

/// The seats of a cluster, with what its balancer made of them.
///
/// A new one takes the place of the old whenever an endpoint comes, leaves, is ejected or returns, and once a second while
/// one starts slowly; a request keeps the one it began with at its hand.
#[derive(Debug)]
pub(crate) struct Roster {
    count: usize,
    seats: Box<[Seat]>,
    /// For each index its place among the seats, plus one; 0 when it has none. Empty when each index is its own place.
    places: Box<[u32]>,
    prepared: Prepared,
}

impl Roster {
    /// A list of `seats`, in ascending order of their indices, in a cluster of `count` endpoints.
    pub(crate) fn new(count: usize, seats: Vec<Seat>, balancer: &dyn Balancer) -> Self {
        debug_assert!(seats.iter().all(|seat| seat.index < count));
        let whole = seats.len() == count
            && seats
                .iter()
                .enumerate()
                .all(|(place, seat)| seat.index == place);
        let mut places = vec![0_u32; if whole { 0 } else { count }];
        for (place, seat) in seats.iter().enumerate() {
            if let Some(entry) = places.get_mut(seat.index) {
                *entry = u32::try_from(place + 1).unwrap_or(0);
            }
        }
        Self {
            count,
            prepared: balancer.prepare(&seats),
            places: places.into(),
            seats: seats.into(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The seat of the endpoint, when it has one.
    pub(crate) fn seat(&self, index: usize) -> Option<&Seat> {
        if self.places.is_empty() {
            return self.seats.get(index);
        }
        let place = *self.places.get(index)? as usize;
        self.seats.get(place.checked_sub(1)?)
    }

    pub(super) fn prepared(&self) -> &Prepared {
        &self.prepared
    }
}
