//! Writes events to stderr, in a program that has installed nothing else for them.
//!
//! A gateway must not eject an endpoint in silence because its author has not heard of subscribers.

mod filter;
mod kinds;
mod line;

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

pub(crate) use self::filter::{Filter, level};
use self::{
    kinds::{Kinds, LeftOut},
    line::{Fields, Style, Value},
};
use super::{
    lines::Choice,
    outputs::{self, Flush, Flushing},
    queue::{self, Queue},
};

/// The one that is installed.
static INSTALLED: OnceLock<Arc<Logs>> = OnceLock::new();

/// The subscriber of a program that has none of its own.
pub(crate) struct Logs {
    /// What the variable says.
    said: Filter,
    filter: RwLock<Filter>,
    /// Counts the levels that were set since.
    widened: AtomicU64,
    style: Style,
    kinds: Kinds,
    queue: Queue,
}

/// Installs the subscriber, unless the program has one. Whether it is installed now.
pub(crate) fn install(filter: Filter) -> bool {
    let terminal = io::stderr().is_terminal();
    let form = Choice::Open { terminal };
    let logs = Arc::new(Logs::new(filter, form, terminal, io::stderr()));
    if tracing::subscriber::set_global_default(Arc::clone(&logs)).is_err() {
        return false;
    }
    outputs::register(&logs);
    INSTALLED.set(logs).is_ok()
}

/// Writes the events of Prox from this level on, whatever the variable says, until [`restore`] is called with what this returns. It
/// is nothing where the program has another subscriber.
pub(crate) fn widen(level: LevelFilter) -> Option<u64> {
    INSTALLED.get().map(|logs| logs.widen(level))
}

/// Writes what the variable says again, unless another level was set meanwhile.
pub(crate) fn restore(widened: u64) {
    if let Some(logs) = INSTALLED.get() {
        logs.restore(widened);
    }
}

impl Logs {
    fn new(
        filter: Filter,
        form: Choice,
        colours: bool,
        writer: impl io::Write + Send + 'static,
    ) -> Self {
        // https://no-color.org
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        Self {
            filter: RwLock::new(filter.clone()),
            said: filter,
            widened: AtomicU64::new(0),
            style: Style {
                form: form.form(),
                colours: colours && !plain,
            },
            kinds: Kinds::default(),
            queue: Queue::new(&queue::EVENTS, form, queue::CAPACITY, writer),
        }
    }

    fn filter<T>(&self, ask: impl FnOnce(&Filter) -> T) -> T {
        ask(&self.filter.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn widen(&self, level: LevelFilter) -> u64 {
        let widened = self.widened.fetch_add(1, Relaxed) + 1;
        self.set(self.said.clone().with("prox", level));
        widened
    }

    fn restore(&self, widened: u64) {
        if self.widened.load(Relaxed) == widened {
            self.set(self.said.clone());
        }
    }

    fn set(&self, filter: Filter) {
        *self.filter.write().unwrap_or_else(PoisonError::into_inner) = filter;
        // Each place of the program remembers whether its events are wanted.
        tracing::callsite::rebuild_interest_cache();
    }

    fn tell(&self, time: SystemTime, left_out: LeftOut) {
        let fields = Fields {
            message: left_out.message,
            rest: vec![("left_out", Value::Raw(left_out.count.to_string()))],
        };
        let line = self
            .style
            .line(time, left_out.level, &left_out.target, &fields);
        self.queue.push(line);
    }
}

impl Subscriber for Logs {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.filter(|filter| filter.takes(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter(Filter::most))
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for left_out in self.kinds.left_out(Some(second)) {
            self.tell(now, left_out);
        }
        let metadata = event.metadata();
        if self.kinds.takes(metadata, &fields.message, second) {
            let line = self
                .style
                .line(now, *metadata.level(), metadata.target(), &fields);
            self.queue.push(line);
        }
    }

    // Spans are not written.

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Flushing for Logs {
    fn flush(self: Arc<Self>) -> Flush {
        Box::pin(async move {
            for left_out in self.kinds.left_out(None) {
                self.tell(SystemTime::now(), left_out);
            }
            self.queue.flush().await;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{observe::lines::Form, sync::lock};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_level_that_was_set_last_is_the_one_that_ends() {
        let filter = Filter::read("warn,other=off").unwrap();
        let logs = Logs::new(filter.clone(), Choice::Made(Form::Json), false, io::sink());
        let (first, second) = (
            logs.widen(LevelFilter::TRACE),
            logs.widen(LevelFilter::DEBUG),
        );
        logs.restore(first);
        assert_eq!(
            logs.filter(Clone::clone),
            Filter::read("warn,other=off,prox=debug").unwrap()
        );
        logs.restore(second);
        assert_eq!(logs.filter(Clone::clone), filter);
    }

    #[tokio::test]
    async fn events_of_the_level_are_written_and_many_of_a_kind_are_counted() {
        let kept = Kept::default();
        let filter = Filter::read("info,quiet=off").unwrap();
        let logs = Arc::new(Logs::new(
            filter,
            Choice::Made(Form::Json),
            false,
            kept.clone(),
        ));
        tracing::subscriber::with_default(Arc::clone(&logs), || {
            let span = tracing::info_span!("nothing");
            let _entered = span.enter();
            for _ in 0..1000 {
                tracing::warn!(target: "prox", endpoint = %"a", "endpoint ejected");
            }
            tracing::debug!(target: "prox", "not wanted");
            tracing::error!(target: "quiet::inner", "not wanted");
            tracing::info!(target: "prox", certificates = 2_u64, "read");
        });
        Arc::clone(&logs).flush().await;
        let text = String::from_utf8(lock(&kept.0).clone()).unwrap();
        let ejected = text
            .lines()
            .filter(|line| line.contains(r#""endpoint":"a""#));
        let ejected = ejected.count();
        // A second may end meanwhile, and several of them on a machine that is busy.
        assert!((10..=990).contains(&ejected), "{text}");
        let counts = text.lines().filter_map(|line| {
            let (_, rest) = line.split_once(r#""left_out":"#)?;
            rest.trim_end_matches('}').parse::<usize>().ok()
        });
        assert_eq!(ejected + counts.sum::<usize>(), 1000, "{text}");
        assert!(
            text.contains(r#""message":"read","certificates":2"#),
            "{text}"
        );
        assert!(!text.contains("not wanted"), "{text}");
    }
}
