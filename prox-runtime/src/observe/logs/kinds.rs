//! How many events of a kind are written: what happens thousands of times a second says no more than what happens ten times.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tracing::{Level, Metadata, callsite::Identifier};

use crate::sync::lock;

/// How many events of a kind are written in a second.
const MOST: u64 = 10;

/// The events of a kind come from one place of the program.
#[derive(Default)]
pub(super) struct Kinds {
    known: Mutex<HashMap<Identifier, Kind>>,
    /// Whether any event was left out.
    left_out: AtomicBool,
}

struct Kind {
    second: u64,
    seen: u64,
    level: Level,
    target: String,
    message: String,
}

/// How many events of a kind were left out, and what they were.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) count: u64,
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) message: String,
}

impl Kind {
    fn left_out(&self) -> Option<LeftOut> {
        let count = self.seen.checked_sub(MOST).filter(|&count| count > 0)?;
        Some(LeftOut {
            count,
            level: self.level,
            target: self.target.clone(),
            message: self.message.clone(),
        })
    }
}

impl Kinds {
    /// Counts an event that happens in this second. Whether it is written.
    pub(super) fn takes(&self, metadata: &Metadata<'_>, message: &str, second: u64) -> bool {
        let mut known = lock(&self.known);
        let kind = known.entry(metadata.callsite()).or_insert_with(|| Kind {
            second,
            seen: 0,
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
        });
        if kind.second != second {
            kind.second = second;
            kind.seen = 0;
        }
        kind.seen += 1;
        let takes = kind.seen <= MOST;
        if !takes && kind.message.is_empty() {
            message.clone_into(&mut kind.message);
        }
        if !takes {
            self.left_out.store(true, Relaxed);
        }
        takes
    }

    /// What was left out before this second, and was not told yet. With `None` it is all that was left out.
    pub(super) fn left_out(&self, second: Option<u64>) -> Vec<LeftOut> {
        if !self.left_out.load(Relaxed) {
            return Vec::new();
        }
        let mut known = lock(&self.known);
        let mut left_out = Vec::new();
        let mut more = false;
        for kind in known.values_mut() {
            let Some(found) = kind.left_out() else {
                continue;
            };
            if second == Some(kind.second) {
                more = true;
                continue;
            }
            kind.seen = MOST;
            kind.message.clear();
            left_out.push(found);
        }
        self.left_out.store(more, Relaxed);
        left_out.sort_by(|a, b| a.message.cmp(&b.message));
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place;

    impl tracing::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            &METADATA
        }
    }

    static PLACE: Place = Place;
    static METADATA: Metadata<'static> = Metadata::new(
        "event",
        "prox",
        Level::WARN,
        None,
        None,
        None,
        tracing::field::FieldSet::new(&[], Identifier(&PLACE)),
        tracing::metadata::Kind::EVENT,
    );

    #[test]
    fn ten_of_a_kind_are_written_in_a_second_and_the_others_counted() {
        let kinds = Kinds::default();
        let written = (0..25).filter(|_| kinds.takes(&METADATA, "failed", 1));
        assert_eq!(written.count(), 10);
        assert_eq!(kinds.left_out(Some(1)), []);
        let left_out = LeftOut {
            count: 15,
            level: Level::WARN,
            target: "prox".into(),
            message: "failed".into(),
        };
        assert_eq!(kinds.left_out(Some(2)), [left_out]);
        assert_eq!(kinds.left_out(Some(2)), []);
        assert!(kinds.takes(&METADATA, "failed", 2));
        assert_eq!(kinds.left_out(None), []);
    }

    #[test]
    fn the_end_tells_what_is_left() {
        let kinds = Kinds::default();
        for _ in 0..12 {
            kinds.takes(&METADATA, "failed", 1);
        }
        let counts: Vec<_> = kinds.left_out(None).iter().map(|left| left.count).collect();
        assert_eq!(counts, [2]);
        assert!(!kinds.takes(&METADATA, "failed", 1));
    }
}
