//! What a store of keys has said, for a while.

use std::{
    error::Error as StdError,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{Key, KeyDigest, KeyStore};
use crate::{auth::turns::Turns, expiring::Expiring, sync::lock};

/// How long a key that was found is kept, and how long it is remembered that there is none.
const FOUND: Duration = Duration::from_mins(1);
const MISSED: Duration = Duration::from_secs(10);

/// The most of each.
const MOST: usize = 10_000;

type Answer = Option<Arc<Key>>;

/// A store that is asked once for a digest, however many requests wait for it.
pub(super) struct Kept<S> {
    store: S,
    found: Mutex<Expiring<KeyDigest, Arc<Key>, Instant>>,
    missed: Mutex<Expiring<KeyDigest, (), Instant>>,
    /// The digests that the store is asked for. The requests that wait find the answer among those above.
    asking: Turns<KeyDigest>,
}

impl<S: KeyStore> Kept<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            found: Mutex::new(Expiring::new(MOST)),
            missed: Mutex::new(Expiring::new(MOST)),
            asking: Turns::default(),
        }
    }

    pub(super) async fn find(
        &self,
        digest: &KeyDigest,
    ) -> Result<Answer, Box<dyn StdError + Send + Sync>> {
        if let Some(answer) = self.known(digest) {
            return Ok(answer);
        }
        let turn = self.asking.queue(*digest);
        let _asks = turn.begin().await;
        if let Some(answer) = self.known(digest) {
            return Ok(answer);
        }
        let answer = self.store.find(digest).await?.map(Arc::new);
        self.keep(*digest, answer.clone());
        Ok(answer)
    }

    /// What is known of the digest.
    fn known(&self, digest: &KeyDigest) -> Option<Answer> {
        let now = Instant::now();
        if let Some(key) = lock(&self.found).get(digest, now) {
            return Some(Some(Arc::clone(key)));
        }
        lock(&self.missed).get(digest, now).map(|()| None)
    }

    fn keep(&self, digest: KeyDigest, answer: Answer) {
        let now = Instant::now();
        if let Some(key) = answer {
            lock(&self.missed).remove(&digest);
            lock(&self.found).insert(digest, key, now + FOUND, now);
        } else {
            lock(&self.found).remove(&digest);
            lock(&self.missed).insert(digest, (), now + MISSED, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[derive(Default)]
    struct Store {
        calls: AtomicUsize,
    }

    impl KeyStore for Arc<Store> {
        async fn find(
            &self,
            digest: &KeyDigest,
        ) -> Result<Option<Key>, Box<dyn StdError + Send + Sync>> {
            self.calls.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if *digest == KeyDigest::of("broken") {
                return Err("down".into());
            }
            Ok((*digest == KeyDigest::of("acme")).then(|| Key::new("acme")))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_serves_all_that_wait_and_is_kept_for_a_while() {
        let store = Arc::new(Store::default());
        let kept = Arc::new(Kept::new(Arc::clone(&store)));
        let asks = |key: &'static str| {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                kept.find(&KeyDigest::of(key))
                    .await
                    .map(|key| key.is_some())
            })
        };
        let all: Vec<_> = (0..9).map(|_| asks("acme")).collect();
        for one in all {
            assert!(one.await.unwrap().unwrap());
        }
        assert_eq!(store.calls.load(SeqCst), 1);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(asks("acme").await.unwrap().unwrap());
        assert_eq!(store.calls.load(SeqCst), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(asks("acme").await.unwrap().unwrap());
        assert_eq!(store.calls.load(SeqCst), 2);
        for (wait, calls) in [(0, 3), (9, 3), (2, 4)] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            assert!(!asks("other").await.unwrap().unwrap());
            assert_eq!(store.calls.load(SeqCst), calls);
        }
        assert!(kept.asking.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_lets_the_next_one_ask_and_a_failure_is_not_kept() {
        let store = Arc::new(Store::default());
        let kept = Arc::new(Kept::new(Arc::clone(&store)));
        let (one, other) = (Arc::clone(&kept), Arc::clone(&kept));
        let first = tokio::spawn(async move { one.find(&KeyDigest::of("acme")).await.is_ok() });
        let second = tokio::spawn(async move { other.find(&KeyDigest::of("acme")).await.is_ok() });
        tokio::task::yield_now().await;
        first.abort();
        assert!(second.await.unwrap());
        for calls in [3, 4] {
            assert!(kept.find(&KeyDigest::of("broken")).await.is_err());
            assert_eq!(store.calls.load(SeqCst), calls);
        }
        assert!(kept.asking.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_do_not_push_known_ones_out() {
        let store = Arc::new(Store::default());
        let kept = Kept::new(Arc::clone(&store));
        assert!(kept.find(&KeyDigest::of("acme")).await.unwrap().is_some());
        for number in 0..MOST + 100 {
            kept.keep(KeyDigest::of(&number.to_string()), None);
        }
        assert_eq!(lock(&kept.missed).len(), MOST);
        assert_eq!(store.calls.load(SeqCst), 1);
        assert!(kept.find(&KeyDigest::of("acme")).await.unwrap().is_some());
        assert_eq!(store.calls.load(SeqCst), 1);
    }
}
