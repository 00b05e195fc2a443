//! A limit on what is under way at one endpoint, and the queue before it.
//!
//! The pool keeps connections that nobody uses; this bounds those that are in use, however many workers there are. Without
//! `.max_connections(n)` there is no queue, and nothing is paid for it.

mod line;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use self::line::Line;
use crate::{error::Failure, sync::lock, time::FOREVER};

/// How requests wait when an endpoint has as many under way as [`max_connections`] allows: `.queue(QueueOptions::new().length(100))`.
///
/// They wait in one line for each endpoint, first come, first served. A client that goes away leaves it at once. When the
/// line is full, or the wait has been too long, the answer is `503` with `Retry-After`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{QueueOptions, RoundRobin, dsl::cluster};
/// use std::time::Duration;
///
/// let users = cluster(RoundRobin::new(), ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
///     .max_connections(200)
///     .queue(QueueOptions::new().length(100).timeout(Duration::from_millis(250)));
/// # let _ = users;
/// ```
///
/// [`max_connections`]: crate::ClusterBuilder::max_connections
#[derive(Clone, Debug)]
pub struct QueueOptions {
    length: usize,
    timeout: Duration,
}

impl QueueOptions {
    /// The defaults: up to 1 024 requests wait, each for up to 1 s.
    pub fn new() -> Self {
        Self {
            length: 1_024,
            timeout: Duration::from_secs(1),
        }
    }

    /// Lets so many requests wait for each endpoint; 1 024 by default. With 0, none waits.
    pub fn length(mut self, requests: usize) -> Self {
        self.length = requests;
        self
    }

    /// Lets a request wait so long; 1 s by default. The time limit of the request as a whole counts too.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit.min(FOREVER);
        self
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The places at one endpoint, shared by all workers.
#[derive(Debug)]
pub(crate) struct Queue {
    line: Line,
    options: QueueOptions,
}

/// A place at an endpoint; given back, or handed to who has waited longest, when it is dropped.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub(crate) struct Permit(Arc<Queue>);

/// Why a request got no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many wait as may.
    Full,
    /// It waited as long as it may.
    TooLong,
    /// The time of the request as a whole is over.
    End,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full | Refused::TooLong => Self::QueueFull,
            Refused::End => Self::ResponseTimeout,
        }
    }
}

impl Queue {
    pub(crate) fn new(places: usize, options: QueueOptions) -> Self {
        Self {
            line: Line::new(places),
            options,
        }
    }

    /// A place, if one is free; never before somebody who waits.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        self.line.try_enter().then(|| Permit(Arc::clone(self)))
    }

    /// A place, as soon as it is this request's turn, and before `end`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the line is left at once, and no place is lost.
    pub(crate) async fn enter(self: &Arc<Self>, end: Option<Instant>) -> Result<Permit, Refused> {
        if let Some(permit) = self.try_enter() {
            return Ok(permit);
        }
        let latest = Instant::now() + self.options.timeout;
        let (until, late) = match end {
            Some(end) if end < latest => (end, Refused::End),
            _ => (latest, Refused::TooLong),
        };
        let wait = self.line.wait(self.options.length).ok_or(Refused::Full)?;
        match tokio::time::timeout_at(until, wait).await {
            Ok(()) => Ok(Permit(Arc::clone(self))),
            Err(_) => Err(late),
        }
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.line.waiting()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.line.leave();
    }
}
