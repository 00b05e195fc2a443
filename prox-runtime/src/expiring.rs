//! A map of bounded size whose entries run out.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// A map whose entries each count until their end. It has room for `most` of them; one that has run out gives up its place when
/// there is no other.
///
/// All entries are looked at only once the earliest end has passed, however many insertions find the map full.
#[derive(Debug)]
pub(crate) struct Expiring<K, V, T> {
    most: usize,
    entries: HashMap<K, (V, T)>,
    /// No entry ends before this time.
    earliest: Option<T>,
}

impl<K: Eq + Hash, V, T: Copy + PartialOrd> Expiring<K, V, T> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            entries: HashMap::new(),
            earliest: None,
        }
    }

    /// The value, if it has not run out.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: T) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (value, end) = self.entries.get(key)?;
        (now < *end).then_some(value)
    }

    /// The end of an entry, which may have passed.
    pub(crate) fn end(&self, key: &K) -> Option<T> {
        self.entries.get(key).map(|(_, end)| *end)
    }

    /// Inserts an entry if there is room for one more.
    pub(crate) fn insert(&mut self, key: K, value: V, end: T, now: T) {
        if self.has_room(now) {
            self.put(key, value, end);
        }
    }

    /// Whether there is room for one more. Entries that have run out make room.
    pub(crate) fn has_room(&mut self, now: T) -> bool {
        if self.entries.len() >= self.most && self.earliest.is_none_or(|earliest| earliest <= now) {
            self.entries.retain(|_, (_, end)| now < *end);
            let ends = self.entries.values().map(|(_, end)| *end);
            self.earliest = ends.reduce(earlier);
        }
        self.entries.len() < self.most
    }

    /// Inserts an entry, or replaces it, whether or not there is room.
    pub(crate) fn put(&mut self, key: K, value: V, end: T) {
        self.earliest = Some(self.earliest.map_or(end, |earliest| earlier(earliest, end)));
        self.entries.insert(key, (value, end));
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    #[cfg(feature = "jwt")]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.earliest = None;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn earlier<T: PartialOrd>(one: T, other: T) -> T {
    if other < one { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_has_run_out_makes_room_and_no_other_does() {
        let mut map = Expiring::new(3);
        for (key, end) in [("a", 5), ("b", 9), ("c", 7)] {
            map.insert(key, end, end, 0);
        }
        map.insert("d", 0, 99, 4);
        assert_eq!((map.get("d", 4), map.get("a", 4)), (None, Some(&5)));
        assert_eq!(map.get("a", 5), None);
        map.insert("d", 0, 6, 5);
        assert_eq!(map.get("d", 5), Some(&0));
        // The end of the one that came last is now the earliest.
        map.insert("e", 0, 99, 5);
        assert_eq!(map.get("e", 5), None);
        map.insert("e", 0, 99, 6);
        assert_eq!((map.get("e", 6), map.len()), (Some(&0), 3));
        map.insert("f", 0, 99, 9);
        assert_eq!((map.get("b", 8), map.get("f", 9)), (None, Some(&0)));
    }

    #[test]
    fn the_entries_are_those_of_a_map_that_looks_at_all_of_them_each_time() {
        let (mut map, mut plain) = (Expiring::new(8), HashMap::new());
        let mut state = 1_u32;
        for now in 0..20_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (key, end) = (state >> 24, now + (state >> 8) % 40);
            map.insert(key, (), end, now);
            if plain.len() >= 8 {
                plain.retain(|_, end| now < *end);
            }
            if plain.len() < 8 {
                plain.insert(key, end);
            }
            let own = map.entries.iter().map(|(key, ((), end))| (*key, *end));
            assert_eq!(own.collect::<HashMap<_, _>>(), plain, "{now}");
        }
    }
}
