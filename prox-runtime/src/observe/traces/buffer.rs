//! Spans that have ended and wait to be exported.

use std::{
    mem,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::Notify;

use super::Ended;
use crate::sync::Sharded;

/// How much a buffer holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most spans that wait. Further ones are dropped.
    pub(crate) most: usize,
    /// As many spans are a reason to export at once.
    pub(crate) batch: usize,
}

/// A bounded buffer. Each worker writes to a part of its own, and one reader takes all.
#[derive(Debug)]
pub(crate) struct Buffer {
    spans: Sharded<Vec<Ended>>,
    bounds: Bounds,
    waiting: AtomicUsize,
    dropped: AtomicU64,
    full: Notify,
}

impl Buffer {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            spans: Sharded::default(),
            bounds,
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            full: Notify::new(),
        }
    }

    /// Adds a span, or drops and counts it when the buffer is full.
    pub(super) fn push(&self, span: Ended) {
        let before = self.waiting.fetch_add(1, Relaxed);
        if before >= self.bounds.most {
            self.waiting.fetch_sub(1, Relaxed);
            self.drops(1);
            return;
        }
        self.spans.local().push(span);
        if before + 1 == self.bounds.batch {
            self.full.notify_one();
        }
    }

    /// All that is there.
    pub(crate) fn take(&self) -> Vec<Ended> {
        let mut all = Vec::new();
        for mut part in self.spans.all() {
            if all.is_empty() {
                mem::swap(&mut all, &mut part);
            } else {
                all.append(&mut part);
            }
        }
        self.waiting.fetch_sub(all.len(), Relaxed);
        all
    }

    /// Done when there is a batch.
    pub(crate) async fn batch(&self) {
        if self.waiting.load(Relaxed) < self.bounds.batch {
            self.full.notified().await;
        }
    }

    /// How many spans are exported together.
    pub(crate) fn batch_size(&self) -> usize {
        self.bounds.batch
    }

    /// Counts spans that are dropped.
    pub(crate) fn drops(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Relaxed);
    }

    /// The number of spans that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}
