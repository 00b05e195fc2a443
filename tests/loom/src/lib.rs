//! What workers share, run with every order in which threads can take its locks.

#![cfg(test)]

#[path = "../../../prox-runtime/src/expiring.rs"]
#[allow(dead_code, reason = "of what is included not all is used")]
mod expiring;
mod flight;
mod queue;

/// What `crate::sync` is in the runtime.
mod sync {
    pub(crate) use loom::sync::Mutex;
    use loom::sync::MutexGuard;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().expect("no thread panics")
    }
}
