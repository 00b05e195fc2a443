//! The thread beside the workers: for the admin listener, the export of traces, or both.

use std::{
    future::Future,
    pin::Pin,
    thread::{self, JoinHandle},
};

use tokio::{runtime::Runtime, sync::oneshot};

use super::{
    admin,
    handover::{Begin, Sockets},
    traces,
    workers::runtime,
};
use crate::{
    error::{Error, Result},
    handler::Dispatch,
};

/// The name of the thread.
const THREAD: &str = "prox-ops";

/// Work that the thread does until it is told to end.
pub(super) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread that has begun.
#[derive(Debug)]
pub(super) struct Thread {
    ended: oneshot::Receiver<()>,
    handle: JoinHandle<()>,
}

impl Thread {
    /// Starts one that does this with a runtime of its own.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(super) fn start(work: impl FnOnce(Result<Runtime>) + Send + 'static) -> Result<Self> {
        let (ends, ended) = oneshot::channel();
        let handle = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || {
                // Dropped at the end, whatever the end is.
                let _ends = ends;
                work(runtime());
            })
            .map_err(|error| Error::io("cannot start the thread `prox-ops`", error))?;
        Ok(Self { ended, handle })
    }

    /// Waits for its end.
    async fn end(self) {
        // The sender is dropped with the thread.
        let _ = self.ended.await;
        // The thread has nothing left to do.
        if self.handle.join().is_err() {
            tracing::error!(target: "prox", "the thread `prox-ops` panicked");
        }
    }
}

/// What runs beside the workers.
#[derive(Debug)]
pub(super) struct Ops {
    admin: Option<admin::Running>,
    traces: Option<traces::Running>,
    thread: Option<Thread>,
}

impl Ops {
    /// Starts what there is, on one thread. `workers` is the number of workers. At a socket of another process the admin
    /// listener accepts from `begin` on.
    ///
    /// # Errors
    ///
    /// When the admin listener cannot listen, or the thread cannot be started.
    pub(super) fn start<G: Dispatch>(
        admin: Option<(admin::Settled, admin::Config)>,
        traces: Option<traces::Settled>,
        gateway: &G,
        workers: usize,
        sockets: &mut Sockets,
        begin: &Begin,
    ) -> Result<Self> {
        let (job, traces) = traces.map(traces::Settled::start).unzip();
        let (admin, thread) = match (admin, job) {
            (Some((admin, config)), job) => {
                let gateway = gateway.clone();
                let (running, thread) =
                    admin.start(gateway, config, workers, job, sockets, begin)?;
                (Some(running), Some(thread))
            }
            (None, Some(job)) => {
                let thread = Thread::start(|runtime| match runtime {
                    Ok(runtime) => {
                        runtime.block_on(job);
                        // A provider of the user's own may still block.
                        runtime.shutdown_background();
                    }
                    Err(error) => {
                        tracing::error!(target: "prox", %error, "traces are not exported");
                    }
                });
                (None, Some(thread?))
            }
            (None, None) => (None, None),
        };
        Ok(Self {
            admin,
            traces,
            thread,
        })
    }

    /// The admin listener, if there is one.
    pub(super) fn admin(&self) -> Option<&admin::Running> {
        self.admin.as_ref()
    }

    /// Ends all of it, and waits until sockets are closed and spans are exported.
    pub(super) async fn end(mut self) {
        self.traces = None;
        self.admin = None;
        if let Some(thread) = self.thread {
            thread.end().await;
        }
    }
}
