//! Threads for work that blocks, a few of their own, so that nothing else waits behind it.

use std::{
    collections::VecDeque,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::sync::lock;

/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// At most so many threads, which are started when there is work, and end when there was none for 10 s.
///
/// They keep neither a runtime nor the process from ending.
#[derive(Clone, Debug)]
pub(super) struct Threads(Arc<Inner>);

struct Inner {
    most: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl Threads {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Does this as soon as a thread is free, in the order of the calls.
    ///
    /// # Errors
    ///
    /// When no thread is there and none can be started. The work is not done then.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = lock(&self.0.state);
        state.jobs.push_back(Box::new(job));
        if state.idle >= state.jobs.len() {
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads >= self.0.most {
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        let started = thread::Builder::new()
            .name("prox-names".into())
            .spawn(move || inner.serve());
        match started {
            Ok(_) => state.threads += 1,
            // Another thread will come to it.
            Err(_) if state.threads > 0 => {}
            Err(error) => {
                state.jobs.pop_back();
                return Err(error);
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.0.state).threads
    }
}

impl Inner {
    fn serve(&self) {
        // Counted out however it ends.
        let _counted = Counted(self);
        while let Some(job) = self.next() {
            // A panic has been printed, and the next job has nothing to do with it.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, IDLE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                return None;
            }
        }
    }
}

struct Counted<'a>(&'a Inner);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn so_many_work_at_a_time_and_the_others_wait_their_turn() {
        let threads = Threads::new(2);
        let (gate, gates) = mpsc::channel::<mpsc::Sender<()>>();
        let (done, all_done) = mpsc::channel();
        for number in 0..5 {
            let (gate, done) = (gate.clone(), done.clone());
            threads
                .run(move || {
                    let (open, opened) = mpsc::channel();
                    gate.send(open).unwrap();
                    opened.recv().unwrap();
                    done.send(number).unwrap();
                })
                .unwrap();
        }
        let first = [gates.recv().unwrap(), gates.recv().unwrap()];
        assert_eq!(threads.count(), 2);
        assert!(gates.try_recv().is_err(), "no third has begun");
        for gate in first {
            gate.send(()).unwrap();
        }
        for _ in 0..3 {
            gates.recv().unwrap().send(()).unwrap();
        }
        let mut numbers: Vec<i32> = all_done.iter().take(5).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        assert!(threads.count() <= 2);
    }

    #[test]
    fn a_job_that_panics_costs_nothing_else() {
        let threads = Threads::new(1);
        threads.run(|| panic!("on purpose")).unwrap();
        let (done, all_done) = mpsc::channel();
        threads.run(move || done.send(()).unwrap()).unwrap();
        all_done.recv().unwrap();
    }
}
