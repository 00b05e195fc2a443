//! How much memory the process has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

/// The resident set of this process, in bytes.
pub fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let statm =
        std::fs::read_to_string("/proc/self/statm").expect("Linux tells the size of a process");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second number of statm is the resident set") * PAGE
}

/// Measures how much the resident set grows while something goes on.
#[derive(Debug)]
pub struct Growth {
    start: u64,
    most: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Growth {
    /// Begins to measure.
    pub fn measure() -> Self {
        let start = resident();
        let most = Arc::new(AtomicU64::new(start));
        let shared = Arc::clone(&most);
        let task = tokio::spawn(async move {
            loop {
                shared.fetch_max(resident(), SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { start, most, task }
    }

    /// The most that it grew by, in bytes.
    pub fn most(&self) -> u64 {
        self.most
            .fetch_max(resident(), SeqCst)
            .max(resident())
            .saturating_sub(self.start)
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.task.abort();
    }
}
