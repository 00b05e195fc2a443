//! Counts of what a server refuses before it is a request, by reason.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::observe::{Refusal, Refused};

/// How many refusals for one reason are told in a second; the others are counted.
const TOLD: u64 = 10;

#[derive(Debug, Default)]
pub(super) struct Refusals([Count; Refusal::ALL.len()]);

/// The refusals for one reason.
#[derive(Debug, Default)]
struct Count {
    all: AtomicU64,
    second: AtomicU64,
    /// In that second.
    told: AtomicU64,
    untold: AtomicU64,
}

impl Refusals {
    /// How many there were for this reason.
    pub(super) fn count(&self, reason: Refusal) -> u64 {
        self.of(reason).map_or(0, |count| count.all.load(Relaxed))
    }

    fn of(&self, reason: Refusal) -> Option<&Count> {
        let place = Refusal::ALL.iter().position(|&known| known == reason)?;
        self.0.get(place)
    }

    /// Counts a refusal, and tells it.
    pub(super) fn add(&self, refused: &Refused) {
        let Some(untold) = self.of(refused.reason()).and_then(Count::add) else {
            return;
        };
        // That has an event of its own.
        if refused.reason() == Refusal::Flood {
            return;
        }
        tracing::info!(
            target: "prox",
            reason = refused.reason().name(),
            client = refused.client_ip().map(tracing::field::display),
            status = refused.answer().map(|status| status.as_u16()),
            detail = refused.details(),
            untold,
            "refused before the gateway"
        );
    }
}

impl Count {
    /// One more; if it is to be told, how many were not told since the last that was.
    fn add(&self) -> Option<u64> {
        self.all.fetch_add(1, Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        if self.second.swap(now, Relaxed) != now {
            self.told.store(0, Relaxed);
        }
        if self.told.fetch_add(1, Relaxed) < TOLD {
            return Some(self.untold.swap(0, Relaxed));
        }
        self.untold.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_some_are_told() {
        let count = Count::default();
        let told = (0..1000).filter(|_| count.add().is_some()).count() as u64;
        assert_eq!(count.all.load(Relaxed), 1000);
        // The test takes less than ten seconds.
        assert!((TOLD..=10 * TOLD).contains(&told), "{told}");
    }
}
