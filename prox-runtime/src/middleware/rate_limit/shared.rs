//! Limits whose buckets are in a store that several gateways share.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use super::{
    Access, Core, Local, Options, Places, RateLimit,
    fields::Name,
    verdict::{Asked, Verdict, View},
};
use crate::{
    coding::Hex,
    limits::{self, AnyStore, Ask, Key, LimitStore, Rate, Slot, Slots, Ticks, WhenDown},
    sync::Sharded,
};

/// How long a refusal is remembered at most. After that the store may know better.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How many refusals a worker remembers.
const MOST_REFUSED: usize = 8192;

/// The buckets of a [`RateLimit`] are in a store.
#[derive(Clone, Copy, Debug)]
pub enum Shared {}

/// A store, and how a limit goes by it.
#[derive(Clone)]
pub(super) struct SharedBy {
    store: Arc<dyn AnyStore>,
    when: WhenDown,
    calendar: bool,
}

impl<K> RateLimit<K, Local> {
    /// Shares the limit with all gateways that have one of this [name](Self::name) on the same store. Together they do not allow more
    /// than the limit.
    ///
    /// `when` says what happens while the store does not answer: [`WhenDown`] has no default. A request waits for the store no longer
    /// than its time limit, 50 ms by default. A key that was refused is not asked for again until it may return, for up to 10 s.
    ///
    /// A shared limit needs a name, because its buckets are found by it. Rates count in whole microseconds, rounded so that less is
    /// allowed.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Secret, middleware::{RateLimit, Redis, WhenDown, param}};
    ///
    /// # fn limits(redis_url: Secret) {
    /// // In a gateway: `env REDIS_URL: Secret;`
    /// let store = Redis::url(redis_url);
    /// let limit = RateLimit::per_minute(100).by(param("tenant")).name("tenant").shared(&store, WhenDown::Local);
    /// # let _ = limit;
    /// # }
    /// ```
    pub fn shared<L: LimitStore + Clone>(self, store: &L, when: WhenDown) -> RateLimit<K, Shared> {
        let mut options = self.options;
        options.shared = Some(SharedBy {
            store: Arc::new(store.clone()),
            when,
            calendar: false,
        });
        RateLimit {
            key: self.key,
            options,
            core: Arc::default(),
            labels: Places::default(),
            place: PhantomData,
        }
    }
}

impl<K> RateLimit<K, Shared> {
    /// Windows of a day or a month are those of the calendar, in UTC: their buckets are full again at midnight, or on the first of the
    /// month, and not before. It is for quotas that are paid for.
    ///
    /// A limit without such a window is an error when the gateway starts.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Secret, middleware::{Rate, RateLimit, Redis, WhenDown, param}};
    ///
    /// # fn limits(redis_url: Secret) {
    /// let store = Redis::url(redis_url);
    /// let limit = RateLimit::per_second(20)
    ///     .and(Rate::per_month(1_000_000))
    ///     .by(param("tenant"))
    ///     .name("quota")
    ///     .shared(&store, WhenDown::Deny)
    ///     .calendar();
    /// # let _ = limit;
    /// # }
    /// ```
    pub fn calendar(mut self) -> Self {
        if let Some(shared) = &mut self.options.shared {
            shared.calendar = true;
        }
        self.renewed()
    }
}

impl Options {
    pub(super) fn ticks(&self) -> Ticks {
        match self.shared {
            Some(_) => Ticks::MICROS,
            None => Ticks::NANOS,
        }
    }

    pub(super) fn calendar(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.calendar)
    }

    /// What the time is now. It is not 0, which is the time of a bucket that is full.
    pub(super) fn base(&self) -> u64 {
        match self.shared {
            Some(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                Ticks::MICROS.of(now.unwrap_or_default()).max(1)
            }
            None => 1,
        }
    }

    pub(super) fn problems_of_sharing(&self) -> Vec<String> {
        let Some(shared) = &self.shared else {
            return Vec::new();
        };
        let mut problems = Vec::from_iter(shared.store.problem());
        if self.name.is_default() {
            problems.push("a shared limit needs a name, because its buckets are found by it: add `.name(\"..\")`".into());
        }
        if shared.calendar && !self.rates.iter().any(Rate::is_of_calendar) {
            problems.push("`.calendar()` is about days and months: add `.and(Rate::per_month(..))`, or remove it".into());
        }
        if let Some(rate) = self
            .rates
            .iter()
            .find(|rate| shared.calendar && rate.has_burst() && rate.is_of_calendar())
        {
            let period = rate.period().as_secs();
            problems.push(format!(
                "a window of {period} s of the calendar has no burst: remove it"
            ));
        }
        problems
    }
}

/// The name of the buckets in a store. It is the same in every gateway, and does not have the text of the key.
fn text(name: &Name, key: &[u8]) -> String {
    let digest = Sha256::digest(key);
    let (digest, _) = digest.split_at(16);
    format!("prox:{{{}:{}}}", name.text(), Hex(digest))
}

/// The store, for one request.
pub(super) struct Store<'a> {
    by: &'a SharedBy,
    name: &'a Name,
    key: Vec<u8>,
}

impl<'a> Store<'a> {
    pub(super) fn new(by: &'a SharedBy, name: &'a Name, key: Vec<u8>) -> Self {
        Self { by, name, key }
    }

    pub(super) async fn take(&self, access: &Access<'_>, asked: &Asked) -> Verdict {
        let Access { core, key, .. } = *access;
        let now = core.now();
        if let Some(slots) = core.refused.recall(key, now, asked) {
            return Verdict::Refused(core.view(now, slots, true));
        }
        let Some((allowed, view)) = self.ask(core, asked, false).await else {
            return match self.by.when {
                WhenDown::Allow => Verdict::Unlimited,
                WhenDown::Deny => Verdict::Unavailable,
                WhenDown::Local => core.take(key, asked),
            };
        };
        if allowed {
            return Verdict::Passed(view);
        }
        let until = now + core.ticks.of(REMEMBERED);
        core.refused.remember(key, now, view.slots, until);
        Verdict::Refused(view)
    }

    /// What is left afterwards, if that is known.
    pub(super) async fn charge(&self, access: &Access<'_>, asked: &Asked) -> Option<View> {
        let Access { core, key, .. } = *access;
        match self.ask(core, asked, true).await {
            Some((_, view)) => Some(view),
            None if self.by.when == WhenDown::Local => Some(core.charge(key, asked)),
            None => None,
        }
    }

    async fn ask(&self, core: &Core, asked: &Asked, charge: bool) -> Option<(bool, View)> {
        let ask = Ask::new(text(self.name, &self.key), asked.windows, charge);
        let guard = self.by.store.guard();
        let answer = guard.run(self.name.text(), self.by.store.ask(&ask)).await;
        let answer = answer.ok()?;
        // The clock of the store is another one.
        let now = core.now();
        let slots: Slots = answer
            .slots
            .iter()
            .map(|slot| Slot {
                until: now.saturating_add(slot.until),
                used: slot.used,
            })
            .collect();
        Some((answer.allowed, core.view(now, slots, !answer.allowed)))
    }
}

/// The buckets of keys that the store has refused. What others take meanwhile only makes a key wait longer.
#[derive(Debug, Default)]
pub(super) struct Refused(Sharded<HashMap<Key, Known>>);

#[derive(Debug)]
struct Known {
    slots: Slots,
    until: u64,
}

impl Refused {
    /// The buckets of the key, if the request cannot fit into them yet.
    fn recall(&self, key: Key, now: u64, asked: &Asked) -> Option<Slots> {
        let refused = self.0.local();
        let known = refused.get(&key).filter(|known| known.until > now)?;
        limits::refuses(now, &asked.windows, &known.slots).then_some(known.slots)
    }

    fn remember(&self, key: Key, now: u64, slots: Slots, until: u64) {
        let mut refused = self.0.local();
        if refused.len() >= MOST_REFUSED {
            refused.retain(|_, known| known.until > now);
        }
        if refused.len() < MOST_REFUSED || refused.contains_key(&key) {
            refused.insert(key, Known { slots, until });
        }
    }
}

#[cfg(test)]
mod tests;
