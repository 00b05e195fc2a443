//! Who is woken for a connection.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Wake, Waker},
};

use crate::sync::lock;

/// What a connection's driver wakes: whoever holds the connection, unless that is at work on it already.
///
/// A request and its response reach the driver through channels, and each of these wakes it. But whoever puts something in
/// drives the connection right afterwards, so being woken for that would only make its task run once more.
#[derive(Debug, Default)]
pub(super) struct Gate {
    task: Mutex<Option<Waker>>,
    closed: AtomicBool,
}

impl Gate {
    /// Has `task` woken from now on; with none, nobody is.
    pub(super) fn lead_to(&self, task: Option<&Waker>) {
        let mut known = lock(&self.task);
        if let (Some(known), Some(task)) = (&*known, task)
            && known.will_wake(task)
        {
            return;
        }
        let old = std::mem::replace(&mut *known, task.cloned());
        drop(known);
        // Outside of the lock, as below: a waker may run what takes it.
        drop(old);
    }

    /// Wakes nobody while `f` runs.
    ///
    /// A socket that becomes ready meanwhile is not told either, so whoever calls this has to drive the connection before it
    /// waits for anything.
    pub(super) fn shut<R>(&self, f: impl FnOnce() -> R) -> R {
        self.closed.store(true, Relaxed);
        let result = f();
        self.closed.store(false, Relaxed);
        result
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.closed.load(Relaxed) {
            return;
        }
        let task = lock(&self.task).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn who_holds_the_connection_is_woken_unless_it_is_at_work_on_it() {
        let (gate, count) = (Arc::new(Gate::default()), Arc::new(Count::default()));
        let woken = || count.0.load(Relaxed);
        let waker = Waker::from(Arc::clone(&gate));
        waker.wake_by_ref();
        gate.lead_to(Some(&Waker::from(Arc::clone(&count))));
        gate.shut(|| waker.wake_by_ref());
        assert_eq!(woken(), 0);
        waker.wake_by_ref();
        assert_eq!(woken(), 1);
        gate.lead_to(None);
        waker.wake();
        assert_eq!(woken(), 1);
    }
}
