//! The workers of a server, as metrics show them: how busy each is, and how soon it answers.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    metrics::{Measured, Samples, WORKER_BUSY, WORKER_PING, WORKER_TASKS},
    sync::lock,
};

/// How long a scrape waits for the answers. A worker that takes longer is shown with the time for which it has owed its answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The workers of one server.
#[derive(Debug, Default)]
pub(super) struct Crew(Mutex<Vec<Arc<Worker>>>);

#[derive(Debug)]
struct Worker {
    number: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Nothing once the worker has ended.
    runtime: Option<Handle>,
    /// What it was busy until it ended.
    busy: Duration,
    /// When it was sent the ping that it has not answered.
    asked: Option<Instant>,
    /// How long it took to answer the last ping.
    took: Option<Duration>,
}

/// A worker of a crew, until it is dropped.
#[derive(Debug)]
pub(super) struct Member(Arc<Worker>);

impl Crew {
    /// The worker of this number runs here. The runtime must be entered.
    pub(super) fn join(&self, number: usize) -> Member {
        let state = State {
            runtime: Some(Handle::current()),
            busy: Duration::ZERO,
            asked: None,
            took: None,
        };
        let worker = Arc::new(Worker {
            number,
            state: Mutex::new(state),
        });
        lock(&self.0).push(Arc::clone(&worker));
        Member(worker)
    }

    fn workers(&self) -> Vec<Arc<Worker>> {
        lock(&self.0).clone()
    }

    /// Asks each worker, and waits for the answers.
    async fn ping(&self) {
        let end = Instant::now() + PATIENCE;
        let pings: Vec<_> = self.workers().iter().filter_map(Worker::ping).collect();
        for ping in pings {
            // One that is late is answered later, and one that never comes is shown as that.
            let _ = timeout_at(end, ping).await;
        }
    }
}

impl Worker {
    /// Sends a ping, unless one is under way: so a worker that is blocked gets at most one.
    fn ping(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        let mut state = lock(&self.state);
        let runtime = state.runtime.clone().filter(|_| state.asked.is_none())?;
        state.asked = Some(Instant::now());
        drop(state);
        let worker = Arc::clone(self);
        Some(runtime.spawn(async move {
            let mut state = lock(&worker.state);
            state.took = state.asked.take().map(|asked| asked.elapsed());
        }))
    }
}

fn busy(runtime: &Handle) -> Duration {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum()
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if let Some(runtime) = state.runtime.take() {
            state.busy = busy(&runtime);
        }
    }
}

impl Measured for Crew {
    fn measure(&self, samples: &mut Samples) {
        for worker in self.workers() {
            let number = worker.number.to_string();
            let labels = [("worker", &*number)];
            let state = lock(&worker.state);
            let Some(runtime) = &state.runtime else {
                samples.add(&WORKER_BUSY, &labels, state.busy.as_secs_f64());
                continue;
            };
            samples.add(&WORKER_BUSY, &labels, busy(runtime).as_secs_f64());
            samples.add(&WORKER_TASKS, &labels, runtime.metrics().num_alive_tasks());
            let owed = state.asked.map(|asked| asked.elapsed());
            if let Some(ping) = owed.or(state.took) {
                samples.add(&WORKER_PING, &labels, ping.as_secs_f64());
            }
        }
    }

    fn prepare(self: Arc<Self>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        Some(Box::pin(async move { self.ping().await }))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;
    use crate::metrics::Format;

    fn value(crew: &Crew, name: &str, worker: &str) -> Option<f64> {
        let mut samples = Samples::default();
        crew.measure(&mut samples);
        let text = samples.write(Format::Text);
        let name = format!("{name}{{worker=\"{worker}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name))?;
        Some(value.parse().unwrap())
    }

    #[tokio::test]
    async fn a_blocked_worker_owes_its_answer_longer_and_longer() {
        let crew = Arc::new(Crew::default());
        let own = crew.join(0);
        let (release, blocked) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let theirs = Arc::clone(&crew);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async {
                let member = theirs.join(1);
                ready.send(()).unwrap();
                // It blocks the thread of the runtime.
                let _ = blocked.recv();
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                member
            })
        });
        is_ready.recv().unwrap();
        assert_eq!(value(&crew, "prox_worker_ping_seconds", "0"), None);
        Arc::clone(&crew).prepare().unwrap().await;
        assert!(value(&crew, "prox_worker_ping_seconds", "0").unwrap() < 1.0);
        let first = value(&crew, "prox_worker_ping_seconds", "1").unwrap();
        assert!(first >= 1.0, "{first}");
        // No further probe is sent to this worker until it has answered.
        crew.ping().await;
        let second = value(&crew, "prox_worker_ping_seconds", "1").unwrap();
        assert!(second >= first, "{first}, then {second}");
        assert_eq!(value(&crew, "prox_worker_tasks", "1"), Some(1.0));
        drop(release);
        let member = thread.join().unwrap();
        let answered = value(&crew, "prox_worker_ping_seconds", "1").unwrap();
        assert!(answered >= second, "{second}, then {answered}");
        let busy = value(&crew, "prox_worker_busy_seconds_total", "1");
        drop(member);
        assert_eq!(value(&crew, "prox_worker_ping_seconds", "1"), None);
        assert!(value(&crew, "prox_worker_busy_seconds_total", "1") >= busy);
        drop(own);
    }
}
