//! Silence: several requests wait at an endpoint, nothing comes back from it, and other endpoints answer.
//!
//! Only requests that have waited for long ask about it, so all others pay one store for it. The limit adapts: work of which an
//! answer has taken as long as that is not silence.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{Cause, Change, Ejections, Passive, PassiveOptions, Phase};
use crate::sync::lock;

/// The limit, where the user has set none.
const SILENCE: Duration = Duration::from_secs(5);

/// So many requests wait at an endpoint that is silent.
const SEVERAL: u32 = 3;

/// So many good answers of the other endpoints, in the window of the shares, show that it is not the work that takes so long.
const ENOUGH: u64 = 5;

/// How long an answer that was late, and came all the same, raises the limit.
const MEMORY: Duration = Duration::from_mins(5);

/// What has come back from one endpoint.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// When a response began last.
    answered: Stamp,
    /// When a part of a body came last for which somebody waited.
    heard: Stamp,
    /// When it was last said that it is spared.
    spared: Stamp,
    /// The requests that have waited for longer than the limit.
    waiting: AtomicU32,
    /// The longest wait for an answer that came after the endpoint was ejected.
    longest: Longest,
}

/// A time in milliseconds after the start of the cluster, plus one; 0 for never.
#[derive(Debug, Default)]
struct Stamp(AtomicU64);

impl Stamp {
    fn set(&self, cluster: &Ejections, now: Instant) {
        self.0.store(cluster.millis(now) + 1, Ordering::Relaxed);
    }

    fn is_within(&self, limit: Duration, cluster: &Ejections, now: Instant) -> bool {
        let stamp = self.0.load(Ordering::Relaxed);
        stamp > 0 && u128::from(cluster.millis(now).saturating_sub(stamp - 1)) < limit.as_millis()
    }
}

/// The longest wait of the last minutes that an answer has ended.
#[derive(Debug, Default)]
pub(super) struct Longest {
    millis: AtomicU64,
    seen: Stamp,
}

impl Longest {
    fn note(&self, wait: Duration, cluster: &Ejections, now: Instant) {
        if wait >= self.get(cluster, now) {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.millis.store(millis, Ordering::Relaxed);
            self.seen.set(cluster, now);
        }
    }

    fn get(&self, cluster: &Ejections, now: Instant) -> Duration {
        if self.seen.is_within(MEMORY, cluster, now) {
            Duration::from_millis(self.millis.load(Ordering::Relaxed))
        } else {
            Duration::ZERO
        }
    }
}

/// What an endpoint shows about the silence of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    /// Nothing.
    Absent,
    /// So many good answers lately, and no request waits for long.
    Answers(u64),
    /// Requests wait for long here as well, although it answers: some of the work takes that long.
    Waits,
}

impl PassiveOptions {
    /// How long a request must wait until its endpoint may be silent, where it may wait for `response_timeout` as a whole.
    fn silence_within(&self, response_timeout: Duration) -> Option<Duration> {
        let limit = self
            .silence
            .unwrap_or_else(|| SILENCE.max(response_timeout / 6));
        (!limit.is_zero()).then_some(limit)
    }
}

impl Ejections {
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl Passive {
    /// How long a request waits here until the endpoint may be silent; none where that ejects nobody.
    pub(crate) fn silence(&self, response_timeout: Duration) -> Option<Duration> {
        self.cluster.options.silence_within(response_timeout)
    }

    /// The endpoint has answered well so far what was `sent` then. One that was ejected for its silence is back with that, unless
    /// the request is a `probe`, which has a verdict of its own.
    pub(crate) fn answered(&self, sent: Instant, probe: bool, now: Instant) -> Option<Change> {
        let cluster = &*self.cluster;
        self.signs.answered.set(cluster, now);
        let wait = now.saturating_duration_since(sent);
        let is_out = self.is_ejected();
        if wait >= cluster.options.silence.unwrap_or(SILENCE) {
            // What an endpoint does that is ejected says nothing of the work that the others do.
            let longest = if is_out {
                &self.signs.longest
            } else {
                &cluster.longest
            };
            longest.note(wait, cluster, now);
        }
        if !is_out || probe {
            return None;
        }
        let mut state = lock(&self.state);
        let is_silent = state.silent && !matches!(state.phase, Phase::Admitted | Phase::Left);
        is_silent.then(|| self.admit(&mut state, now))
    }

    /// Something other than the head of a good response has come from the endpoint.
    pub(crate) fn heard(&self, now: Instant) {
        self.signs.heard.set(&self.cluster, now);
    }

    /// How long a request waits until it counts as one that waits for long: `limit`, or twice as long as an answer has taken.
    pub(crate) fn patience(&self, limit: Duration, now: Instant) -> Duration {
        let longest = |longest: &Longest| longest.get(&self.cluster, now).saturating_mul(2);
        limit
            .max(longest(&self.cluster.longest))
            .max(longest(&self.signs.longest))
    }

    /// One more request waits for long; each call needs its [`waits_no_more`](Self::waits_no_more).
    pub(crate) fn waits(&self) {
        self.signs.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that waited for long does not wait any more.
    pub(crate) fn waits_no_more(&self) {
        self.signs.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many requests wait for long, if several do and nothing has come back from the endpoint for `limit`.
    pub(crate) fn suspect(&self, limit: Duration, now: Instant) -> Option<u32> {
        let waiting = self.signs.waiting.load(Ordering::Relaxed);
        (waiting >= SEVERAL && !self.is_heard_within(limit, now)).then_some(waiting)
    }

    /// What the endpoint shows about the silence of another one.
    pub(crate) fn witness(&self, limit: Duration, now: Instant) -> Witness {
        if self.is_ejected() || !self.is_heard_within(limit, now) {
            return Witness::Absent;
        }
        if self.signs.waiting.load(Ordering::Relaxed) > 0 {
            return Witness::Waits;
        }
        if !self.signs.answered.is_within(limit, &self.cluster, now) {
            return Witness::Absent;
        }
        let tally = self.window.tally(now);
        Witness::Answers(tally.all.saturating_sub(tally.marked))
    }

    fn is_heard_within(&self, limit: Duration, now: Instant) -> bool {
        let signs = &self.signs;
        let is_within = |stamp: &Stamp| stamp.is_within(limit, &self.cluster, now);
        is_within(&signs.answered) || is_within(&signs.heard)
    }

    /// Whether it is ejected for its silence.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_ejected() && lock(&self.state).silent
    }

    /// Ejects the endpoint, where so many requests wait and nothing has come back for `limit`, if that is allowed.
    pub(crate) fn silent(&self, waiting: u32, limit: Duration, now: Instant) -> Option<Change> {
        let cause = Cause::Silent(waiting);
        let mut state = lock(&self.state);
        if state.phase != Phase::Admitted {
            return None;
        }
        if !self.cluster.reserve(false) {
            let is_told = self.signs.spared.is_within(limit, &self.cluster, now);
            self.signs.spared.set(&self.cluster, now);
            return (!is_told).then_some(Change::Spared { cause });
        }
        Some(self.eject_anew(&mut state, cause, false, now))
    }
}

/// Whether the others have answered enough for one that does not answer to be silent.
pub(crate) fn is_proven(witnesses: impl Iterator<Item = Witness>) -> bool {
    let mut answers = 0_u64;
    for witness in witnesses {
        match witness {
            Witness::Absent => {}
            Witness::Answers(count) => answers = answers.saturating_add(count),
            Witness::Waits => return false,
        }
    }
    answers >= ENOUGH
}

#[cfg(test)]
mod tests;
