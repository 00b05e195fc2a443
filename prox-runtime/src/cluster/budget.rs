//! How many extra tries a backend is burdened with at most.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::window::Window;
use crate::sync::lock;

/// How many tries may be made beyond the first ones: `.retry_budget(..)`. Always on: 20 % of the requests, and 10 a second.
///
/// When a backend is down, every request fails and would be retried, which multiplies the load on what is left of it. With
/// the budget, retries add a fifth to the load and no more. The part by the second lets a backend with few requests retry at
/// all. Both are counted over the last 10 s, so up to 100 retries can come at once after a quiet time.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::BudgetOptions;
///
/// let options = BudgetOptions::percent(10).and_per_second(1);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BudgetOptions {
    percent: u32,
    per_second: u32,
}

/// What a budget looks back at.
const WINDOW: Duration = Duration::from_secs(10);

impl BudgetOptions {
    /// Allows so many percent of the requests to be retried, and nothing by the second.
    pub fn percent(percent: u32) -> Self {
        Self {
            percent,
            per_second: 0,
        }
    }

    /// Allows so many retries a second, whatever the number of requests.
    #[must_use]
    pub fn and_per_second(mut self, retries: u32) -> Self {
        self.per_second = retries;
        self
    }

    /// What hedged requests may add when nothing else is said: 5 % of the requests, and 1 a second.
    pub(crate) fn for_hedging() -> Self {
        Self::percent(5).and_per_second(1)
    }
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self::percent(20).and_per_second(10)
    }
}

/// The budget of one backend, shared by all workers.
///
/// A request costs an addition to a shared word. Retries take a lock, so that they never overdraw.
#[derive(Debug)]
pub(crate) struct Budget {
    options: BudgetOptions,
    window: Window,
    spending: Mutex<()>,
}

impl Budget {
    pub(crate) fn new(options: BudgetOptions, now: Instant) -> Self {
        Self {
            options,
            window: Window::new(WINDOW, now),
            spending: Mutex::new(()),
        }
    }

    /// A request has come; its first try needs no budget.
    pub(crate) fn deposit(&self, now: Instant) {
        self.window.add(false, now);
    }

    /// Takes one extra try out of the budget, if there is one left.
    #[must_use = "without budget there is no retry"]
    pub(crate) fn withdraw(&self, now: Instant) -> bool {
        let _one_at_a_time = lock(&self.spending);
        let tally = self.window.tally(now);
        let reserve = u64::from(self.options.per_second) * WINDOW.as_secs();
        let allowed = tally.all * u64::from(self.options.percent) / 100 + reserve;
        if tally.marked >= allowed {
            return false;
        }
        self.window.mark(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget() -> (Budget, Instant) {
        let now = Instant::now();
        (Budget::new(BudgetOptions::default(), now), now)
    }

    fn withdrawals(budget: &Budget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_fifth_of_the_requests_and_ten_a_second_may_be_retried() {
        let (budget, now) = budget();
        for _ in 0..1_000 {
            budget.deposit(now);
        }
        assert_eq!(withdrawals(&budget, now), 200 + 100);
        assert_eq!(withdrawals(&budget, now + Duration::from_secs(9)), 0);
        assert_eq!(withdrawals(&budget, now + Duration::from_secs(10)), 100);
    }

    #[test]
    fn retries_of_many_threads_never_overdraw() {
        let (budget, now) = budget();
        let counts: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| withdrawals(&budget, now)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(counts, 100);
    }

    proptest! {
        #[test]
        fn no_ten_seconds_have_more_retries_than_allowed(
            events in prop::collection::vec((0_u64..2_000, 0_u32..200, 0_u32..100), 1..60),
        ) {
            let start = Instant::now();
            let budget = Budget::new(BudgetOptions::percent(20).and_per_second(1), start);
            let mut millis = 0;
            // Second, requests, retries.
            let mut seen: Vec<(u64, u64, u64)> = Vec::new();
            for (step, requests, tries) in events {
                millis += step;
                let now = start + Duration::from_millis(millis);
                (0..requests).for_each(|_| budget.deposit(now));
                let retried = (0..tries).filter(|_| budget.withdraw(now)).count() as u64;
                seen.push((millis / 1_000, requests.into(), retried));
                let recent = seen.iter().filter(|entry| entry.0 + 10 > millis / 1_000);
                let (all, retried) = recent.fold((0, 0), |sum, e| (sum.0 + e.1, sum.1 + e.2));
                // Without a retry now, requests can have left the window against which earlier ones were allowed.
                if seen.last().is_some_and(|entry| entry.2 > 0) {
                    prop_assert!(retried <= all / 5 + 10);
                }
            }
        }
    }
}
