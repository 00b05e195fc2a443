//! The task that checks the endpoints of a cluster.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle, task::JoinSet, time::timeout};

use super::{
    active::{ActiveCheck, CheckOptions},
    check::{CheckTarget, Erased, HealthCheck},
};
use crate::{
    cluster::{Core, rng::Rng},
    connect::Protocol,
    sync::lock,
};

/// The checks of a cluster: how they are made, and the task that makes them.
///
/// The task holds the cluster weakly, and is ended when the cluster is dropped; a check under way is dropped with it. When
/// the runtime that the task is on ends first, the next request begins it anew on another.
#[derive(Debug)]
pub(crate) struct Checks {
    check: Arc<dyn Erased>,
    options: CheckOptions,
    problem: Option<String>,
    running: Arc<AtomicBool>,
    task: Mutex<Option<AbortHandle>>,
}

impl Checks {
    pub(crate) fn new(check: impl HealthCheck) -> Self {
        Self {
            options: check.options(),
            problem: check.problem(),
            check: Arc::new(check),
            running: Arc::default(),
            task: Mutex::default(),
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
        if self.running.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.running.swap(true, Ordering::Relaxed) {
            return;
        }
        // Lives in the task from its first moment, so that a runtime that ends before it is polled counts as well.
        let running = Running(Arc::clone(&self.running));
        let watch = watch(
            Arc::downgrade(core),
            Arc::clone(&self.check),
            self.options.clone(),
            self.targets(core),
        );
        let task = runtime.spawn(async move {
            let _running = running;
            watch.await;
        });
        *lock(&self.task) = Some(task.abort_handle());
    }

    fn targets(&self, core: &Core) -> Vec<CheckTarget> {
        let upstreams = core.upstreams.iter().enumerate();
        upstreams
            .map(|(index, upstream)| CheckTarget {
                endpoint: upstream.endpoint.clone(),
                connector: core.connector(index).cloned(),
                protocol: match upstream.pool.streams() {
                    Some(_) => Protocol::Http2,
                    None => Protocol::Http1,
                },
                limit: self.options.limit(),
            })
            .collect()
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

/// Says that the task is gone, however it ends.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

async fn watch(
    core: Weak<Core>,
    check: Arc<dyn Erased>,
    options: CheckOptions,
    targets: Vec<CheckTarget>,
) {
    // Dropping the set ends all that is in it.
    let mut all = JoinSet::new();
    for (index, target) in targets.into_iter().enumerate() {
        let (core, check, options) = (core.clone(), Arc::clone(&check), options.clone());
        all.spawn(watch_one(core, index, check, options, Arc::new(target)));
    }
    while all.join_next().await.is_some() {}
}

async fn watch_one(
    core: Weak<Core>,
    index: usize,
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
        let result = made(&check, &target, limit).await;
        // Held only for as long as there is something to say.
        let Some(core) = core.upgrade() else { return };
        let changed = state.record(result.is_ok());
        let reason = result.err().unwrap_or_default();
        if !reason.is_empty() {
            core.upstream(index).state.failed(reason.as_str());
        }
        if let Some(verdict) = changed {
            core.checked(index, verdict, &reason);
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
