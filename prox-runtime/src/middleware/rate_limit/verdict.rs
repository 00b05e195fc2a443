//! What a limit has decided, and what is left.

use std::time::Duration;

use crate::limits::{Bucket, Each, Slot, Slots, Ticks, Window, Windows};

/// What one request asks of a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) buckets: Each<Bucket>,
    pub(super) windows: Windows,
    /// Whether the response will tell what it has cost.
    debts: bool,
}

impl Asked {
    pub(super) fn new(buckets: Each<Bucket>, cost: u32, debts: bool) -> Self {
        let asked = Self {
            buckets,
            windows: Windows::new(0),
            debts,
        };
        asked.costing(cost)
    }

    /// The same, at another cost.
    pub(super) fn costing(mut self, cost: u32) -> Self {
        let windows = self.buckets.iter();
        let windows = windows.map(|bucket| bucket.window(cost, self.debts));
        self.windows = windows.collect();
        self
    }
}

/// What a limit says of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Passed(View),
    Refused(View),
    /// It passes, and nothing is known of what is left.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a store can be down")
    )]
    Unlimited,
    /// It must not pass, since nothing is known.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only a store can be down")
    )]
    Unavailable,
}

/// The buckets of a key after a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) ticks: Ticks,
    pub(super) now: u64,
    pub(super) slots: Slots,
    /// Whether the request does not fit.
    pub(super) refused: bool,
}

/// What is left in one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) size: u64,
    pub(super) left: u64,
    /// How long it is until there is more, or until the request fits that was refused.
    pub(super) next: Duration,
}

/// The buckets of a key after a decision, and what was asked of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) buckets: &'a [Bucket],
    pub(super) windows: &'a [Window],
    pub(super) slots: &'a [Slot],
    pub(super) ticks: Ticks,
    pub(super) now: u64,
    /// Whether the request does not fit.
    pub(super) refused: bool,
}

impl View {
    pub(super) fn of<'a>(&'a self, buckets: &'a [Bucket], windows: &'a [Window]) -> Told<'a> {
        Told {
            buckets,
            windows,
            slots: &self.slots,
            ticks: self.ticks,
            now: self.now,
            refused: self.refused,
        }
    }
}

impl<'a> Told<'a> {
    /// What is left in each window of what was asked; its cost counts only where it was refused.
    pub(super) fn levels(self) -> impl ExactSizeIterator<Item = Level> + use<'a> {
        let windows = self.windows.iter().zip(self.slots);
        let both = self.buckets.iter().zip(windows);
        both.map(move |(bucket, (window, slot))| {
            let wait = if self.refused {
                window.wait(self.now, *slot)
            } else {
                0
            };
            let next = match wait {
                0 => window.next(self.now, *slot),
                wait => wait,
            };
            Level {
                size: bucket.size,
                left: window.left(self.now, *slot),
                next: if bucket.size == 0 {
                    bucket.period
                } else {
                    self.ticks.time(next)
                },
            }
        })
    }

    /// How long it is until the request fits.
    pub(super) fn wait(self) -> Duration {
        let windows = self.windows.iter().zip(self.slots);
        let waits = windows.map(|(window, slot)| window.wait(self.now, *slot));
        let longest = self.ticks.time(waits.max().unwrap_or(0));
        let empty = self.buckets.iter().filter(|bucket| bucket.size == 0);
        empty
            .map(|bucket| bucket.period)
            .fold(longest, Duration::max)
    }
}
