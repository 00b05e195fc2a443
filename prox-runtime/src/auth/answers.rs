//! Answers of stores and issuers about credentials, kept for a while.
//!
//! `tests/loom` runs this file under a model checker, with mutexes of its own.

use std::{hash::Hash, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::turns::Turns;
use crate::{
    expiring::Expiring,
    sync::{Mutex, lock},
};

/// How long an answer without a value is kept.
const MISSED: Duration = Duration::from_secs(10);

/// The value of a key, if it has one.
type Answer<V> = Option<Arc<V>>;

/// A question was not answered. The request that asked has logged why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unanswered;

/// Answers by key. Of many requests that need the same answer one asks, and the others wait for it.
///
/// Keys with a value and keys without one have room of their own, so made-up keys do not push known ones out.
pub(super) struct Answers<K, V> {
    found: Mutex<Expiring<K, Arc<V>, Instant>>,
    missed: Mutex<Expiring<K, (), Instant>>,
    /// The keys that are asked about. A request whose question fails leaves that for those that wait.
    asking: Turns<K, bool>,
}

impl<K: Copy + Eq + Hash, V> Answers<K, V> {
    /// Keeps at most `most` keys with a value, and as many without one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            found: Mutex::new(Expiring::new(most)),
            missed: Mutex::new(Expiring::new(most)),
            asking: Turns::default(),
        }
    }

    /// The answer that is kept, else what `ask` makes of it. A value is kept for `time`.
    ///
    /// # Errors
    ///
    /// If the question fails. A request that waited for the question of another one fails with it. A failure is not kept.
    ///
    /// # Cancel safety
    ///
    /// If the client of the request that asks leaves, the next request asks.
    pub(super) async fn find<F>(
        &self,
        key: K,
        time: Duration,
        ask: impl FnOnce() -> F,
    ) -> Result<Answer<V>, Unanswered>
    where
        F: Future<Output = Result<Option<V>, Unanswered>>,
    {
        if let Some(answer) = self.known(&key) {
            return Ok(answer);
        }
        let turn = self.asking.queue(key);
        let mut failed = turn.begin().await;
        if let Some(answer) = self.known(&key) {
            return Ok(answer);
        }
        if *failed {
            return Err(Unanswered);
        }
        let answer = ask().await;
        *failed = answer.is_err();
        let answer = answer?.map(Arc::new);
        self.keep(key, answer.clone(), time);
        Ok(answer)
    }

    /// What is known of the key, if anything is.
    fn known(&self, key: &K) -> Option<Answer<V>> {
        let now = Instant::now();
        if let Some(value) = lock(&self.found).get(key, now) {
            return Some(Some(Arc::clone(value)));
        }
        lock(&self.missed).get(key, now).map(|()| None)
    }

    /// Keeps an answer: a value for `time`, and that there is none for 10 s.
    pub(super) fn keep(&self, key: K, answer: Answer<V>, time: Duration) {
        let now = Instant::now();
        match answer {
            Some(value) if !time.is_zero() => {
                lock(&self.missed).remove(&key);
                lock(&self.found).insert(key, value, now + time, now);
            }
            Some(_) => {}
            None => {
                lock(&self.found).remove(&key);
                lock(&self.missed).insert(key, (), now + MISSED, now);
            }
        }
    }
}

#[cfg(test)]
impl<K: Copy + Eq + Hash, V> Answers<K, V> {
    /// Whether no question is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.asking.is_empty()
    }

    /// How many keys are remembered to have no value.
    pub(super) fn missed(&self) -> usize {
        lock(&self.missed).len()
    }
}
