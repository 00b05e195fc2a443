//! Places, and the line of those who wait for one: the part without a clock.
//!
//! `tests/loom` runs this file under a model checker, with a `Mutex` of its own in the module above.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{Mutex, lock};

/// A number of places, and a line for them: first come, first served.
///
/// While anybody waits, no place is free: whoever leaves hands their place to the head of the line, so nobody who comes
/// later can take it on the way.
#[derive(Debug)]
pub(super) struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// The number of the next one who waits.
    next: u64,
    /// Who waits, by number. A number that is no longer here has been given a place, unless its owner took it out.
    waiting: BTreeMap<u64, Waker>,
}

impl Line {
    pub(super) fn new(places: usize) -> Self {
        Self(Mutex::new(State {
            free: places,
            next: 0,
            waiting: BTreeMap::new(),
        }))
    }

    /// Takes a place if one is free, to be given back with [`leave`](Self::leave).
    pub(super) fn try_enter(&self) -> bool {
        let mut state = lock(&self.0);
        let free = state.free > 0;
        if free {
            state.free -= 1;
        }
        free
    }

    /// Joins the line, unless `longest` wait in it.
    pub(super) fn wait(&self, longest: usize) -> Option<Wait<'_>> {
        let mut state = lock(&self.0);
        let stand = if state.free > 0 {
            state.free -= 1;
            Stand::Entered
        } else if state.waiting.len() < longest {
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, Waker::noop().clone());
            Stand::Waits(number)
        } else {
            return None;
        };
        drop(state);
        Some(Wait { line: self, stand })
    }

    /// Hands a place to the head of the line, or back.
    pub(super) fn leave(&self) {
        let mut state = lock(&self.0);
        let head = state.waiting.pop_first();
        if head.is_none() {
            state.free += 1;
        }
        drop(state);
        // Outside of the lock: a waker may run what takes it.
        if let Some((_, waker)) = head {
            waker.wake();
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.0).waiting.len()
    }
}

/// A wait in the line; ready when its owner has a place, to be given back with [`leave`](Line::leave).
///
/// # Cancel safety
///
/// When it is dropped it leaves the line at once, and a place that it was just given goes to the next.
#[derive(Debug)]
#[must_use = "who does not wait leaves the line"]
pub(super) struct Wait<'l> {
    line: &'l Line,
    stand: Stand,
}

#[derive(Clone, Copy, Debug)]
enum Stand {
    Waits(u64),
    /// Has a place that nobody has taken over yet.
    Entered,
    /// The place belongs to whoever polled.
    Over,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Stand::Waits(number) = self.stand {
            let waker = cx.waker().clone();
            // The old waker outlives the lock, because dropping it may run what takes the lock.
            let old = lock(&self.line.0)
                .waiting
                .get_mut(&number)
                .map(|entry| std::mem::replace(entry, waker));
            if old.is_some() {
                return Poll::Pending;
            }
        }
        self.stand = Stand::Over;
        Poll::Ready(())
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let has_place = match self.stand {
            Stand::Waits(number) => {
                let entry = lock(&self.line.0).waiting.remove(&number);
                entry.is_none()
            }
            Stand::Entered => true,
            Stand::Over => false,
        };
        if has_place {
            self.line.leave();
        }
    }
}
