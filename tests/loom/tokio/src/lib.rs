//! A mutex that futures wait for, made of the checker's parts, and a clock that no model depends on.

pub mod sync {
    use std::{
        fmt,
        future::poll_fn,
        mem::take,
        ops::{Deref, DerefMut},
        task::{Poll, Waker},
    };

    /// As tokio's, but for its order: each of those that wait may be the next.
    #[derive(Debug, Default)]
    pub struct Mutex<T> {
        line: loom::sync::Mutex<Line>,
        value: loom::sync::Mutex<T>,
    }

    #[derive(Debug, Default)]
    struct Line {
        taken: bool,
        waiting: Vec<Waker>,
    }

    impl<T> Mutex<T> {
        /// Waits for its turn. It may be dropped while it waits.
        pub async fn lock(&self) -> MutexGuard<'_, T> {
            poll_fn(|context| {
                let mut line = self.line.lock().expect("no thread panics");
                if line.taken {
                    line.waiting.push(context.waker().clone());
                    return Poll::Pending;
                }
                line.taken = true;
                Poll::Ready(())
            })
            .await;
            MutexGuard {
                mutex: self,
                value: Some(self.value.lock().expect("no thread panics")),
            }
        }
    }

    pub struct MutexGuard<'m, T> {
        mutex: &'m Mutex<T>,
        /// There until it is dropped.
        value: Option<loom::sync::MutexGuard<'m, T>>,
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.value
                .as_deref()
                .expect("it is there until it is dropped")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.value
                .as_deref_mut()
                .expect("it is there until it is dropped")
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            self.value = None;
            let waiting = {
                let mut line = self.mutex.line.lock().expect("no thread panics");
                line.taken = false;
                take(&mut line.waiting)
            };
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(&**self, f)
        }
    }
}

pub mod time {
    /// What is kept in a model is kept for much longer than the model takes.
    pub use std::time::Instant;
}
