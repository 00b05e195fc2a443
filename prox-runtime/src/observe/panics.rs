//! Panics of user code, which cost one request and not a connection with all the requests on it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs code of the user's; nothing when it panicked, which is told.
///
/// Nothing of what panicked must be looked at again but to drop it.
pub(crate) fn caught<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code))
        .inspect_err(|payload| tell(&**payload))
        .ok()
}

fn tell(payload: &(dyn Any + Send)) {
    let message = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    tracing::error!(target: "prox", panic = message, "a handler or a layer panicked");
}
