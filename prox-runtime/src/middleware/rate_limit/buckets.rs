//! A bounded number of buckets, one for each key.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};

use crate::sync::lock;

/// How many locks the buckets are behind, so that workers seldom meet at one.
const SHARDS: usize = 16;

/// The part of an IPv6 address that says which network it is in.
const NETWORK: Ipv6Addr = Ipv6Addr::from_bits(!0 << 64);

/// Whose bucket it is; small, whatever it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Everybody's, or that of all who have no key.
    Shared,
    /// That of all who came when there was no room for more keys.
    Overflow,
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: what one customer of a provider gets at least.
    V6(Ipv6Addr),
    /// The hash of a key of the user's own, so that neither its length nor its text stays in memory.
    Text([u64; 2]),
}

impl From<IpAddr> for Key {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address & NETWORK),
        }
    }
}

impl Key {
    /// Whether there may be any number of its kind.
    fn is_one_of_many(self) -> bool {
        !matches!(self, Self::Shared | Self::Overflow)
    }
}

/// For each key the time at which its bucket is full again: GCRA's "theoretical arrival time".
pub(super) struct Buckets {
    shards: [Mutex<HashMap<Key, Nanos>>; SHARDS],
    hasher: RandomState,
    /// Keys in all the shards, and the most that there may be; without the two that are not [one of
    /// many](Key::is_one_of_many).
    len: AtomicUsize,
    most: usize,
}

impl Buckets {
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            most,
        }
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Key, Nanos>> {
        let hash = self.hasher.hash_one(key);
        // The remainder is less than the number of shards, which is a `usize`.
        #[expect(clippy::cast_possible_truncation)]
        lock(&self.shards[(hash % SHARDS as u64) as usize])
    }

    /// Takes a place for one more key, if there is one.
    fn reserve(&self) -> bool {
        let more = |len| (len < self.most).then_some(len + 1);
        self.len.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(*key);
        if let Some(full_at) = shard.get_mut(key) {
            let (outcome, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(outcome);
        }
        if key.is_one_of_many() && !self.reserve() {
            drop(shard);
            return self.measure_and_replace(&Key::Overflow, measure);
        }
        // The first request of a key always passes, so the reserved place is used.
        let (outcome, next) = measure(None)?;
        shard.insert(*key, next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Key> for Buckets {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.len();
            shard.retain(|key, full_at| !key.is_one_of_many() || *full_at > drop_below);
            self.len.fetch_sub(before - shard.len(), Relaxed);
        }
    }

    fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets")
            .field("len", &self.len)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// Makes keys of text.
#[derive(Clone, Debug, Default)]
pub(super) struct TextKeys(RandomState);

impl TextKeys {
    /// 128 bits of a keyed hash: two texts of different hashes are all that anyone will ever meet.
    pub(super) fn key(&self, text: &str) -> Key {
        Key::Text([0, 1].map(|salt: u8| self.0.hash_one((salt, text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_counts_by_its_first_64_bits() {
        let key = |address: &str| Key::from(address.parse::<IpAddr>().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::2"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn a_text_has_one_key() {
        let keys = TextKeys::default();
        assert_eq!(keys.key("anna"), keys.clone().key("anna"));
        assert_ne!(keys.key("anna"), keys.key("bert"));
    }
}
