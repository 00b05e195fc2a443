//! What is told with `tracing` on the thread of one test.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    dispatcher::{self, DefaultGuard},
    field::{Field, Visit},
    span,
    subscriber::Interest,
};

/// All events with the target `prox` on this thread, from [`record`](Self::record) on, until it is dropped.
///
/// A gateway that is served in the runtime of a `#[tokio::test]` runs on the thread of the test.
#[derive(Debug)]
pub struct Events {
    seen: Seen,
    _default: DefaultGuard,
    /// While there is only one subscriber, `tracing` asks that of another thread, which has none, whether an event matters.
    _second: Dispatch,
}

type Seen = Arc<Mutex<Vec<Told>>>;

/// One event.
#[derive(Clone, Debug)]
pub struct Told {
    level: Level,
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl Told {
    /// How important it is.
    pub fn level(&self) -> Level {
        self.level
    }

    /// What is said.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A field besides the message, as it is printed.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Events {
    /// Begins to record.
    pub fn record() -> Self {
        let recorder = Recorder::default();
        let seen = Arc::clone(&recorder.0);
        let dispatch = Dispatch::new(recorder);
        Self {
            seen,
            _default: dispatcher::set_default(&dispatch),
            _second: Dispatch::new(Recorder::default()),
        }
    }

    /// All so far, in their order.
    pub fn all(&self) -> Vec<Told> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    /// The first that says this.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn first(&self, message: &str) -> Told {
        let all = self.all();
        let found = all.iter().find(|told| told.message == message);
        found
            .unwrap_or_else(|| panic!("nobody said {message:?}: {all:#?}"))
            .clone()
    }
}

#[derive(Debug, Default)]
struct Recorder(Seen);

impl Subscriber for Recorder {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Other threads have other subscribers, or none.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "prox"
    }

    fn event(&self, event: &Event<'_>) {
        let mut told = Told {
            level: *event.metadata().level(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut told);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(told);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name(), text);
        }
    }
}
