//! The task that checks the endpoints of a cluster.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch::Receiver,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::{
    active::{ActiveCheck, CheckOptions},
    check::{CheckTarget, Erased, HealthCheck},
};
use crate::{
    cluster::{Core, Upstream, background::Background, rng::Rng},
    time::standstill,
};

/// The checks of a cluster: how they are made, and the task that makes them.
///
/// A check under way is dropped with the task.
#[derive(Debug)]
pub(crate) struct Checks {
    check: Arc<dyn Erased>,
    options: CheckOptions,
    problem: Option<String>,
    background: Background,
}

impl Checks {
    pub(crate) fn new(check: impl HealthCheck) -> Self {
        Self {
            options: check.options(),
            problem: check.problem(),
            check: Arc::new(check),
            background: Background::default(),
        }
    }

    /// What is wrong with the check as it is written, for endpoints that are spoken to in HTTP/2 or not.
    pub(crate) fn problem(&self, http2: bool) -> Option<String> {
        let unspoken = self.options.is_over_http2() && !http2;
        self.problem.clone().or_else(|| {
            unspoken.then(|| "this check is made over HTTP/2: write `.http2()` too".into())
        })
    }

    /// Begins, unless it is running already, or no runtime is here to run it.
    pub(crate) fn start(&self, core: &Arc<Core>) {
        self.background.start(|| {
            let check = Arc::clone(&self.check);
            watch(
                Arc::downgrade(core),
                check,
                self.options.clone(),
                core.sets(),
            )
        });
    }
}

/// Checks all endpoints, and follows them as they come and go.
async fn watch(
    core: Weak<Core>,
    check: Arc<dyn Erased>,
    options: CheckOptions,
    mut sets: Option<Receiver<u64>>,
) {
    // Dropping the set ends all that is in it.
    let mut all = JoinSet::new();
    let mut watched: HashMap<usize, (Weak<Upstream>, AbortHandle)> = HashMap::new();
    loop {
        let Some(members) = core.upgrade().map(|core| core.members()) else {
            return;
        };
        watched.retain(|&index, (upstream, task)| {
            let known = members.find(index).map(Arc::as_ptr);
            let stays = known == Some(upstream.as_ptr());
            if !stays {
                task.abort();
            }
            stays
        });
        for upstream in members.iter() {
            watched.entry(upstream.index()).or_insert_with(|| {
                let (core, check, options) = (core.clone(), Arc::clone(&check), options.clone());
                let target = Arc::new(target(upstream, &options));
                let known = Arc::downgrade(upstream);
                let task = all.spawn(watch_one(core, known.clone(), check, options, target));
                (known, task)
            });
        }
        drop(members);
        while all.try_join_next().is_some() {}
        let Some(sets) = &mut sets else { break };
        if sets.changed().await.is_err() {
            return;
        }
    }
    while all.join_next().await.is_some() {}
}

fn target(upstream: &Upstream, options: &CheckOptions) -> CheckTarget {
    CheckTarget {
        endpoint: upstream.endpoint.clone(),
        way: upstream.way.clone(),
        limit: options.limit(),
        token: upstream.token().cloned(),
    }
}

async fn watch_one(
    core: Weak<Core>,
    upstream: Weak<Upstream>,
    check: Arc<dyn Erased>,
    options: CheckOptions,
    target: Arc<CheckTarget>,
) {
    let limit = options.limit();
    let mut state = ActiveCheck::new(options);
    loop {
        let wait = Rng::with_local(|rng| state.wait(rng));
        if wait > Duration::ZERO {
            tokio::time::sleep(wait).await;
        }
        // A check that stood still tells of this process alone, and is made anew.
        let result = loop {
            if let (result, false) = standstill::watched(made(&check, &target, limit)).await {
                break result;
            }
        };
        // Held only for as long as there is something to say.
        let (Some(core), Some(upstream)) = (core.upgrade(), upstream.upgrade()) else {
            return;
        };
        let changed = state.record(result.is_ok());
        let reason = result.err().unwrap_or_default();
        if !reason.is_empty() {
            upstream.state.failed(reason.as_str());
        }
        if let Some(verdict) = changed {
            core.checked(&upstream, verdict, &reason);
        }
    }
}

/// One check, in a task of its own, so that a panic in it is a failure of the check and not the end of all checks.
async fn made(
    check: &Arc<dyn Erased>,
    target: &Arc<CheckTarget>,
    limit: Duration,
) -> Result<(), String> {
    let (check, target) = (Arc::clone(check), Arc::clone(target));
    let mut task = JoinSet::new();
    task.spawn(async move { check.erased(&target).await });
    match timeout(limit, task.join_next()).await {
        Ok(Some(Ok(result))) => result.map_err(|reason| {
            if reason.is_empty() {
                "the check failed".into()
            } else {
                reason
            }
        }),
        Ok(_) => Err("the check panicked".into()),
        Err(_) => Err("the check took too long".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::cluster::{CheckOptions, upstream};

    /// Fails, and at first because the process is stopped.
    #[derive(Clone, Debug, Default)]
    struct Stopped(Arc<AtomicUsize>);

    impl HealthCheck for Stopped {
        async fn check(&self, _: &CheckTarget) -> Result<(), String> {
            match self.0.fetch_add(1, SeqCst) {
                0 | 3 => Ok(()),
                // Its time is over, or it fails, when the process goes on.
                1 => {
                    advance(Duration::from_mins(1)).await;
                    std::future::pending().await
                }
                2 => {
                    advance(Duration::from_secs(3)).await;
                    Err("reset".into())
                }
                _ => Err("it is down".into()),
            }
        }

        fn options(&self) -> CheckOptions {
            CheckOptions::new().fall(1)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_stood_still_says_nothing_and_is_made_anew() {
        let check = Stopped::default();
        let cluster = upstream("http://127.0.0.1:1").health(check.clone());
        let cluster = cluster.build("users").unwrap();
        cluster.core().start();
        while check.0.load(SeqCst) < 4 {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(cluster.counters().unhealthy, 0);
        let state = cluster.endpoints().next().unwrap();
        assert!(state.last_error().is_none(), "{state:?}");
        while cluster.counters().unhealthy == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(check.0.load(SeqCst), 5);
    }
}
