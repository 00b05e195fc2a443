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

    /// Whether a choice among its endpoints is the same as among those of `other`.
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.members, &other.members)
            && Arc::ptr_eq(&self.roster, &other.roster)
            && self.mode == other.mode
            && self.ejected == other.ejected
            && (self.probe_due, self.step_due) == (other.probe_due, other.step_due)
    }
}

/// The view that holds, and a copy of it for each worker.
///
/// While nothing has ever changed, the first view is read where it lies. Later each worker reads its own copy, and looks at
/// a counter that is written only when there is another view; so no cache line goes between the workers.
///
/// No lock is held while a view is read or made: both run code of users, such as a policy or a subscriber of `tracing`, and that may
/// ask for the view again.
#[derive(Debug)]
pub(crate) struct Views {
    first: Arc<View>,
    /// The number of the view that holds.
    version: AtomicU64,
    /// How many looks at the endpoints have begun.
    looks: AtomicU64,
    current: Mutex<Current>,
    copies: Sharded<Copy>,
}

#[derive(Debug)]
struct Current {
    view: Arc<View>,
    /// The number of the look at the endpoints that it, or one that found nothing else, is from.
    look: u64,
}

#[derive(Debug, Default)]
struct Copy {
    version: u64,
    view: Option<Arc<Counted>>,
}

/// The view of one shard. Its references are counted in an allocation of its own, so that workers that read the view do not write
/// to the same cache line.
#[derive(Debug)]
struct Counted(Arc<View>);

/// A view that took the place of another.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) old: Arc<View>,
    pub(crate) new: Arc<View>,
}

/// How often another view is made when the one that it is made from has been replaced meanwhile. It takes code of users that changes
/// the cluster whenever it is asked to get there.
const TRIES: usize = 16;

impl Views {
    pub(crate) fn new(first: View) -> Self {
        let first = Arc::new(first);
        Self {
            version: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            current: Mutex::new(Current {
                view: Arc::clone(&first),
                look: 0,
            }),
            copies: Sharded::default(),
            first,
        }
    }

    /// The view that was there first.
    pub(crate) fn first(&self) -> &View {
        &self.first
    }

    /// Reads the view that holds.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&View) -> R) -> R {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 {
            return f(&self.first);
        }
        let view = self.copy(version);
        f(&view.0)
    }

    fn copy(&self, version: u64) -> Arc<Counted> {
        let mut copy = self.copies.local();
        if copy.version == version
            && let Some(view) = &copy.view
        {
            return Arc::clone(view);
        }
        let (version, view) = {
            let current = lock(&self.current);
            // Read again under the lock, so that the number is that of the view.
            let version = self.version.load(Ordering::Relaxed);
            (version, Arc::new(Counted(Arc::clone(&current.view))))
        };
        copy.version = version;
        let old = copy.view.replace(Arc::clone(&view));
        drop(copy);
        // It may be the last to know the old view, and what a policy has prepared ends with that.
        drop(old);
        view
    }

    /// Puts another view in place of the one that holds, unless `next`, which sees that one, makes none or the same.
    ///
    /// `next` looks at the endpoints, after whatever the caller has changed. It is called again when another thread has changed the
    /// members meanwhile. A look that began before one whose view is there already is not needed any more.
    pub(crate) fn replace(&self, mut next: impl FnMut(&View) -> Option<View>) -> Option<Replaced> {
        for left in (0..TRIES).rev() {
            let look = self.looks.fetch_add(1, Ordering::AcqRel) + 1;
            let base = Arc::clone(&lock(&self.current).view);
            let new = Arc::new(next(&base)?);
            let brings_members = !Arc::ptr_eq(&new.members, &base.members);
            let mut current = lock(&self.current);
            let is_late = current.look > look;
            if is_late && !brings_members {
                return None;
            }
            let is_moved = !Arc::ptr_eq(&current.view.members, &base.members);
            if is_moved || (is_late && left > 0) {
                continue;
            }
            current.look = current.look.max(look);
            if new.is_like(&current.view) {
                return None;
            }
            let old = std::mem::replace(&mut current.view, Arc::clone(&new));
            self.version.fetch_add(1, Ordering::Release);
            drop(current);
            return Some(Replaced { old, new });
        }
        None
    }
}

#[cfg(test)]
mod tests;
