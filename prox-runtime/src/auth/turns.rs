//! Many requests that need the same answer, of which one asks at a time.
//!
//! `tests/loom` runs this file under a model checker, with mutexes of its own.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use tokio::sync::MutexGuard;

use crate::sync::{Mutex, lock};

/// The questions that are being asked. There is an entry for a question only while requests wait for its answer.
///
/// The request whose turn it is may leave the answer `A` for those that wait behind it. If it leaves without one, the next one
/// asks.
#[derive(Debug)]
pub(super) struct Turns<K, A = ()>(Mutex<HashMap<K, Place<A>>>);

#[derive(Debug, Default)]
struct Place<A> {
    /// The turns of this question.
    turns: usize,
    lock: Arc<tokio::sync::Mutex<A>>,
}

impl<K, A> Default for Turns<K, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash, A: Default> Turns<K, A> {
    /// Queues up for a question.
    pub(super) fn queue(&self, key: K) -> Turn<'_, K, A> {
        let mut places = lock(&self.0);
        let place = places.entry(key).or_default();
        place.turns += 1;
        Turn {
            all: self,
            key,
            lock: Arc::clone(&place.lock),
        }
    }
}

#[cfg(test)]
impl<K, A> Turns<K, A> {
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

/// The place of a request in a queue. The last one to leave takes the entry along.
#[derive(Debug)]
pub(super) struct Turn<'t, K: Eq + Hash, A> {
    all: &'t Turns<K, A>,
    key: K,
    lock: Arc<tokio::sync::Mutex<A>>,
}

impl<K: Eq + Hash, A> Turn<'_, K, A> {
    /// Waits until the requests before have left.
    pub(super) async fn begin(&self) -> MutexGuard<'_, A> {
        self.lock.lock().await
    }
}

impl<K: Eq + Hash, A> Drop for Turn<'_, K, A> {
    fn drop(&mut self) {
        let mut places = lock(&self.all.0);
        if let Some(place) = places.get_mut(&self.key) {
            place.turns -= 1;
            if place.turns == 0 {
                places.remove(&self.key);
            }
        }
    }
}
