//! Writes events to stderr, in a program that has installed nothing else for them.
//!
//! A gateway must not eject an endpoint in silence because its author has not heard of subscribers.

mod filter;
mod kinds;
mod line;

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

pub(crate) use self::filter::Filter;
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
    filter: RwLock<Filter>,
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
            filter: RwLock::new(filter),
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
