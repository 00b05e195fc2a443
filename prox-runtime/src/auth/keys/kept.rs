//! What a store of keys has said, for a while.

use std::{sync::Arc, time::Duration};

use super::{Key, KeyDigest, KeyStore};
use crate::auth::answers::{Answers, Unanswered};

/// How long a key that was found is kept.
const FOUND: Duration = Duration::from_mins(1);

/// The most keys, and the most digests without one.
const MOST: usize = 10_000;

/// A store that is asked once for a digest, however many requests wait for it.
pub(super) struct Kept<S> {
    store: S,
    answers: Answers<KeyDigest, Key>,
}

impl<S: KeyStore> Kept<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            answers: Answers::new(MOST),
        }
    }

    pub(super) async fn find(&self, digest: &KeyDigest) -> Result<Option<Arc<Key>>, Unanswered> {
        let ask = || async {
            let found = self.store.find(digest).await;
            found.map_err(|error| {
                tracing::warn!(target: "prox", %error, "a store of keys has failed");
                Unanswered
            })
        };
        self.answers.find(*digest, FOUND, ask).await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error as StdError,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use tokio::time::Instant;

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
        assert!(kept.answers.is_quiet());
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
        assert!(kept.answers.is_quiet());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_one_for_all_that_wait() {
        let store = Arc::new(Store::default());
        let kept = Arc::new(Kept::new(Arc::clone(&store)));
        let began = Instant::now();
        let all: Vec<_> = (0..20)
            .map(|_| {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move { kept.find(&KeyDigest::of("broken")).await.is_err() })
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap());
        }
        let calls = store.calls.load(SeqCst);
        assert_eq!((calls, began.elapsed()), (1, Duration::from_secs(1)));
        assert!(kept.answers.is_quiet());
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_do_not_push_known_ones_out() {
        let store = Arc::new(Store::default());
        let kept = Kept::new(Arc::clone(&store));
        assert!(kept.find(&KeyDigest::of("acme")).await.unwrap().is_some());
        for number in 0..MOST + 100 {
            let digest = KeyDigest::of(&number.to_string());
            kept.answers.keep(digest, None, FOUND);
        }
        assert_eq!(kept.answers.missed(), MOST);
        assert_eq!(store.calls.load(SeqCst), 1);
        assert!(kept.find(&KeyDigest::of("acme")).await.unwrap().is_some());
        assert_eq!(store.calls.load(SeqCst), 1);
    }
}
