//! How long a store may take, and when it is not asked any more.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::error::BoxError;

/// The time limit of a store.
const LIMIT: Duration = Duration::from_millis(50);

/// How many failures in a row open the breaker.
const FAILURES: u32 = 5;

/// How long it is open.
const OPEN: Duration = Duration::from_secs(1);

/// The time limit of a [`LimitStore`](super::LimitStore), and its breaker. Clones are the same one.
///
/// A store that does not answer within 50 ms has failed. After 5 failures in a row it is not asked for 1 s; then one request asks
/// it again, and the others go on without it until it has answered.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::time::Duration;
///
/// use prox::middleware::StoreGuard;
///
/// let guard = StoreGuard::new().timeout(Duration::from_millis(20));
/// # let _ = guard;
/// ```
#[derive(Clone)]
pub struct StoreGuard {
    limit: Duration,
    breaker: Arc<Breaker>,
}

struct Breaker {
    started: Instant,
    failures: AtomicU32,
    /// Until when it is open, in milliseconds after the start; 0 when it is closed.
    open: AtomicU64,
}

/// Why nothing is known.
#[derive(Debug)]
pub(crate) struct Down;

impl StoreGuard {
    /// The guard of a new store.
    pub fn new() -> Self {
        Self {
            limit: LIMIT,
            breaker: Arc::new(Breaker {
                started: Instant::now(),
                failures: AtomicU32::new(0),
                open: AtomicU64::new(0),
            }),
        }
    }

    /// How long a request waits for the store at most; 50 ms by default.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Asks, if the breaker lets it, and for no longer than the limit.
    pub(crate) async fn run<T>(
        &self,
        limit: &str,
        ask: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, Down> {
        if !self.breaker.enter() {
            return Err(Down);
        }
        let reason = match timeout(self.limit, ask).await {
            Ok(Ok(answer)) => {
                self.breaker.succeeded(limit);
                return Ok(answer);
            }
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} ms", self.limit.as_millis()).into(),
        };
        self.breaker.failed(limit, &reason);
        Err(Down)
    }
}

impl Breaker {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the store may be asked. When the time of an open breaker is over, it is open again for all but one.
    fn enter(&self) -> bool {
        let open = self.open.load(Relaxed);
        if open == 0 {
            return true;
        }
        let now = self.now();
        let next = now + OPEN.as_secs() * 1000;
        now >= open
            && self
                .open
                .compare_exchange(open, next, Relaxed, Relaxed)
                .is_ok()
    }

    fn succeeded(&self, limit: &str) {
        // Read first: what is not written stays in every core's cache.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.open.load(Relaxed) != 0 && self.open.swap(0, Relaxed) != 0 {
            tracing::info!(target: "prox", limit, "the store of limits answers again");
        }
    }

    fn failed(&self, limit: &str, reason: &BoxError) {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < FAILURES {
            return;
        }
        let until = self.now() + OPEN.as_secs() * 1000;
        if self.open.swap(until, Relaxed) == 0 {
            tracing::warn!(target: "prox", limit, %reason, "the store of limits does not answer");
        }
    }
}

impl Default for StoreGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StoreGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreGuard")
            .field("timeout", &self.limit)
            .field("failures", &self.breaker.failures)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_is_asked_once_in_a_second_until_it_answers() {
        let guard = StoreGuard::new();
        let asked = AtomicU32::new(0);
        let ask = async |fails: bool| {
            let answer = async {
                asked.fetch_add(1, Relaxed);
                if fails {
                    Err("it is gone".into())
                } else {
                    Ok(())
                }
            };
            guard.run("api", answer).await.is_ok()
        };
        for _ in 0..100 {
            assert!(!ask(true).await);
        }
        assert_eq!(asked.load(Relaxed), 5);
        advance(Duration::from_millis(999)).await;
        assert!(!ask(false).await);
        advance(Duration::from_millis(1)).await;
        // One is let through, and the others are not, although it has not ended.
        let slow = guard.run("api", async {
            sleep(Duration::from_millis(10)).await;
            Ok(())
        });
        let (slow, other) = tokio::join!(slow, ask(false));
        assert!(slow.is_ok() && !other);
        assert_eq!(asked.load(Relaxed), 5);
        assert!(ask(false).await);
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_waits_longer_than_the_limit() {
        let guard = StoreGuard::new().timeout(Duration::from_millis(20));
        for waited in [20, 20, 20, 20, 20, 0, 0] {
            let start = Instant::now();
            assert!(guard.run("api", pending::<Result<(), _>>()).await.is_err());
            assert_eq!(start.elapsed(), Duration::from_millis(waited));
        }
        // One that leaves while it tries again is not the last to try.
        advance(OPEN).await;
        drop(guard.run("api", pending::<Result<(), _>>()));
        advance(OPEN).await;
        assert!(guard.run("api", ready(Ok(()))).await.is_ok());
    }
}
