//! The way from the workers to the output, which a slow reader cannot block.

use std::{
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use super::Format;

/// How many lines wait for the output at most.
pub(super) const CAPACITY: usize = 8192;

/// A write that has come to this many bytes does not wait for more.
const BATCH: usize = 256 * 1024;

/// How long the thread rests after a write. While it rests, a worker that has a line need not wake it, which would cost
/// more than all the rest of the line.
const REST: Duration = Duration::from_millis(10);

/// How long the end of a program waits for the output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lines on their way to a thread that writes them.
pub(super) struct Queue {
    /// Gone when no more lines come.
    lines: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected once the thread has written everything.
    done: Mutex<Receiver<()>>,
}

impl Queue {
    pub(super) fn new(
        format: Format,
        capacity: usize,
        writer: impl Write + Send + 'static,
    ) -> Self {
        let (lines, queued) = sync_channel(capacity);
        let (end, done) = channel();
        let lost = Arc::<AtomicU64>::default();
        let output = Output {
            format,
            queued,
            lost: Arc::clone(&lost),
            writer,
            batch: Vec::new(),
            failed: false,
            _end: end,
        };
        let thread = thread::Builder::new()
            .name("prox-access-log".into())
            .spawn(move || output.run())
            .inspect_err(|error| tracing::error!(%error, "there is no thread for the access log"))
            .ok();
        Self {
            lines: Some(lines),
            lost,
            thread,
            done: Mutex::new(done),
        }
    }

    /// Takes a line, or counts it as lost when there is no room; never waits.
    pub(super) fn push(&self, line: String) {
        let taken = self
            .lines
            .as_ref()
            .is_some_and(|lines| lines.try_send(line).is_ok());
        if !taken {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the output of the access log is blocked; its last lines are lost");
        }
    }
}

/// The other end, on its thread.
struct Output<W> {
    format: Format,
    queued: Receiver<String>,
    lost: Arc<AtomicU64>,
    writer: W,
    batch: Vec<u8>,
    failed: bool,
    _end: Sender<()>,
}

impl<W: Write> Output<W> {
    fn run(mut self) {
        while let Ok(line) = self.queued.recv() {
            self.batch.extend_from_slice(line.as_bytes());
            while self.batch.len() < BATCH
                && let Ok(line) = self.queued.try_recv()
            {
                self.batch.extend_from_slice(line.as_bytes());
            }
            let full = self.batch.len() >= BATCH;
            self.write();
            if !full {
                thread::park_timeout(REST);
            }
        }
        self.write();
    }

    fn write(&mut self) {
        let lost = self.lost.swap(0, Relaxed);
        if lost > 0 {
            let note = self.format.lost(SystemTime::now(), lost);
            self.batch.extend_from_slice(note.as_bytes());
        }
        if self.batch.is_empty() {
            return;
        }
        let written = self.writer.write_all(&self.batch);
        let result = written.and_then(|()| self.writer.flush());
        self.batch.clear();
        match result {
            Ok(()) => self.failed = false,
            Err(error) => {
                // Once is enough: a closed output fails for every line.
                if !self.failed {
                    tracing::warn!(%error, "lines of the access log were lost");
                }
                self.failed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Says that it was called, and waits until it may go on.
    struct Stuck {
        called: Sender<()>,
        go_on: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.called.send(());
            let _ = self.go_on.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_blocked_output_stops_nobody_and_what_is_lost_is_said() {
        let (called, was_called) = channel();
        let (may_go_on, go_on) = channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let stuck = Stuck {
            called,
            go_on,
            written: Arc::clone(&written),
        };
        let queue = Queue::new(Format::Text, 2, stuck);
        queue.push("first\n".into());
        was_called.recv().unwrap();
        for line in ["second\n", "third\n", "fourth\n", "fifth\n"] {
            queue.push(line.into());
        }
        drop(may_go_on);
        drop(queue);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let (lines, note) = written.rsplit_once("third\n").unwrap();
        assert_eq!(lines, "first\nsecond\n");
        assert!(note.ends_with("Z lost_lines=2\n"), "{note}");
    }

    /// An output that nobody reads any more.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_output_is_no_reason_to_stop() {
        let queue = Queue::new(Format::Json, 8, Closed);
        queue.push("a\n".into());
        queue.push("b\n".into());
    }
}
