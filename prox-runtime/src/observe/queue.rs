//! The way from the workers to the output, which a slow reader cannot block.

use std::{
    fmt,
    io::Write,
    mem,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{
            Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
        },
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    lines::{Choice, Form},
    outputs::{self, Flushing},
};
use crate::sync::lock;

/// How many lines wait for the output at most.
pub(crate) const CAPACITY: usize = 8192;

/// A write that has come to this many bytes does not wait for more.
const BATCH: usize = 256 * 1024;

/// How long the thread rests after a write. While it rests, a worker that has a line need not wake it, which would cost
/// more than all the rest of the line.
const REST: Duration = Duration::from_millis(10);

/// How long the end of a program waits for the output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the lines are of which the process may have several queues.
pub(crate) struct What {
    name: &'static str,
    thread: &'static str,
    /// Whether an event may tell of the queue. The queue of the events cannot tell of itself.
    tells: bool,
    lost: AtomicU64,
}

pub(crate) static ACCESS_LOG: What = What {
    name: "access log",
    thread: "prox-access-log",
    tells: true,
    lost: AtomicU64::new(0),
};

pub(crate) static EVENTS: What = What {
    name: "log",
    thread: "prox-log",
    tells: false,
    lost: AtomicU64::new(0),
};

impl What {
    /// How many lines were lost since the process began.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    fn blocked(&self) {
        if self.tells {
            tracing::warn!(target: "prox", log = self.name, "the output of a log is blocked; its last lines are lost");
        }
    }
}

/// Lines on their way to a thread that writes them. The thread starts with the first line.
pub(crate) struct Queue {
    what: &'static What,
    form: Choice,
    capacity: usize,
    patience: Duration,
    /// Gone once the thread has it.
    writer: Mutex<Option<Box<dyn Write + Send>>>,
    thread: OnceLock<Arc<Running>>,
}

impl Queue {
    pub(crate) fn new(
        what: &'static What,
        form: Choice,
        capacity: usize,
        writer: impl Write + Send + 'static,
    ) -> Self {
        Self {
            what,
            form,
            capacity,
            patience: LAST_WORDS,
            writer: Mutex::new(Some(Box::new(writer))),
            thread: OnceLock::new(),
        }
    }

    /// Takes a line, or counts it as lost when there is no room; never waits.
    pub(crate) fn push(&self, line: String) {
        self.thread.get_or_init(|| self.start()).push(line);
    }

    /// Waits until all lines so far are written, and no longer than the end of a program would.
    pub(crate) async fn flush(&self) {
        if let Some(thread) = self.thread.get() {
            thread.written().await;
        }
    }

    /// Whether there is a thread.
    #[cfg(test)]
    pub(crate) fn has_started(&self) -> bool {
        self.thread.get().is_some()
    }

    fn start(&self) -> Arc<Running> {
        let (lines, queued) = sync_channel(self.capacity);
        let (end, done) = channel();
        let lost = Arc::<AtomicU64>::default();
        let output = lock(&self.writer).take().map(|writer| Output {
            what: self.what,
            form: self.form.form(),
            queued,
            lost: Arc::clone(&lost),
            writer,
            batch: Vec::new(),
            flushing: Vec::new(),
            held: 0,
            failed: false,
            _end: end,
        });
        let thread = output.and_then(|output| {
            thread::Builder::new()
                .name(self.what.thread.into())
                .spawn(move || output.run())
                .inspect_err(|error| {
                    if self.what.tells {
                        tracing::error!(target: "prox", log = self.what.name, %error, "the thread of a log cannot be started");
                    }
                })
                .ok()
        });
        let running = Arc::new(Running {
            what: self.what,
            lines: Some(lines),
            lost,
            thread,
            done: Mutex::new(done),
            patience: self.patience,
        });
        outputs::register(&running);
        running
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("what", &self.what.name)
            .field("capacity", &self.capacity)
            .field("started", &self.thread.get().is_some())
            .finish_non_exhaustive()
    }
}

/// The workers' end of a queue whose thread runs.
struct Running {
    what: &'static What,
    /// Gone when no more lines come.
    lines: Option<SyncSender<Message>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected once the thread has written everything.
    done: Mutex<Receiver<()>>,
    patience: Duration,
}

enum Message {
    Line(String),
    /// Told when all before it is written.
    Flush(oneshot::Sender<()>),
}

impl Running {
    fn push(&self, line: String) {
        let taken = self
            .lines
            .as_ref()
            .is_some_and(|lines| lines.try_send(Message::Line(line)).is_ok());
        if !taken {
            self.lost.fetch_add(1, Relaxed);
            self.what.lost.fetch_add(1, Relaxed);
        }
    }

    /// The thread may rest, and writes at once when it is woken.
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Done when all lines so far are written, or after the patience.
    async fn written(&self) {
        let flushed = async {
            let Some(lines) = &self.lines else { return };
            let (tell, told) = oneshot::channel();
            let mut message = Message::Flush(tell);
            while let Err(TrySendError::Full(back)) = lines.try_send(message) {
                message = back;
                self.wake();
                tokio::time::sleep(REST).await;
            }
            self.wake();
            // A thread that has ended has nothing left to write.
            let _ = told.await;
        };
        if tokio::time::timeout(self.patience, flushed).await.is_err() {
            self.what.blocked();
        }
    }
}

impl Flushing for Running {
    fn flush(self: Arc<Self>) -> outputs::Flush {
        Box::pin(async move { self.written().await })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.lines = None;
        self.wake();
        // The other tasks of a runtime must not stand still for an output. A server has waited already.
        if Handle::try_current().is_ok() {
            return;
        }
        if lock(&self.done).recv_timeout(self.patience) == Err(RecvTimeoutError::Timeout) {
            self.what.blocked();
        }
    }
}

/// The other end, on its thread.
struct Output {
    what: &'static What,
    form: Form,
    queued: Receiver<Message>,
    lost: Arc<AtomicU64>,
    writer: Box<dyn Write + Send>,
    batch: Vec<u8>,
    flushing: Vec<oneshot::Sender<()>>,
    /// How many lines are in the batch.
    held: u64,
    failed: bool,
    _end: Sender<()>,
}

impl Output {
    fn run(mut self) {
        while let Ok(message) = self.queued.recv() {
            self.take(message);
            while self.batch.len() < BATCH
                && let Ok(message) = self.queued.try_recv()
            {
                self.take(message);
            }
            let full = self.batch.len() >= BATCH;
            self.write();
            for tell in mem::take(&mut self.flushing) {
                // Nobody may wait any more.
                let _ = tell.send(());
            }
            if !full {
                thread::park_timeout(REST);
            }
        }
        self.write();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                self.batch.extend_from_slice(line.as_bytes());
                self.held += 1;
            }
            Message::Flush(tell) => self.flushing.push(tell),
        }
    }

    fn write(&mut self) {
        let lost = self.lost.swap(0, Relaxed);
        if lost > 0 {
            let note = self.form.lost(SystemTime::now(), lost);
            self.batch.extend_from_slice(note.as_bytes());
        }
        if self.batch.is_empty() {
            return;
        }
        let written = self.writer.write_all(&self.batch);
        let result = written.and_then(|()| self.writer.flush());
        self.batch.clear();
        let held = mem::take(&mut self.held);
        match result {
            Ok(()) => self.failed = false,
            Err(error) => {
                self.what.lost.fetch_add(held, Relaxed);
                // Once is enough: a closed output fails for every line.
                if self.what.tells && !self.failed {
                    tracing::warn!(target: "prox", log = self.what.name, %error, "lines of a log were lost");
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
        let queue = Queue::new(&ACCESS_LOG, Choice::Made(Form::Text), 2, stuck);
        assert!(!queue.has_started());
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
        let queue = Queue::new(&ACCESS_LOG, Choice::Made(Form::Json), 8, Closed);
        queue.push("a\n".into());
        queue.push("b\n".into());
    }

    fn stuck() -> (Stuck, Receiver<()>, Sender<()>) {
        let (called, was_called) = channel();
        let (may_go_on, go_on) = channel();
        let stuck = Stuck {
            called,
            go_on,
            written: Arc::default(),
        };
        (stuck, was_called, may_go_on)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_end_of_a_queue_does_not_hold_up_a_runtime() {
        let (stuck, was_called, _may_go_on) = stuck();
        let mut queue = Queue::new(&ACCESS_LOG, Choice::Made(Form::Text), 2, stuck);
        queue.patience = LONG;
        queue.push("first\n".into());
        was_called.recv().unwrap();
        let began = tokio::time::Instant::now();
        drop(queue);
        assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_flush_waits_for_the_lines_before_it_even_when_there_is_no_room() {
        let (stuck, was_called, may_go_on) = stuck();
        let written = Arc::clone(&stuck.written);
        let mut queue = Queue::new(&ACCESS_LOG, Choice::Made(Form::Text), 1, stuck);
        queue.patience = LONG;
        queue.flush().await;
        queue.push("first\n".into());
        was_called.recv().unwrap();
        queue.push("second\n".into());
        let open = async {
            tokio::task::yield_now().await;
            drop(may_go_on);
        };
        tokio::join!(queue.flush(), open);
        assert_eq!(lock(&written).as_slice(), b"first\nsecond\n");
    }

    #[tokio::test]
    async fn a_flush_gives_up_on_an_output_that_blocks() {
        let (stuck, was_called, _may_go_on) = stuck();
        let mut queue = Queue::new(&ACCESS_LOG, Choice::Made(Form::Text), 2, stuck);
        queue.patience = Duration::from_millis(50);
        queue.push("first\n".into());
        was_called.recv().unwrap();
        queue.flush().await;
    }
}
