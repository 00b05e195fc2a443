//! State that workers share without sharing cache lines.

pub(crate) use std::sync::Mutex;
use std::{
    cell::Cell,
    sync::{
        LazyLock, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

/// The most shards that anything is split into; more threads than this share them.
const MOST: usize = 64;

/// One value for each worker thread, each behind a lock that only its own thread takes, as a rule.
///
/// Whatever is put in a shard by one thread may be taken by another when there are more threads than shards, so a value
/// must be sound to use from anywhere; that it mostly is not makes it fast.
#[derive(Debug)]
pub(crate) struct Sharded<T>(Box<[Shard<T>]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard<T>(Mutex<T>);

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        let count = (cores() * 2).next_power_of_two().min(MOST);
        Self((0..count).map(|_| Shard::default()).collect())
    }
}

impl<T> Sharded<T> {
    /// The shard of this thread.
    pub(crate) fn local(&self) -> MutexGuard<'_, T> {
        self.at(self.place())
    }

    /// The number of this thread's shard.
    pub(crate) fn place(&self) -> usize {
        thread_number() % self.0.len()
    }

    /// The shard of this number, or of one that is as good.
    pub(crate) fn at(&self, place: usize) -> MutexGuard<'_, T> {
        lock(&self.0[place % self.0.len()].0)
    }

    /// Every shard, one after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(|shard| lock(&shard.0))
    }
}

/// How many threads can run at once. The process asks once: each answer reads several files of the cgroup.
pub(crate) fn cores() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| available_parallelism().map_or(1, usize::from));
    *CORES
}

/// Takes a lock even if a thread panicked with it: what these locks guard is valid after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that this thread has to itself; those that come first have the small ones.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_always_has_the_same_shard() {
        let counts = Sharded::<usize>::default();
        for _ in 0..3 {
            *counts.local() += 1;
        }
        let all: Vec<usize> = counts.all().map(|count| *count).collect();
        assert_eq!(all.iter().filter(|&&count| count == 3).count(), 1);
    }
}
