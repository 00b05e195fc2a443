//! The one algorithm of all limits: GCRA over several windows, all or nothing.
//!
//! It is pure. The time is a number of ticks, whatever a tick is: nanoseconds where buckets are local, microseconds since 1970
//! where they are shared. The script of `redis` does the same, and a test compares them.

use std::ops::{Deref, DerefMut};

use super::calendar::{next_day, next_month};

/// How many windows a limit may have.
pub(crate) const MOST: usize = 4;

/// How a bucket fills again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fill {
    /// All the time.
    #[default]
    Evenly,
    /// At once, when a day of UTC ends.
    Daily,
    /// At once, when a month of UTC ends.
    Monthly,
}

/// A window of a limit, as a request meets it. Of those that fill evenly all numbers are ticks, of the others requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) fill: Fill,
    /// What a request of cost 1 takes.
    pub(crate) unit: u64,
    /// What this request takes.
    pub(crate) price: u64,
    /// What there is in a full bucket.
    pub(crate) capacity: u64,
    /// The most that can be taken, debts included.
    pub(crate) deepest: u64,
}

/// What is kept of a bucket; all zero is a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// When the bucket is full again: GCRA's "theoretical arrival time".
    pub(crate) until: u64,
    /// What has been taken, where a bucket fills at once.
    pub(crate) used: u64,
}

impl Window {
    /// The slot as it is at this time.
    fn at(&self, now: u64, slot: Slot) -> Slot {
        let end = match self.fill {
            Fill::Evenly => {
                // A time further away than this was written under another clock, or another rate.
                let latest = now.saturating_add(self.deepest);
                return Slot {
                    until: slot.until.clamp(now, latest),
                    used: 0,
                };
            }
            Fill::Daily => next_day(now),
            Fill::Monthly => next_month(now),
        };
        if slot.until <= now {
            return Slot {
                until: end,
                used: 0,
            };
        }
        Slot {
            until: slot.until.min(end),
            used: slot.used,
        }
    }

    /// What is missing in the bucket.
    fn taken(&self, now: u64, slot: Slot) -> u64 {
        match self.fill {
            Fill::Evenly => slot.until.saturating_sub(now),
            Fill::Daily | Fill::Monthly => slot.used,
        }
    }

    fn fits(&self, now: u64, slot: Slot) -> bool {
        let taken = self.taken(now, slot).saturating_add(self.price);
        self.capacity > 0 && taken <= self.capacity
    }

    fn add(&self, now: u64, slot: &mut Slot) {
        let taken = self.taken(now, *slot).saturating_add(self.price);
        let taken = taken.min(self.deepest);
        match self.fill {
            Fill::Evenly => slot.until = now.saturating_add(taken),
            Fill::Daily | Fill::Monthly => slot.used = taken,
        }
    }

    // The slots that these get are up to date: the clock of a store, which says when a day ends, is another one than ours.

    /// How many requests of cost 1 are left.
    pub(crate) fn left(&self, now: u64, slot: Slot) -> u64 {
        let left = self.capacity.saturating_sub(self.taken(now, slot));
        left.checked_div(self.unit).unwrap_or(0)
    }

    /// How long it is until there is one more.
    pub(crate) fn next(&self, now: u64, slot: Slot) -> u64 {
        match self.fill {
            Fill::Evenly => {
                let taken = self.taken(now, slot);
                match self.capacity.checked_sub(taken) {
                    Some(left) => self.unit - left.checked_rem(self.unit).unwrap_or(0),
                    None => (taken - self.capacity).saturating_add(self.unit),
                }
            }
            Fill::Daily | Fill::Monthly => slot.until.saturating_sub(now),
        }
    }

    /// How long it is until the request fits; for one that never does, until the bucket is full.
    pub(crate) fn wait(&self, now: u64, slot: Slot) -> u64 {
        let taken = self.taken(now, slot);
        match self.fill {
            _ if self.fits(now, slot) => 0,
            Fill::Evenly if self.price > self.capacity => taken,
            Fill::Evenly => taken.saturating_add(self.price) - self.capacity,
            Fill::Daily | Fill::Monthly => slot.until.saturating_sub(now),
        }
    }
}

/// Takes what a request costs out of all its buckets, or out of none. The slots are brought up to date in any case.
pub(crate) fn take(now: u64, windows: &[Window], slots: &mut [Slot]) -> bool {
    // Most limits have one window.
    if let ([window], [slot]) = (windows, &mut *slots) {
        *slot = window.at(now, *slot);
        let fits = window.fits(now, *slot);
        if fits {
            window.add(now, slot);
        }
        return fits;
    }
    let mut fits = true;
    for (window, slot) in windows.iter().zip(&mut *slots) {
        *slot = window.at(now, *slot);
        fits &= window.fits(now, *slot);
    }
    if fits {
        for (window, slot) in windows.iter().zip(slots) {
            window.add(now, slot);
        }
    }
    fits
}

/// Whether a request would be refused, by buckets that were up to date some time ago.
#[cfg(feature = "redis")]
pub(crate) fn refuses(now: u64, windows: &[Window], slots: &[Slot]) -> bool {
    let mut pairs = windows.iter().zip(slots);
    pairs.any(|(window, slot)| slot.until > now && !window.fits(now, *slot))
}

/// Takes what a request has cost out of all its buckets, whatever is in them.
pub(crate) fn charge(now: u64, windows: &[Window], slots: &mut [Slot]) {
    for (window, slot) in windows.iter().zip(slots) {
        *slot = window.at(now, *slot);
        window.add(now, slot);
    }
}

/// Something for each window of a limit, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Each<T> {
    list: [T; MOST],
    len: usize,
}

/// The windows of a limit.
pub(crate) type Windows = Each<Window>;

/// The slots of a key.
pub(crate) type Slots = Each<Slot>;

impl<T: Copy + Default> Each<T> {
    /// So many, as they are by default.
    pub(crate) fn new(len: usize) -> Self {
        Self {
            list: [T::default(); MOST],
            len: len.min(MOST),
        }
    }
}

impl<T: Copy + Default> FromIterator<T> for Each<T> {
    /// Takes the first of them.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut each = Self::new(0);
        for (item, place) in items.into_iter().zip(&mut each.list) {
            *place = item;
            each.len += 1;
        }
        each
    }
}

impl<T> Deref for Each<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

impl<T> DerefMut for Each<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.list.get_mut(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evenly(unit: u64, burst: u64, cost: u64) -> Window {
        Window {
            fill: Fill::Evenly,
            unit,
            price: unit * cost,
            capacity: unit * burst,
            deepest: unit * burst * 2,
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let windows = [evenly(10, 3, 1)];
        let mut slots = [Slot::default()];
        let mut ask = |now| take(now, &windows, &mut slots);
        assert!(ask(1000) && ask(1000) && ask(1000));
        assert!(!ask(1000) && !ask(1009));
        assert!(ask(1010) && !ask(1010));
        assert!(ask(1040) && ask(1040) && ask(1040) && !ask(1040));
    }

    #[test]
    fn what_one_window_refuses_costs_none() {
        let windows = [evenly(10, 5, 1), evenly(100, 2, 1)];
        let mut slots = [Slot::default(); 2];
        assert!(take(0, &windows, &mut slots));
        assert!(take(0, &windows, &mut slots));
        let before = slots;
        assert!(!take(0, &windows, &mut slots));
        assert_eq!(slots, before);
        assert_eq!(windows[0].left(0, slots[0]), 3);
        assert_eq!(windows[1].wait(0, slots[1]), 100);
        assert_eq!(windows[0].wait(0, slots[0]), 0);
    }

    #[test]
    fn a_charge_makes_debts_up_to_one_full_bucket() {
        let asks = [evenly(10, 5, 0)];
        let mut slots = [Slot::default()];
        assert!(take(0, &asks, &mut slots));
        charge(0, &[evenly(10, 5, 1_000_000)], &mut slots);
        assert_eq!(slots[0].until, 100);
        assert_eq!(asks[0].left(0, slots[0]), 0);
        assert_eq!(asks[0].next(0, slots[0]), 60);
        assert_eq!(asks[0].wait(0, slots[0]), 50);
        assert!(!take(49, &asks, &mut slots));
        assert!(take(50, &asks, &mut slots));
    }

    #[test]
    fn a_cost_above_the_bucket_never_fits_and_takes_nothing() {
        let windows = [evenly(10, 5, 6)];
        let mut slots = [Slot::default()];
        assert!(!take(0, &windows, &mut slots));
        assert!(!take(1_000_000, &windows, &mut slots));
        assert_eq!(windows[0].left(1_000_000, slots[0]), 5);
    }

    #[test]
    fn a_time_of_another_clock_counts_as_an_empty_bucket() {
        let mut window = evenly(10, 5, 1);
        window.deepest = window.capacity;
        let mut slots = [Slot {
            until: u64::MAX,
            used: 0,
        }];
        assert!(!take(1000, &[window], &mut slots));
        assert_eq!(window.wait(1000, slots[0]), 10);
        assert!(take(1010, &[window], &mut slots));
    }

    #[test]
    fn a_day_of_the_calendar_is_full_again_at_midnight() {
        const DAY: u64 = 86_400_000_000;
        let window = Window {
            fill: Fill::Daily,
            unit: 1,
            price: 2,
            capacity: 4,
            deepest: 8,
        };
        let mut slots = [Slot::default()];
        let noon = 20_000 * DAY + DAY / 2;
        let mut ask = |now| take(now, &[window], &mut slots);
        assert!(ask(noon) && ask(noon) && !ask(noon));
        assert!(!ask(20_001 * DAY - 1));
        assert!(ask(20_001 * DAY));
        assert_eq!(window.left(20_001 * DAY, slots[0]), 2);
        assert_eq!(window.next(20_001 * DAY, slots[0]), DAY);
        charge(20_001 * DAY, &[window], &mut slots);
        assert_eq!(window.wait(20_001 * DAY + 1, slots[0]), DAY - 1);
    }

    #[test]
    fn no_number_makes_it_panic_and_nothing_fits_into_nothing() {
        let numbers = [0, 1, 7, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        for fill in [Fill::Evenly, Fill::Daily, Fill::Monthly] {
            for unit in numbers {
                for price in numbers {
                    for capacity in numbers {
                        for until in numbers {
                            for now in [0, 1_800_000_000_000_000, u64::MAX / 4] {
                                let window = Window {
                                    fill,
                                    unit,
                                    price,
                                    capacity,
                                    deepest: capacity.saturating_mul(2),
                                };
                                let mut slots = [Slot { until, used: until }];
                                let taken = take(now, &[window], &mut slots);
                                assert!(!taken || price <= capacity);
                                assert!(!taken || capacity > 0);
                                let _ = window.left(now, slots[0]);
                                let _ = window.next(now, slots[0]);
                                let _ = window.wait(now, slots[0]);
                                charge(now, &[window], &mut slots);
                            }
                        }
                    }
                }
            }
        }
    }
}
