//! A share of the requests of one backend that another one gets as well, and who is at work on them.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use super::{Cluster, RetryOptions, rng::Rng};
use crate::{sync::lock, time::FOREVER};

/// How much of the requests a second backend gets as well: `.mirror(canary, 0.1)`, or
/// `.mirror(canary, MirrorOptions::new(0.1).at_once(16))`.
///
/// | what | default |
/// |---|---|
/// | copies under way at a time | 64; beyond that a request is not copied |
/// | time for a copy, its answer included | 10 s |
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::MirrorOptions;
/// use std::time::Duration;
///
/// let options = MirrorOptions::new(0.1).at_once(16).timeout(Duration::from_secs(2));
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MirrorOptions {
    share: f64,
    at_once: usize,
    timeout: Duration,
}

impl MirrorOptions {
    /// Copies this share of the requests: from 0.0, none, to 1.0, all. With any other number, the gateway does not start.
    pub fn new(share: f64) -> Self {
        Self {
            share,
            at_once: 64,
            timeout: Duration::from_secs(10),
        }
    }

    /// Has at most so many copies under way at a time, for all workers together; 64 by default.
    #[must_use]
    pub fn at_once(mut self, copies: usize) -> Self {
        self.at_once = copies;
        self
    }

    /// Gives a copy up, its answer included, after so long; 10 s by default.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit.min(FOREVER);
        self
    }

    fn problem(&self) -> Option<String> {
        let right = (0.0..=1.0).contains(&self.share);
        (!right).then(|| {
            format!(
                "`.mirror(.., {})` is no share of the requests: write one from 0.0 to 1.0",
                self.share
            )
        })
    }

    /// Whether a request is copied, by 53 random bits.
    fn draws(&self, rng: &Rng) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let drawn = (rng.next() >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < self.share
    }
}

impl From<f64> for MirrorOptions {
    fn from(share: f64) -> Self {
        Self::new(share)
    }
}

/// The second backend, and the copies that are on their way to it.
///
/// They end when the last handle that mirrors does, hence with the gateway.
#[derive(Debug)]
pub(crate) struct Mirror {
    cluster: Cluster,
    options: MirrorOptions,
    copies: Mutex<JoinSet<()>>,
}

impl Mirror {
    pub(super) fn new(mut cluster: Cluster, options: MirrorOptions) -> Arc<Self> {
        // A copy is no request that anybody waits for, and what mirrors in a circle would never end.
        cluster.policy.retry = RetryOptions::default();
        cluster.policy.mirrors = Vec::new();
        cluster.policy.hedge = None;
        Arc::new(Self {
            cluster,
            options,
            copies: Mutex::default(),
        })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Whether it is the mirror of this cluster, by whatever handle.
    pub(super) fn is_to(&self, cluster: &Cluster) -> bool {
        Arc::ptr_eq(self.cluster.core(), cluster.core())
    }

    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        self.options.problem()
    }

    /// Whether this request is one of those that are copied.
    pub(crate) fn draws(&self) -> bool {
        Rng::with_local(|rng| self.options.draws(rng))
    }

    /// Sends a copy beside everything else; false when there are too many already, or nobody is here to do it.
    pub(crate) fn begin(&self, copy: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let mut copies = lock(&self.copies);
        while copies.try_join_next().is_some() {}
        if copies.len() >= self.options.at_once {
            return false;
        }
        let limit = self.options.timeout;
        copies.spawn_on(
            async move {
                // Nobody asks how it ended.
                let _ = timeout(limit, copy).await;
            },
            &runtime,
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::cluster::upstream;

    fn mirror(options: MirrorOptions) -> Arc<Mirror> {
        Mirror::new(upstream("http://a").build("canary").unwrap(), options)
    }

    #[test]
    fn a_tenth_is_a_tenth() {
        let (rng, options) = (Rng::seeded(1), MirrorOptions::new(0.1));
        let drawn = (0..100_000).filter(|_| options.draws(&rng)).count();
        assert!(drawn.abs_diff(10_000) < 400, "{drawn}");
        assert!((0..1000).all(|_| MirrorOptions::new(1.0).draws(&rng)));
        assert!(!(0..1000).any(|_| MirrorOptions::new(0.0).draws(&rng)));
    }

    #[test]
    fn a_share_is_from_none_to_all() {
        for wrong in [-0.1, 1.01, 10.0, f64::NAN, f64::INFINITY] {
            assert!(MirrorOptions::new(wrong).problem().is_some(), "{wrong}");
        }
        for right in [0.0, 0.1, 1.0] {
            assert_eq!(MirrorOptions::new(right).problem(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_under_way_and_each_for_so_long() {
        let limit = Duration::from_secs(2);
        let mirror = mirror(MirrorOptions::new(1.0).at_once(2).timeout(limit));
        assert!(mirror.begin(pending()) && mirror.begin(pending()));
        assert!(!mirror.begin(pending()));
        tokio::time::sleep(limit + Duration::from_millis(1)).await;
        assert!(mirror.begin(pending()));
    }

    #[tokio::test]
    async fn what_is_under_way_ends_with_the_mirror() {
        let (held, mirror) = (Arc::new(()), mirror(MirrorOptions::new(1.0)));
        let inside = Arc::clone(&held);
        assert!(mirror.begin(async move {
            pending::<()>().await;
            drop(inside);
        }));
        drop(mirror);
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
