//! What happens often and is told once in a while.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::sync::lock;

/// How long something stays untold after it was told.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts what happens, and says when it is time to tell it.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// It has happened once more. If it is to be told now, how often it has happened since it was told last.
    pub(crate) fn again(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = lock(&self.0);
        state.untold += 1;
        if state.told.is_some_and(|told| now < told + PAUSE) {
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_not_told_is_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.again(), Some(1));
        assert_eq!(seldom.again(), None);
        assert_eq!(seldom.again(), None);
        tokio::time::advance(PAUSE).await;
        assert_eq!(seldom.again(), Some(3));
        assert_eq!(seldom.again(), None);
    }
}
