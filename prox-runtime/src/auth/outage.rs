//! Whether something that is asked over HTTP answers.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Tells by an event that something does not answer, and that it does again: once each, however many requests notice.
#[derive(Debug)]
pub(super) struct Outage {
    /// What is asked, for the events.
    what: &'static str,
    is_down: AtomicBool,
}

impl Outage {
    pub(super) const fn of(what: &'static str) -> Self {
        Self {
            what,
            is_down: AtomicBool::new(false),
        }
    }

    /// It has not answered, or not as it should.
    pub(super) fn failed(&self, reason: &str) {
        if !self.is_down.swap(true, Relaxed) {
            tracing::warn!(target: "prox", layer = self.what, reason, "a service of authentication does not answer");
        }
    }

    /// It has answered.
    pub(super) fn answered(&self) {
        if self.is_down.load(Relaxed) && self.is_down.swap(false, Relaxed) {
            tracing::info!(target: "prox", layer = self.what, "a service of authentication answers again");
        }
    }
}
