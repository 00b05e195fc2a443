//! Counts of what happened in the last seconds, for many threads at once.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// A window slides in steps of a tenth of its length.
const SLOTS: usize = 10;

/// One slot is one word, so that it is read and counted up in one step: when it began (20 bits), all (22), marked (22).
const COUNT_BITS: u32 = 22;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const STAMP_SHIFT: u32 = 2 * COUNT_BITS;
const STAMP_MASK: u64 = (1 << (64 - STAMP_SHIFT)) - 1;

/// A slot counts no further than this, which leaves room for threads that count at the same moment.
const FULL: u64 = COUNT_MASK - (1 << 12);

/// Two counts over the last seconds: of all events, and of those that are marked (as failures, as retries).
///
/// Counting is one load and one addition to a word that threads share; nothing is locked. A count made at the very moment
/// at which a slot begins anew can be lost or land in the slot after it.
#[derive(Debug)]
pub(crate) struct Window {
    start: Instant,
    /// The length of a slot in microseconds.
    slot: u64,
    slots: [AtomicU64; SLOTS],
}

/// What a [`Window`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) all: u64,
    pub(crate) marked: u64,
}

impl Tally {
    /// Whether there were `volume` events or more, and the marked ones are `percent` of them or more.
    pub(crate) fn reaches(self, volume: u32, percent: u32) -> bool {
        self.all >= u64::from(volume.max(1)) && self.marked * 100 >= self.all * u64::from(percent)
    }
}

impl Window {
    /// A window of `length`, at least 10 ms; `now` must not be later than what is counted.
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self {
            start: now,
            slot: (micros / SLOTS as u64).max(1_000),
            slots: array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Counts an event.
    pub(crate) fn add(&self, marked: bool, now: Instant) {
        self.count(1, u64::from(marked), now);
    }

    /// Marks an event that was counted before.
    pub(crate) fn mark(&self, now: Instant) {
        self.count(0, 1, now);
    }

    fn count(&self, all: u64, marked: u64, now: Instant) {
        let tick = self.tick(now);
        let stamp = tick & STAMP_MASK;
        let slot = self.slot(tick);
        let step = all << COUNT_BITS | marked;
        let seen = slot.load(Ordering::Relaxed);
        if seen >> STAMP_SHIFT == stamp {
            if (seen >> COUNT_BITS) & COUNT_MASK < FULL && seen & COUNT_MASK < FULL {
                slot.fetch_add(step, Ordering::Relaxed);
            }
            return;
        }
        if age(stamp, seen >> STAMP_SHIFT) <= 2 * SLOTS as u64 {
            // The slot is of a later time: this thread's clock was read a whole window ago.
            return;
        }
        let fresh = stamp << STAMP_SHIFT | step;
        if slot
            .compare_exchange(seen, fresh, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            slot.fetch_add(step, Ordering::Relaxed);
        }
    }

    /// What happened in the window that ends `now`.
    pub(crate) fn tally(&self, now: Instant) -> Tally {
        let stamp = self.tick(now) & STAMP_MASK;
        let mut tally = Tally::default();
        for slot in &self.slots {
            let seen = slot.load(Ordering::Relaxed);
            if age(seen >> STAMP_SHIFT, stamp) < SLOTS as u64 {
                tally.all += (seen >> COUNT_BITS) & COUNT_MASK;
                tally.marked += seen & COUNT_MASK;
            }
        }
        tally
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for slot in &self.slots {
            slot.fetch_and(STAMP_MASK << STAMP_SHIFT, Ordering::Relaxed);
        }
    }

    fn tick(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        (since.as_secs() * 1_000_000 + u64::from(since.subsec_micros())) / self.slot
    }

    fn slot(&self, tick: u64) -> &AtomicU64 {
        &self.slots[usize::try_from(tick % SLOTS as u64).unwrap_or(0)]
    }
}

/// How many slots `then` is before `now`. Stamps come round after a million slots, so what is older can look young; since a
/// stamp must also meet its own place in the list, that takes 60 days without one event, and ends with the next one.
fn age(then: u64, now: u64) -> u64 {
    now.wrapping_sub(then) & STAMP_MASK
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn tally(all: u64, marked: u64) -> Tally {
        Tally { all, marked }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let start = Instant::now();
        let window = Window::new(TEN, start);
        window.add(true, start);
        window.add(false, start + Duration::from_secs(5));
        let at = |seconds| window.tally(start + Duration::from_millis(seconds));
        assert_eq!(at(9_999), tally(2, 1));
        assert_eq!(at(10_000), tally(1, 0));
        assert_eq!(at(15_000), tally(0, 0));
    }

    #[test]
    fn a_share_counts_only_with_enough_events() {
        assert!(!tally(19, 19).reaches(20, 50));
        assert!(tally(20, 10).reaches(20, 50));
        assert!(!tally(21, 10).reaches(20, 50));
        assert!(!tally(0, 0).reaches(0, 0));
    }

    #[test]
    fn a_full_slot_does_not_spill_into_its_neighbours() {
        let start = Instant::now();
        let window = Window::new(TEN, start);
        window.slots[0].store(FULL << COUNT_BITS | FULL, Ordering::Relaxed);
        for _ in 0..100 {
            window.add(true, start);
        }
        assert_eq!(window.tally(start), tally(FULL, FULL));
    }

    #[test]
    fn a_window_that_nobody_used_for_long_counts_again() {
        let start = Instant::now();
        for days in 1..=30 {
            let window = Window::new(TEN, start);
            window.add(true, start);
            let now = start + Duration::from_hours(24 * days);
            window.add(true, now);
            assert_eq!(window.tally(now), tally(1, 1), "{days}");
        }
    }

    #[test]
    fn a_clock_that_was_read_too_early_does_not_clear_a_slot() {
        let start = Instant::now();
        let window = Window::new(TEN, start);
        let now = start + Duration::from_secs(12);
        window.add(true, now);
        window.add(true, start + Duration::from_secs(2));
        assert_eq!(window.tally(now), tally(1, 1));
    }

    #[test]
    fn counts_of_many_threads_are_all_there() {
        let start = Instant::now();
        let window = Window::new(TEN, start);
        window.add(false, start);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..1_000 {
                        window.add(turn % 2 == 0, start);
                    }
                });
            }
        });
        assert_eq!(window.tally(start), tally(4_001, 2_000));
    }

    proptest! {
        #[test]
        fn it_counts_as_a_list_of_events_would(
            events in prop::collection::vec((0_u64..3_000, any::<bool>()), 0..200),
        ) {
            let start = Instant::now();
            let window = Window::new(TEN, start);
            let mut list: VecDeque<(u64, bool)> = VecDeque::new();
            let mut millis = 0;
            for (step, marked) in events {
                millis += step;
                let now = start + Duration::from_millis(millis);
                window.add(marked, now);
                list.push_back((millis / 1_000, marked));
                while list.front().is_some_and(|(second, _)| second + 10 <= millis / 1_000) {
                    list.pop_front();
                }
                let marked = list.iter().filter(|(_, marked)| *marked).count() as u64;
                prop_assert_eq!(window.tally(now), tally(list.len() as u64, marked));
            }
        }
    }
}
