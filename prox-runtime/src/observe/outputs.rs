//! Outputs that write on threads of their own, and must be done before a program ends.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
};

use crate::sync::lock;

/// Something that writes what it has taken some time later.
pub(crate) trait Flushing: Send + Sync {
    /// Done when all that was taken so far is written, or when that takes too long.
    fn flush(self: Arc<Self>) -> Flush;
}

pub(crate) type Flush = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All of the process: it is the end of the process that loses what was not written.
static OUTPUTS: Mutex<Vec<Weak<dyn Flushing>>> = Mutex::new(Vec::new());

/// Has an output flushed when a server ends, as long as it is there.
pub(crate) fn register<T: Flushing + 'static>(output: &Arc<T>) {
    let output: Weak<dyn Flushing> = Arc::downgrade(output) as Weak<dyn Flushing>;
    let mut outputs = lock(&OUTPUTS);
    outputs.retain(|output| output.strong_count() > 0);
    outputs.push(output);
}

/// Waits until every output has written what it has taken so far.
pub(crate) async fn flush() {
    let outputs: Vec<_> = lock(&OUTPUTS).iter().filter_map(Weak::upgrade).collect();
    // All have begun before the first is waited for.
    let flushes: Vec<_> = outputs
        .into_iter()
        .map(|output| tokio::spawn(output.flush()))
        .collect();
    for flush in flushes {
        // An output that panics has nothing more to write.
        let _ = flush.await;
    }
}

/// The same, on a thread without a runtime.
pub(crate) fn flush_now() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    // A process that cannot have a runtime ends with an error that says so.
    if let Ok(runtime) = runtime {
        runtime.block_on(flush());
    }
}
