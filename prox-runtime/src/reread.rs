//! Files that are read again while the gateway runs.

use std::{sync::Arc, time::Duration};

/// Calls `read` after each `pause`, on a thread that may wait for a disk. If it panics, that is logged with `what`, and it is
/// called again after the next pause.
///
/// It ends when the runtime ends.
///
/// # Cancel safety
///
/// A call that has begun is finished; no other one follows.
pub(crate) async fn every(
    pause: Duration,
    what: &'static str,
    read: impl Fn() + Send + Sync + 'static,
) {
    let read = Arc::new(read);
    loop {
        tokio::time::sleep(pause).await;
        let read = Arc::clone(&read);
        match tokio::task::spawn_blocking(move || read()).await {
            Ok(()) => {}
            // The message of the panic may have a part of the file, which may be secret.
            Err(error) if error.is_panic() => {
                tracing::error!(target: "prox", "reading {what} again has panicked: what was read before stays");
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_does_not_end_it() {
        const PAUSE: Duration = Duration::from_secs(10);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let work = tokio::spawn(every(PAUSE, "a file", move || {
            assert!(counted.fetch_add(1, SeqCst) != 0, "the first call");
        }));
        while calls.load(SeqCst) < 3 {
            tokio::time::sleep(PAUSE).await;
        }
        assert!(!work.is_finished());
        work.abort();
    }
}
