//! A task that a cluster or a gateway has beside its requests.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{runtime::Handle, task::AbortHandle};

use crate::sync::lock;

/// Where such a task is kept: there is one at a time, and it ends with this.
///
/// The task holds its owner weakly, so that it ends with it. When the runtime that it is on ends first, the next request
/// begins it anew on another.
#[derive(Debug, Default)]
pub(crate) struct Background {
    running: Arc<AtomicBool>,
    task: Mutex<Option<AbortHandle>>,
}

impl Background {
    /// Whether its task is there, on a runtime that has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Begins with what `work` returns, unless it is running already, or no runtime is here to run it. Says whether it has
    /// begun now.
    pub(crate) fn start<F>(&self, work: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.is_running() {
            return false;
        }
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        if self.running.swap(true, Ordering::Relaxed) {
            return false;
        }
        // Lives in the task from its first moment, so that a runtime that ends before it is polled counts as well.
        let running = Running(Arc::clone(&self.running));
        let work = work();
        let task = runtime.spawn(async move {
            let _running = running;
            work.await;
        });
        *lock(&self.task) = Some(task.abort_handle());
        true
    }
}

impl Drop for Background {
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
