//! Counts that threads share without locks: each thread has a lane of its own, which no other thread writes.

use std::{
    cell::Cell,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::sync::{cores, lock};

/// The most threads that have lanes of their own.
const MOST: usize = 128;

/// How many threads have lanes of their own.
fn count() -> usize {
    (cores() * 2).next_power_of_two().min(MOST)
}

/// One value for each thread that counts, and one more that all further threads share.
#[derive(Debug)]
pub(super) struct Lanes<T>(Box<[Lane<T>]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane<T>(T);

impl<T: Default> Default for Lanes<T> {
    fn default() -> Self {
        Self((0..=count()).map(|_| Lane::default()).collect())
    }
}

impl<T> Lanes<T> {
    /// The lane of the thread of this hand.
    pub(super) fn of(&self, hand: Hand) -> &T {
        &self.0[hand.place].0
    }

    /// Every lane, one after the other.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|lane| &lane.0)
    }
}

/// Which lanes a thread writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hand {
    place: usize,
    /// Whether no other thread writes them.
    is_alone: bool,
}

impl Hand {
    /// The hand of this thread.
    pub(super) fn own() -> Self {
        match HAND.get() {
            Some(hand) => hand,
            None => first(),
        }
    }

    fn numbered(number: usize) -> Self {
        let shared = count();
        Self {
            place: number.min(shared),
            is_alone: number < shared,
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds `more`, and returns the number before. It starts again at 0 behind the largest number.
    pub(super) fn add(&self, more: u64, hand: Hand) -> u64 {
        if hand.is_alone {
            // No lock on the cache line, which an atomic addition takes.
            let before = self.0.load(Relaxed);
            self.0.store(before.wrapping_add(more), Relaxed);
            before
        } else {
            self.0.fetch_add(more, Relaxed)
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The number of a thread that has given its own back.
const GONE: usize = usize::MAX;

thread_local! {
    static HAND: Cell<Option<Hand>> = const { Cell::new(None) };
    static NUMBER: Number = Number::take();
}

/// The numbers that threads have given back, and the first that was never given.
static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

/// A number that no other running thread has. A thread gives it back when it ends.
///
/// The lock orders all that the thread has written before all that the next thread of this number reads.
struct Number(usize);

impl Number {
    fn take() -> Self {
        let mut free = lock(&FREE);
        let (given_back, next) = &mut *free;
        let least = given_back
            .iter()
            .enumerate()
            .min_by_key(|(_, number)| **number);
        if let Some(place) = least.map(|(place, _)| place) {
            return Self(given_back.swap_remove(place));
        }
        *next += 1;
        Self(*next - 1)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // What its other destructors count is counted in the shared lane.
        HAND.set(Some(Hand::numbered(GONE)));
        lock(&FREE).0.push(self.0);
    }
}

#[cold]
fn first() -> Hand {
    let hand = Hand::numbered(NUMBER.try_with(|number| number.0).unwrap_or(GONE));
    HAND.set(Some(hand));
    hand
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_lose_nothing_however_many_there_are() {
        let lanes = Lanes::<Count>::default();
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..300 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            let hand = Hand::own();
                            lanes.of(hand).add(1, hand);
                        }
                    });
                }
            });
        }
        let sum: u64 = lanes.all().map(Count::get).sum();
        assert_eq!(sum, 3 * 300 * 100);
    }

    #[test]
    fn threads_that_run_have_numbers_of_their_own() {
        let own = Hand::own();
        let other = thread::spawn(Hand::own).join().unwrap();
        assert!(own != other || !own.is_alone);
        assert_eq!(own, Hand::own());
    }

    #[test]
    fn a_thread_that_ends_still_counts() {
        thread_local! {
            static LAST: Cell<Option<Last>> = const { Cell::new(None) };
        }
        struct Last(std::sync::Arc<Lanes<Count>>);
        impl Drop for Last {
            fn drop(&mut self) {
                let hand = Hand::own();
                self.0.of(hand).add(1, hand);
            }
        }
        let lanes = std::sync::Arc::<Lanes<Count>>::default();
        for is_numbered_first in [false, true] {
            let lanes = std::sync::Arc::clone(&lanes);
            let thread = thread::spawn(move || {
                if is_numbered_first {
                    Hand::own();
                }
                LAST.set(Some(Last(lanes)));
                Hand::own();
            });
            thread.join().unwrap();
        }
        assert_eq!(lanes.all().map(Count::get).sum::<u64>(), 2);
    }
}
