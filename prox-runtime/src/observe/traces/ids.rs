//! Ids of traces and spans.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

thread_local! {
    static IDS: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

/// 64 bits that no one outside can foresee: a keyed hash of a counter, with a key of this thread.
pub(super) fn next() -> u64 {
    IDS.with(|(keys, count)| {
        let number = count.get().wrapping_add(1);
        count.set(number);
        keys.hash_one(number)
    })
}

/// The id of a new trace.
pub(super) fn trace() -> u128 {
    u128::from(next()) << 64 | u128::from(next())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn threads_have_ids_of_their_own() {
        let ids = || (0..1000).map(|_| trace()).collect::<Vec<_>>();
        let mut all = ids();
        all.extend(std::thread::spawn(ids).join().unwrap());
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 2000);
    }
}
