//! What a limit has decided, and what is left.

use std::time::Duration;

use crate::limits::{Bucket, Each, Slots, Ticks, Window, Windows};

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
    pub(super) period: Duration,
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
    pub(super) view: &'a View,
}

impl View {
    pub(super) fn of<'a>(&'a self, asked: &'a Asked) -> Told<'a> {
        Told {
            buckets: &asked.buckets,
            windows: &asked.windows,
            view: self,
        }
    }
}

impl<'a> Told<'a> {
    /// What is left in each window of what was asked; its cost counts only where it was refused.
    pub(super) fn levels(self) -> impl ExactSizeIterator<Item = Level> + use<'a> {
        let Self { view, .. } = self;
        let windows = self.windows.iter().zip(view.slots.iter());
        let both = self.buckets.iter().zip(windows);
        both.map(|(bucket, (window, slot))| {
            let wait = if view.refused {
                window.wait(view.now, *slot)
            } else {
                0
            };
            let next = match wait {
                0 => window.next(view.now, *slot),
                wait => wait,
            };
            Level {
                period: bucket.period,
                size: bucket.size,
                left: window.left(view.now, *slot),
                next: if bucket.size == 0 {
                    bucket.period
                } else {
                    view.ticks.time(next)
                },
            }
        })
    }

    /// How long it is until the request fits.
    pub(super) fn wait(self) -> Duration {
        let view = self.view;
        let windows = self.windows.iter().zip(view.slots.iter());
        let waits = windows.map(|(window, slot)| window.wait(view.now, *slot));
        let longest = view.ticks.time(waits.max().unwrap_or(0));
        let empty = self.buckets.iter().filter(|bucket| bucket.size == 0);
        empty
            .map(|bucket| bucket.period)
            .fold(longest, Duration::max)
    }
}
