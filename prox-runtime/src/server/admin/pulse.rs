//! Whether each worker still runs its tasks.
//!
//! A handler that blocks its thread holds up all that the worker does. A ping finds that out: it is a task of the worker, which is
//! woken when somebody asks and not before, so that a process that was stopped for a while is not taken for an ill one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::sync::lock;

/// How long a worker may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The workers of one server.
#[derive(Debug)]
pub(in crate::server) struct Workers {
    /// How many there are to be.
    count: usize,
    known: Mutex<Vec<Worker>>,
}

#[derive(Clone, Debug)]
struct Worker {
    number: usize,
    asked: Arc<Notify>,
    answered: watch::Receiver<()>,
    ended: Arc<AtomicBool>,
}

/// Whether the workers answer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Pulse {
    Starting,
    Fine,
    /// The number of the first that does not answer.
    Silent(usize),
}

/// A worker that answers pings until it [ends](Self::end). One that is dropped before has failed, and does not answer any more.
#[derive(Debug)]
pub(in crate::server) struct Beating {
    task: JoinHandle<()>,
    ended: Arc<AtomicBool>,
}

impl Workers {
    pub(in crate::server) fn new(count: usize) -> Self {
        Self {
            count,
            known: Mutex::default(),
        }
    }

    /// The worker of this number runs here. The runtime must be entered.
    pub(in crate::server) fn join(&self, number: usize) -> Beating {
        let (answers, answered) = watch::channel(());
        let (asked, ended) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        lock(&self.known).push(Worker {
            number,
            asked: Arc::clone(&asked),
            answered,
            ended: Arc::clone(&ended),
        });
        let task = tokio::spawn(async move {
            loop {
                asked.notified().await;
                answers.send_replace(());
            }
        });
        Beating { task, ended }
    }

    /// Whether all of them have begun to serve.
    pub(super) fn are_there(&self) -> bool {
        lock(&self.known).len() >= self.count
    }

    /// Asks each of them, and waits for the answers.
    pub(in crate::server) async fn pulse(&self) -> Pulse {
        if !self.are_there() {
            return Pulse::Starting;
        }
        let mut asked = lock(&self.known).clone();
        asked.retain(|worker| !worker.ended.load(Relaxed));
        for worker in &mut asked {
            worker.answered.mark_unchanged();
            worker.asked.notify_one();
        }
        let end = Instant::now() + PATIENCE;
        for worker in &mut asked {
            let answer = tokio::time::timeout_at(end, worker.answered.changed()).await;
            // A worker that has ended in the meantime owes no answer.
            if !matches!(answer, Ok(Ok(()))) && !worker.ended.load(Relaxed) {
                return Pulse::Silent(worker.number);
            }
        }
        Pulse::Fine
    }
}

impl Beating {
    /// The worker has done its work.
    pub(in crate::server) fn end(self) {
        self.ended.store(true, Relaxed);
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_workers_have_to_be_there() {
        let workers = Workers::new(2);
        assert_eq!(workers.pulse().await, Pulse::Starting);
        let one = workers.join(0);
        assert_eq!(workers.pulse().await, Pulse::Starting);
        let _other = workers.join(1);
        assert_eq!(workers.pulse().await, Pulse::Fine);
        one.end();
        assert_eq!(workers.pulse().await, Pulse::Fine, "one has done its work");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_failed_is_named() {
        let workers = Workers::new(2);
        let _one = workers.join(0);
        drop(workers.join(1));
        let began = Instant::now();
        assert_eq!(workers.pulse().await, Pulse::Silent(1));
        assert!(began.elapsed() <= PATIENCE);
    }

    #[tokio::test]
    async fn a_worker_whose_thread_is_blocked_is_named_and_others_wait_no_longer_for_it() {
        let workers = Arc::new(Workers::new(2));
        let _own = workers.join(0);
        let (release, blocked) = mpsc::channel::<()>();
        let theirs = Arc::clone(&workers);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                let beating = theirs.join(1);
                // It blocks the thread of the runtime.
                let _ = blocked.recv();
                beating.end();
            });
        });
        while !workers.are_there() {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            assert_eq!(workers.pulse().await, Pulse::Silent(1));
        }
        drop(release);
        thread.join().unwrap();
        assert_eq!(workers.pulse().await, Pulse::Fine);
    }
}
