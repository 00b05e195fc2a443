//! Stores of limits that several gateways share: what they are asked, and what happens when they do not answer.

mod guard;
mod redis;

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    gcra::{Slot, Slots, Windows, charge, take},
    rate::Ticks,
};
use crate::error::BoxError;

pub use self::{guard::StoreGuard, redis::Redis};

/// Keeps the buckets of limits that several gateways share; [`Redis`] is one.
///
/// A store keeps a short text for each key, with a time after which it may forget it. It reads the text, asks
/// [`Ask::decide`], and writes the new one, all of that at once: no other gateway may read or write the text of that key in between.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::{collections::HashMap, sync::{Arc, Mutex}, time::SystemTime};
///
/// use prox::{BoxError, middleware::{Answer, Ask, LimitStore, RateLimit, StoreGuard, WhenDown}};
///
/// /// For tests.
/// #[derive(Clone, Default)]
/// struct Memory {
///     texts: Arc<Mutex<HashMap<String, String>>>,
///     guard: StoreGuard,
/// }
///
/// impl LimitStore for Memory {
///     async fn ask(&self, ask: &Ask) -> Result<Answer, BoxError> {
///         let mut texts = self.texts.lock().unwrap();
///         let decision = ask.decide(SystemTime::now(), texts.get(ask.key()).map(String::as_str));
///         if let Some((text, _keep)) = decision.write {
///             texts.insert(ask.key().to_owned(), text);
///         }
///         Ok(decision.answer)
///     }
///
///     fn guard(&self) -> &StoreGuard {
///         &self.guard
///     }
/// }
///
/// let store = Memory::default();
/// let limit = RateLimit::per_minute(100).name("api").shared(&store, WhenDown::Deny);
/// # let _ = limit;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of limits",
    label = "limits cannot be shared by this",
    note = "write `let store = Redis::url(REDIS_URL);`, with a line `env REDIS_URL: Secret;`"
)]
pub trait LimitStore: Send + Sync + 'static {
    /// Decides about one request.
    ///
    /// # Errors
    ///
    /// Why the store cannot say. The text goes to the log, so it must have no secret in it.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped after the time limit of the [`guard`](Self::guard), and when the client leaves.
    fn ask(&self, ask: &Ask) -> impl Future<Output = Result<Answer, BoxError>> + Send;

    /// The time limit, and what is known of failures. It must be the same for all clones of a store.
    fn guard(&self) -> &StoreGuard;

    /// What is wrong with the store as it is configured; asked when the gateway starts.
    fn problem(&self) -> Option<String> {
        None
    }
}

/// A store of any type.
pub(crate) trait AnyStore: Send + Sync {
    fn ask<'a>(
        &'a self,
        ask: &'a Ask,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send + 'a>>;

    fn guard(&self) -> &StoreGuard;

    fn problem(&self) -> Option<String>;
}

impl<S: LimitStore> AnyStore for S {
    fn ask<'a>(
        &'a self,
        ask: &'a Ask,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send + 'a>> {
        Box::pin(LimitStore::ask(self, ask))
    }

    fn guard(&self) -> &StoreGuard {
        LimitStore::guard(self)
    }

    fn problem(&self) -> Option<String> {
        LimitStore::problem(self)
    }
}

/// What a limit asks of a [`LimitStore`].
#[derive(Clone, Debug)]
pub struct Ask {
    key: String,
    windows: Windows,
    charge: bool,
}

impl Ask {
    pub(crate) fn new(key: String, windows: Windows, charge: bool) -> Self {
        Self {
            key,
            windows,
            charge,
        }
    }

    /// Under which key the text is kept: printable ASCII, and nothing that tells of a client.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Decides by the text that is kept under the key, if there is one, at this time. A malformed text counts as none.
    ///
    /// All gateways should go by one clock, so take that of the store.
    pub fn decide(&self, now: SystemTime, text: Option<&str>) -> Decision {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.decide_at(Ticks::MICROS.of(now), text)
    }

    fn decide_at(&self, now: u64, text: Option<&str>) -> Decision {
        let mut slots = read(text.unwrap_or_default(), self.windows.len());
        let allowed = if self.charge {
            charge(now, &self.windows, &mut slots);
            true
        } else {
            take(now, &self.windows, &mut slots)
        };
        let keep = slots.iter().map(|slot| slot.until.saturating_sub(now));
        let keep = Ticks::MICROS.time(keep.max().unwrap_or(0));
        let write = allowed && !keep.is_zero();
        let relative = slots.iter().map(|slot| Slot {
            until: slot.until.saturating_sub(now),
            used: slot.used,
        });
        Decision {
            write: write.then(|| (written(&slots), keep)),
            answer: Answer {
                allowed,
                slots: relative.collect(),
            },
        }
    }
}

/// Numbers, two for each window.
fn read(text: &str, windows: usize) -> Slots {
    let mut slots = Slots::new(windows);
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    for slot in slots.iter_mut() {
        let (Some(Ok(until)), Some(Ok(used))) = (numbers.next(), numbers.next()) else {
            break;
        };
        *slot = Slot { until, used };
    }
    slots
}

fn written(slots: &[Slot]) -> String {
    let numbers = slots
        .iter()
        .flat_map(|slot| [slot.until.to_string(), slot.used.to_string()]);
    numbers.collect::<Vec<_>>().join(" ")
}

/// What [`Ask::decide`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The text to keep from now on, and for how long at least; nothing if it stays as it is.
    pub write: Option<(String, Duration)>,
    /// What the store answers.
    pub answer: Answer,
}

/// What a [`LimitStore`] answers; made by [`Ask::decide`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub(crate) allowed: bool,
    /// The buckets, with times from now on.
    pub(crate) slots: Slots,
}

/// What a shared limit does while its store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// Requests pass, and nothing limits them.
    Allow,
    /// Requests are refused with `503` ([`Failure::LimitUnavailable`](crate::Failure::LimitUnavailable)).
    Deny,
    /// Each gateway limits by itself, at the full rate: with three of them, up to three times the rate passes.
    Local,
}

#[cfg(test)]
mod tests {
    use super::{
        super::gcra::{Fill, Window},
        *,
    };

    #[test]
    fn a_text_that_was_written_is_read_again_and_a_malformed_one_counts_as_none() {
        let slots: Slots = [(1_800_000_000_000_000, 0), (7, 9)]
            .map(|(until, used)| Slot { until, used })
            .into_iter()
            .collect();
        let text = written(&slots);
        assert_eq!(text, "1800000000000000 0 7 9");
        assert_eq!(read(&text, 2), slots);
        for malformed in [
            "",
            "x",
            "1",
            "-1 0",
            "1.5 0",
            "99999999999999999999 0",
            "\0",
        ] {
            assert_eq!(read(malformed, 2), Slots::new(2), "{malformed:?}");
        }
        // Those of fewer windows leave the others full.
        assert_eq!(read("5 0", 2)[0], Slot { until: 5, used: 0 });
    }

    #[test]
    fn what_is_refused_is_not_written() {
        let window = Window {
            fill: Fill::Evenly,
            unit: 10,
            price: 10,
            capacity: 10,
            deepest: 10,
        };
        let ask = Ask::new("key".into(), [window].into_iter().collect(), false);
        let first = ask.decide_at(100, None);
        assert_eq!(
            first.write,
            Some(("110 0".into(), Duration::from_micros(10)))
        );
        assert!(first.answer.allowed);
        let second = ask.decide_at(105, Some("110 0"));
        assert_eq!(second.write, None);
        assert!(!second.answer.allowed);
        assert_eq!(second.answer.slots[0].until, 5);
    }
}
