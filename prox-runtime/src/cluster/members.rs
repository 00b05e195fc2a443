//! The endpoints that a cluster has, each with a number of its own, and what becomes of them with another set.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use super::{Endpoint, Upstream};

/// The endpoints of a cluster, in the order of their numbers; a list that is replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Members {
    slots: Box<[Slot]>,
    count: usize,
    /// What cookies say, and whom they mean, in ascending order; empty where no client sticks to an endpoint.
    cookies: Box<[(u64, usize)]>,
}

/// The place of a number.
#[derive(Clone, Debug)]
enum Slot {
    Taken(Arc<Upstream>),
    /// The endpoint has left. While a request or another worker's view knows it by its number, nobody else gets that.
    Left(Weak<Upstream>),
}

/// What another set of endpoints makes of the members.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) members: Arc<Members>,
    pub(super) came: Vec<Arc<Upstream>>,
    pub(super) left: Vec<Arc<Upstream>>,
    /// Whether one that stays has another weight or priority.
    pub(super) shifted: bool,
}

impl Change {
    /// Whether all is as it was.
    pub(super) fn is_none(&self) -> bool {
        self.came.is_empty() && self.left.is_empty() && !self.shifted
    }
}

impl Members {
    /// Endpoints whose numbers are their places.
    pub(super) fn new(upstreams: impl IntoIterator<Item = Upstream>) -> Self {
        let upstreams = upstreams.into_iter();
        Self::of(upstreams.map(|one| Slot::Taken(Arc::new(one))).collect())
    }

    fn of(slots: Vec<Slot>) -> Self {
        debug_assert!(
            taken(&slots).all(|one| Arc::as_ptr(one) == slots[one.index()].pointer()),
            "each endpoint stands where its number says"
        );
        let cookie = |upstream: &Arc<Upstream>| Some((upstream.cookie()?, upstream.index()));
        let mut cookies: Vec<_> = taken(&slots).filter_map(cookie).collect();
        cookies.sort_unstable();
        Self {
            count: taken(&slots).count(),
            cookies: cookies.into(),
            slots: slots.into(),
        }
    }

    /// The members when these endpoints are wanted, none of them twice; `make` makes the new ones.
    ///
    /// Those that stay keep their numbers, and get the weight and the priority that they are wanted with. New ones take the
    /// numbers that nobody has or knows any more.
    pub(super) fn changed(
        self: &Arc<Self>,
        wanted: &[Endpoint],
        make: impl Fn(usize, Endpoint) -> Upstream,
    ) -> Change {
        let mut missing: HashMap<_, &Endpoint> = HashMap::with_capacity(wanted.len());
        for endpoint in wanted {
            missing.entry(endpoint.place()).or_insert(endpoint);
        }
        let (mut came, mut left, mut shifted) = (Vec::new(), Vec::new(), false);
        let mut slots: Vec<Slot> = Vec::with_capacity(self.slots.len());
        let mut free = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            let upstream = match slot {
                Slot::Taken(upstream) => upstream,
                Slot::Left(_) => {
                    if slot.is_forgotten() {
                        free.push(index);
                    }
                    slots.push(slot.clone());
                    continue;
                }
            };
            if let Some(endpoint) = missing.remove(upstream.endpoint.place()) {
                shifted |= upstream.state.set_found(endpoint);
                slots.push(Slot::Taken(Arc::clone(upstream)));
            } else {
                left.push(Arc::clone(upstream));
                slots.push(Slot::Left(Arc::downgrade(upstream)));
            }
        }
        if left.is_empty() && missing.is_empty() {
            let members = Arc::clone(self);
            return Change {
                members,
                came,
                left,
                shifted,
            };
        }
        let mut free = free.into_iter();
        for endpoint in wanted {
            let Some(endpoint) = missing.remove(endpoint.place()) else {
                continue;
            };
            let index = free.next().unwrap_or(slots.len());
            let upstream = Arc::new(make(index, endpoint.clone()));
            came.push(Arc::clone(&upstream));
            match slots.get_mut(index) {
                Some(slot) => *slot = Slot::Taken(upstream),
                None => slots.push(Slot::Taken(upstream)),
            }
        }
        while slots.last().is_some_and(Slot::is_forgotten) {
            slots.pop();
        }
        Change {
            members: Arc::new(Self::of(slots)),
            came,
            left,
            shifted,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A number above all that are in use.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        taken(&self.slots)
    }

    /// The endpoint with this number.
    pub(super) fn find(&self, index: usize) -> Option<&Arc<Upstream>> {
        match self.slots.get(index)? {
            Slot::Taken(upstream) => Some(upstream),
            Slot::Left(_) => None,
        }
    }

    /// The number of the endpoint that a cookie means.
    pub(super) fn bound(&self, cookie: u64) -> Option<usize> {
        let place = self
            .cookies
            .binary_search_by_key(&cookie, |entry| entry.0)
            .ok()?;
        Some(self.cookies[place].1)
    }
}

impl Slot {
    /// Whether its number can be anybody's.
    fn is_forgotten(&self) -> bool {
        matches!(self, Self::Left(last) if last.strong_count() == 0)
    }

    fn pointer(&self) -> *const Upstream {
        match self {
            Self::Taken(upstream) => Arc::as_ptr(upstream),
            Self::Left(last) => last.as_ptr(),
        }
    }
}

fn taken(slots: &[Slot]) -> impl Iterator<Item = &Arc<Upstream>> {
    slots.iter().filter_map(|slot| match slot {
        Slot::Taken(upstream) => Some(upstream),
        Slot::Left(_) => None,
    })
}

#[cfg(test)]
mod tests;
