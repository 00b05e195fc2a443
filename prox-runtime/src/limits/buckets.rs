//! A bounded number of buckets, one entry for each key.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hasher, RandomState},
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::gcra::{Slot, Slots};
use crate::sync::lock;

/// How many locks the buckets are behind, so that workers seldom meet at one.
const SHARDS: usize = 16;

/// Whose bucket it is: 128 bits of a keyed hash, so that neither the length nor the text of a key stays in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// That of all requests.
    Everyone,
    Of([u64; 2]),
}

/// What makes the keys of one limit other ones than those of all others.
#[derive(Debug, Default)]
pub(crate) struct Salt {
    random: RandomState,
    mask: OnceLock<[u64; 2]>,
}

impl Salt {
    /// Begins a key; only one that begins with the same salt is the same.
    pub(crate) fn writer(&self) -> KeyWriter {
        KeyWriter::new(&self.random)
    }

    /// The key of a caller with this fingerprint, which is a keyed hash already.
    pub(crate) fn key(&self, [first, second]: [u64; 2]) -> Key {
        let mask = || [0, 1].map(|half| self.random.hash_one(half));
        let [one, two] = self.mask.get_or_init(mask);
        Key::Of([first ^ one, second ^ two])
    }
}

/// The largest size of parts of a key that are hashed at once, with their length.
const SHORT: usize = 120;

/// Makes a key of the parts that tell one bucket from another.
#[derive(Debug)]
pub(crate) struct KeyWriter {
    hasher: DefaultHasher,
    empty: bool,
}

impl KeyWriter {
    fn new(secret: &RandomState) -> Self {
        Self {
            hasher: secret.build_hasher(),
            empty: true,
        }
    }

    /// Adds a part of this length, which is the pieces one behind the other. Its end is part of it, so that no two lists of parts are
    /// one key.
    pub(crate) fn part<'p>(&mut self, length: usize, pieces: impl IntoIterator<Item = &'p [u8]>) {
        self.empty = false;
        let prefix = (length as u64).to_ne_bytes();
        if length > SHORT {
            self.hasher.write(&prefix);
            pieces
                .into_iter()
                .for_each(|piece| self.hasher.write(piece));
            return;
        }
        let mut short = [0; 8 + SHORT];
        let mut end = prefix.len();
        short[..end].copy_from_slice(&prefix);
        for piece in pieces {
            let start = end;
            end += piece.len();
            if let Some(place) = short.get_mut(start..end) {
                place.copy_from_slice(piece);
            }
        }
        self.hasher.write(short.get(..end).unwrap_or_default());
    }

    /// Notes that a part is absent.
    pub(crate) fn absent(&mut self) {
        self.empty = false;
        self.hasher.write_u64(u64::MAX);
    }

    /// The hashes of all parts, and of all parts with another byte behind them.
    pub(crate) fn key(mut self) -> Key {
        if self.empty {
            return Key::Everyone;
        }
        let first = self.hasher.finish();
        self.hasher.write_u8(0xff);
        Key::Of([first, self.hasher.finish()])
    }
}

/// The keys of a map that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hash128([u64; 2]);

impl std::hash::Hash for Hash128 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [_, second] = self.0;
        state.write_u64(second);
    }
}

/// The slots of a key; most limits have one window.
#[derive(Debug)]
enum State {
    One(Slot),
    Many(Box<[Slot]>),
}

impl State {
    fn of(slots: &[Slot]) -> Self {
        match slots {
            [one] => Self::One(*one),
            many => Self::Many(many.into()),
        }
    }

    fn slots(&mut self) -> &mut [Slot] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }

    /// Whether anything has been taken that is not back.
    fn matters(&mut self, now: u64) -> bool {
        self.slots().iter().any(|slot| slot.until > now)
    }
}

type Shard = HashMap<Hash128, State, BuildHasherDefault<Hashed>>;

/// The buckets of one limit.
pub(crate) struct Buckets {
    shards: [Mutex<Shard>; SHARDS],
    salt: Salt,
    windows: usize,
    everyone: Mutex<State>,
    /// That of all who came when there was no room for more keys.
    overflow: Mutex<State>,
    /// Keys in all the shards, and the most that there may be.
    len: AtomicUsize,
    most: usize,
    /// How many ticks a search for buckets that are full again is not repeated, and when the last one was.
    pause: u64,
    swept: AtomicU64,
}

impl Buckets {
    /// Buckets for so many windows, and for `most` keys.
    pub(crate) fn new(windows: usize, most: usize, pause: u64) -> Self {
        let slots = Slots::new(windows);
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            salt: Salt::default(),
            windows,
            everyone: Mutex::new(State::of(&slots)),
            overflow: Mutex::new(State::of(&slots)),
            len: AtomicUsize::new(0),
            most,
            pause,
            swept: AtomicU64::new(0),
        }
    }

    /// What makes the keys of these buckets; no other process and no other limit would make the same.
    pub(crate) fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Gives the slots of a key to `change`, and keeps them if that says so.
    pub(crate) fn change<R>(
        &self,
        key: Key,
        now: u64,
        change: impl FnOnce(&mut [Slot]) -> (R, bool),
    ) -> R {
        let Key::Of(hash) = key else {
            return change(lock(&self.everyone).slots()).0;
        };
        if self.len.load(Relaxed) >= self.most {
            self.sweep(now);
        }
        let mut shard = self.shard(hash);
        if let Some(state) = shard.get_mut(&Hash128(hash)) {
            return change(state.slots()).0;
        }
        if !self.reserve() {
            drop(shard);
            return change(lock(&self.overflow).slots()).0;
        }
        let mut slots = Slots::new(self.windows);
        let (result, keep) = change(&mut slots);
        if keep {
            shard.insert(Hash128(hash), State::of(&slots));
        } else {
            self.len.fetch_sub(1, Relaxed);
        }
        result
    }

    fn shard(&self, [first, _]: [u64; 2]) -> MutexGuard<'_, Shard> {
        // The remainder is less than the number of shards, which is a `usize`.
        #[expect(clippy::cast_possible_truncation)]
        lock(&self.shards[(first % SHARDS as u64) as usize])
    }

    /// Takes a place for one more key, if there is one.
    fn reserve(&self) -> bool {
        let more = |len| (len < self.most).then_some(len + 1);
        self.len.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Drops the buckets that are full again. While one thread does it the others do not.
    fn sweep(&self, now: u64) {
        let swept = self.swept.load(Relaxed);
        let early = swept > 0 && now < swept.saturating_add(self.pause);
        if early
            || self
                .swept
                .compare_exchange(swept, now.max(1), Relaxed, Relaxed)
                .is_err()
        {
            return;
        }
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.len();
            shard.retain(|_, state| state.matters(now));
            self.len.fetch_sub(before - shard.len(), Relaxed);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(buckets: &Buckets, parts: &[Option<&str>]) -> Key {
        let mut writer = buckets.salt().writer();
        for part in parts {
            match part {
                Some(part) => writer.part(part.len(), [part.as_bytes()]),
                None => writer.absent(),
            }
        }
        writer.key()
    }

    fn fill(buckets: &Buckets, key: Key, now: u64, until: u64) -> u64 {
        buckets.change(key, now, |slots| {
            let before = slots[0].until;
            slots[0].until = until;
            (before, true)
        })
    }

    #[test]
    fn different_parts_are_different_keys() {
        let buckets = Buckets::new(1, 10, 0);
        let lists: &[&[Option<&str>]] = &[
            &[],
            &[None],
            &[Some("")],
            &[Some("ab")],
            &[Some("a"), Some("b")],
            &[Some("ab"), None],
            &[None, Some("ab")],
            &[Some(""), Some("ab")],
            &[Some("abc")],
        ];
        for (at, one) in lists.iter().enumerate() {
            for (other_at, other) in lists.iter().enumerate() {
                assert_eq!(
                    key(&buckets, one) == key(&buckets, other),
                    at == other_at,
                    "{one:?} {other:?}"
                );
            }
        }
        assert_eq!(key(&buckets, &[]), Key::Everyone);
        // Nobody can know which keys meet in another limit, whether texts make them or fingerprints.
        let of = |buckets: &Buckets, mark| buckets.salt().key(mark);
        assert_eq!(of(&buckets, [1, 2]), of(&buckets, [1, 2]));
        assert_ne!(of(&buckets, [1, 2]), of(&buckets, [1, 3]));
        assert_ne!(of(&buckets, [1, 2]), of(&buckets, [2, 1]));
        assert_ne!(of(&buckets, [1, 2]), of(&Buckets::new(1, 10, 0), [1, 2]));
        assert_ne!(
            key(&buckets, &[Some("a")]),
            key(&Buckets::new(1, 10, 0), &[Some("a")])
        );
    }

    #[test]
    fn a_part_is_its_pieces_one_behind_the_other() {
        let buckets = Buckets::new(1, 10, 0);
        let mut writer = buckets.salt().writer();
        writer.part(4, [&b"a"[..], b"", b"bcd"]);
        assert_eq!(writer.key(), key(&buckets, &[Some("abcd")]));
        for length in [SHORT - 1, SHORT, SHORT + 1] {
            let text = "x".repeat(length - 2) + "yz";
            let (start, end) = text.split_at(length - 2);
            let mut writer = buckets.salt().writer();
            writer.part(length, [start.as_bytes(), end.as_bytes()]);
            assert_eq!(writer.key(), key(&buckets, &[Some(&text)]), "{length}");
        }
    }

    #[test]
    fn keys_that_a_client_chooses_take_no_more_room_than_there_is() {
        let buckets = Buckets::new(1, 100, 10);
        for number in 0..10_000 {
            let key = key(&buckets, &[Some(&number.to_string())]);
            fill(&buckets, key, 5, 1000);
            assert!(buckets.len() <= 100);
        }
        // All of them share one bucket then, and those that have one keep it.
        let new = key(&buckets, &[Some("new")]);
        assert_eq!(fill(&buckets, new, 5, 7), 1000);
        let old = key(&buckets, &[Some("0")]);
        assert_eq!(fill(&buckets, old, 5, 1000), 1000);
        // Buckets that are full again make room.
        assert_eq!(fill(&buckets, new, 1000, 2000), 0);
        assert_eq!(buckets.len(), 1);
    }

    #[test]
    fn a_key_that_has_taken_nothing_has_no_bucket() {
        let buckets = Buckets::new(2, 10, 0);
        let one = key(&buckets, &[Some("a")]);
        buckets.change(one, 0, |_| ((), false));
        assert_eq!(buckets.len(), 0);
    }
}
