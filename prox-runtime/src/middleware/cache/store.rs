//! The memory of a cache: responses, and the keys of those that cannot be stored.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use quick_cache::{OptionsBuilder, Weighter, sync};
use tokio::time::Instant;

use super::{entry::Entry, key::Key};

/// For how long requests of a key pass, after an answer that could not be stored.
const PASSING: Duration = Duration::from_mins(1);

/// The memory of a key whose requests pass, beside the key.
const MARK: usize = 256;

/// How many counters there are for the resources that requests change. Resources that share one are forgotten together.
const COUNTERS: usize = 1024;

/// How many of the largest responses a part of the cache has room for, at least.
pub(crate) const LEAST: usize = 8;

/// The most parts, each behind a lock of its own.
const PARTS: usize = 16;

/// What is known of a key.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Stored(Arc<Entry>),
    /// The answer cannot be stored.
    Passes,
}

#[derive(Clone, Debug)]
struct Value {
    known: Known,
    stamp: Stamp,
    size: usize,
    /// When a mark ends.
    end: Option<Instant>,
}

/// When a request was asked, counted in changes to its resource. What was asked before a change is not stored after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    purges: u64,
    changes: u64,
}

#[derive(Clone, Debug)]
struct Sizes;

impl Weighter<Key, Value> for Sizes {
    fn weight(&self, key: &Key, value: &Value) -> u64 {
        (key.len() + value.size) as u64
    }
}

pub(crate) struct Store {
    values: sync::Cache<Key, Value, Sizes>,
    changes: Box<[AtomicU64]>,
    purges: AtomicU64,
    hasher: RandomState,
    budget: Arc<Budget>,
}

impl Store {
    /// A store of at most `bytes`, whose responses have at most `largest` each.
    pub(crate) fn new(bytes: usize, largest: usize) -> Self {
        let most = bytes / largest.saturating_mul(LEAST).max(1);
        // The parts are a power of two.
        let parts = 1 << most.clamp(1, PARTS).ilog2();
        let options = OptionsBuilder::new()
            .shards(parts)
            // Guesses at the size of a response: it decides how many keys of evicted ones are remembered.
            .estimated_items_capacity((bytes / 8192).max(parts * 32))
            .weight_capacity(bytes as u64)
            .build()
            .expect("the estimate and the capacity are set");
        Self {
            values: sync::Cache::with_options(
                options,
                Sizes,
                quick_cache::DefaultHashBuilder::default(),
                sync::DefaultLifecycle::default(),
            ),
            changes: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            purges: AtomicU64::new(0),
            hasher: RandomState::new(),
            budget: Arc::new(Budget {
                most: bytes.saturating_mul(2),
                held: AtomicUsize::new(0),
            }),
        }
    }

    /// What is known of a key.
    pub(crate) fn get(&self, key: &Key, now: Instant) -> Option<Known> {
        let value = self.values.get(key)?;
        let is_over = match value.end {
            Some(end) => end <= now,
            None => value.stamp.changes != self.stamp(key).changes,
        };
        if is_over {
            self.values.remove_if(key, |current| {
                (current.stamp, current.end) == (value.stamp, value.end)
            });
            return None;
        }
        Some(value.known)
    }

    /// The time at which a request of this key is asked.
    pub(crate) fn stamp(&self, key: &Key) -> Stamp {
        Stamp {
            purges: self.purges.load(SeqCst),
            changes: self.counter(key.resource()).load(SeqCst),
        }
    }

    /// Stores a response to a request that was asked at `stamp`, unless its resource has changed since then; whether it did.
    pub(crate) fn store(&self, key: &Key, entry: Arc<Entry>, stamp: Stamp) -> bool {
        let size = entry.size();
        let fits = self.values.shard_capacity() >= (key.len() + size) as u64;
        if !fits || stamp != self.stamp(key) {
            self.forget(key);
            return false;
        }
        self.values.insert(
            key.clone(),
            Value {
                known: Known::Stored(entry),
                stamp,
                size,
                end: None,
            },
        );
        // It may have changed in between.
        let still = stamp == self.stamp(key);
        if !still {
            self.forget(key);
        }
        still
    }

    /// Lets requests of this key pass for a while.
    pub(crate) fn mark(&self, key: &Key, now: Instant) {
        self.values.insert(
            key.clone(),
            Value {
                known: Known::Passes,
                stamp: self.stamp(key),
                size: MARK,
                end: Some(now + PASSING),
            },
        );
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.values.remove(key);
    }

    /// A resource has changed: what is stored of it counts no more.
    pub(crate) fn change(&self, resource: &[u8]) {
        self.counter(resource).fetch_add(1, SeqCst);
    }

    /// Forgets every response whose path `is_gone`; how many there were.
    pub(crate) fn purge(&self, is_gone: impl Fn(&[u8]) -> bool) -> usize {
        self.purges.fetch_add(1, SeqCst);
        let count = Cell::new(0);
        self.values.retain(|key, value| {
            let gone = is_gone(key.path());
            let stored = matches!(value.known, Known::Stored(_));
            count.set(count.get() + usize::from(gone && stored));
            !gone
        });
        count.get()
    }

    /// The memory of what is stored.
    pub(crate) fn bytes(&self) -> u64 {
        self.values.weight()
    }

    /// Makes room for a body that is being read; nothing if too much is held already.
    pub(crate) fn hold(&self) -> Held {
        Held {
            budget: Arc::clone(&self.budget),
            bytes: 0,
        }
    }

    fn counter(&self, resource: &[u8]) -> &AtomicU64 {
        let place = self.hasher.hash_one(resource) % COUNTERS as u64;
        &self.changes[usize::try_from(place).unwrap_or_default()]
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("entries", &self.values.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// The bytes of all bodies that are being read, that are stored, and that clients still read after they were evicted.
#[derive(Debug)]
struct Budget {
    most: usize,
    held: AtomicUsize,
}

/// A part of the budget. It is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Takes more of the budget, if it has that.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let Budget { most, held } = &*self.budget;
        let grown = held.fetch_update(SeqCst, SeqCst, |held| {
            held.checked_add(bytes).filter(|held| held <= most)
        });
        self.bytes += if grown.is_ok() { bytes } else { 0 };
        grown.is_ok()
    }

    /// Bytes that are counted for as long as somebody has them.
    pub(crate) fn keep(self, bytes: Vec<u8>) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Kept { bytes, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, SeqCst);
    }
}

struct Kept {
    bytes: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
