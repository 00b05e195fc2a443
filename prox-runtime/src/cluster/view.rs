//! Who may be chosen at the moment: a list that is replaced as a whole, and read without a shared cache line.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;

use super::{balance::Roster, members::Members, priority::Mode};
use crate::sync::{Sharded, lock};

/// The endpoints of a cluster as they stood when somebody looked last.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) members: Arc<Members>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) mode: Mode,
    /// Endpoints that get no requests but probes.
    pub(crate) ejected: Box<[usize]>,
    /// When the first of them may be probed.
    pub(crate) probe_due: Option<Instant>,
    /// When an endpoint that starts slowly gets its next step.
    pub(crate) step_due: Option<Instant>,
}

impl View {
    /// Whether something is to be done before the choice.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.step_due.is_some_and(|due| now >= due)
    }
}

/// The view that holds, and a copy of it for each worker.
///
/// While nothing has ever changed, the first view is read where it lies. Later each worker reads its own copy, and looks at
/// a counter that is written only when there is another view; so no cache line goes between the workers.
#[derive(Debug)]
pub(crate) struct Views {
    first: Arc<View>,
    version: AtomicU64,
    current: Mutex<Arc<View>>,
    copies: Sharded<Copy>,
}

#[derive(Debug, Default)]
struct Copy {
    version: u64,
    view: Option<Arc<View>>,
}

impl Views {
    pub(crate) fn new(first: View) -> Self {
        let first = Arc::new(first);
        Self {
            version: AtomicU64::new(0),
            current: Mutex::new(Arc::clone(&first)),
            copies: Sharded::default(),
            first,
        }
    }

    /// The view that was there first.
    pub(crate) fn first(&self) -> &View {
        &self.first
    }

    /// Reads the view that holds.
    ///
    /// `f` runs under a lock of this worker, so it must not ask for the view again.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&View) -> R) -> R {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 {
            return f(&self.first);
        }
        let mut copy = self.copies.local();
        if copy.version != version || copy.view.is_none() {
            let current = lock(&self.current);
            // Read again under the lock, so that the number is that of the view.
            copy.version = self.version.load(Ordering::Relaxed);
            copy.view = Some(Arc::clone(&current));
        }
        f(copy.view.as_deref().unwrap_or(&self.first))
    }

    /// Puts another view in place of the one that holds; `next` sees the old one, and may leave it. One at a time.
    pub(crate) fn replace(&self, next: impl FnOnce(&View) -> Option<View>) {
        let mut current = lock(&self.current);
        if let Some(next) = next(&current) {
            *current = Arc::new(next);
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}
