//! Keys that are fetched over HTTP, again and again.

mod fetch;
mod pace;
#[cfg(test)]
mod tests;
mod url;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, task::AbortHandle, time::Instant};

pub(super) use self::fetch::Place;
use self::{
    fetch::{Fetched, Fetcher, Options},
    pace::{Pace, Unknown},
};
use super::key::Key;
use crate::{auth::remote::Remote, cluster::Rng, middleware::About, sync::lock, time::standstill};

/// How long a request waits for a fetch that is under way.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys of an issuer, or at a URL.
pub(super) struct Fetching {
    fetcher: Arc<Fetcher>,
    shared: Arc<Shared>,
    /// The fetch that is under way, which ends with this.
    task: Mutex<Option<AbortHandle>>,
}

/// What requests and a fetch share.
struct Shared {
    /// For events.
    name: String,
    state: Mutex<State>,
    /// Changes at the end of each fetch.
    ended: watch::Sender<()>,
}

struct State {
    keys: Option<Arc<Vec<Key>>>,
    /// The document that they are of.
    text: Bytes,
    pace: Pace,
    counts: KeyFetches,
}

/// How often a [`Jwt`](super::Jwt) has fetched its keys: [`Jwt::key_fetches`](super::Jwt::key_fetches).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyFetches {
    /// Fetches that brought keys.
    pub fetched: u64,
    /// Those of them that brought other keys than before, the first included.
    pub changed: u64,
    /// Fetches that failed: no answer, or a broken one.
    pub failed: u64,
    /// Those of all of them that began because of a key that was not known.
    pub for_unknown_key: u64,
}

/// What becomes of a token that names a key which is not known.
pub(super) enum Newer {
    /// There are other keys now.
    Keys(Arc<Vec<Key>>),
    /// There is no such key.
    None,
    /// Nobody knows now.
    Unavailable(Duration),
}

impl Fetching {
    pub(super) fn new(place: Place) -> Arc<Self> {
        Self::of(Options::new(place))
    }

    fn of(options: Options) -> Arc<Self> {
        let shared = Shared {
            name: options.place.text().to_owned(),
            state: Mutex::new(State {
                keys: None,
                text: Bytes::new(),
                pace: Pace::new(),
                counts: KeyFetches::default(),
            }),
            ended: watch::Sender::new(()),
        };
        Arc::new(Self {
            fetcher: Arc::new(Fetcher::new(options)),
            shared: Arc::new(shared),
            task: Mutex::default(),
        })
    }

    /// The same with other options, and without keys.
    fn with(&self, change: impl FnOnce(&mut Options)) -> Arc<Self> {
        let mut options = self.fetcher.options.clone();
        change(&mut options);
        Self::of(options)
    }

    pub(super) fn allow_http(&self) -> Arc<Self> {
        self.with(|options| options.allow_http = true)
    }

    pub(super) fn by(&self, remote: Remote) -> Arc<Self> {
        self.with(|options| options.by = Some(remote))
    }

    pub(super) fn max_stale(&self, max_stale: Duration) -> Arc<Self> {
        self.with(|options| options.max_stale = max_stale)
    }

    pub(super) fn counts(&self) -> KeyFetches {
        lock(&self.shared.state).counts
    }

    /// The keys, if they are there and no fetch should begin.
    pub(super) fn at_hand(&self) -> Option<Arc<Vec<Key>>> {
        let now = Instant::now();
        let state = lock(&self.shared.state);
        if state.pace.is_due(now) {
            return None;
        }
        state.usable(now, self.fetcher.options.max_stale)
    }

    /// The keys. If they are old, a fetch begins beside.
    ///
    /// # Errors
    ///
    /// When there are none, and none come soon: how long a client should wait.
    pub(super) async fn keys(&self) -> Result<Arc<Vec<Key>>, Duration> {
        let max_stale = self.fetcher.options.max_stale;
        let now = Instant::now();
        let (due, mut ended) = {
            let mut state = lock(&self.shared.state);
            let due = state.pace.begin_if_due(now);
            match state.usable(now, max_stale) {
                Some(keys) if !due => return Ok(keys),
                Some(keys) => {
                    drop(state);
                    self.begin();
                    return Ok(keys);
                }
                None if !state.pace.is_under_way() => return Err(state.pace.wait(now)),
                None => (due, self.shared.ended.subscribe()),
            }
        };
        if due {
            self.begin();
        }
        // Whether it is over or not, what is there now counts.
        let _ = tokio::time::timeout(PATIENCE, ended.changed()).await;
        let now = Instant::now();
        let state = lock(&self.shared.state);
        let usable = state.usable(now, max_stale);
        usable.ok_or_else(|| state.pace.wait(now))
    }

    /// Looks for other keys than these, in which a token's key is not.
    pub(super) async fn newer(&self, than: &Arc<Vec<Key>>) -> Newer {
        let now = Instant::now();
        let (begins, mut ended, before) = {
            let mut state = lock(&self.shared.state);
            if let Some(keys) = state.others(than) {
                return Newer::Keys(keys);
            }
            match state.pace.unknown(now) {
                Unknown::Absent => return Newer::None,
                Unknown::Unavailable(wait) => return Newer::Unavailable(wait),
                Unknown::Fetch => {}
            }
            let begins = !state.pace.is_under_way();
            if begins {
                state.counts.for_unknown_key += 1;
                state.pace.begin();
            }
            let ended = self.shared.ended.subscribe();
            (begins, ended, state.counts.fetched)
        };
        if begins {
            self.begin();
        }
        let in_time = tokio::time::timeout(PATIENCE, ended.changed()).await;
        let state = lock(&self.shared.state);
        match state.others(than) {
            Some(keys) => Newer::Keys(keys),
            // It has brought the same keys.
            None if in_time.is_ok() && state.counts.fetched > before => Newer::None,
            None => Newer::Unavailable(state.pace.wait(Instant::now())),
        }
    }

    /// Begins a fetch, of which the state knows, on a task of its own: it goes on when the client leaves that has asked for it.
    ///
    /// The state must not be locked, since the task may end at once.
    fn begin(&self) {
        // Lives in the task from its first moment, so that a runtime that ends before it is polled counts as well.
        let end = End(Some(Arc::clone(&self.shared)));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let fetcher = Arc::clone(&self.fetcher);
        let task =
            runtime.spawn(async move { end.with(standstill::done(|| fetcher.fetch()).await) });
        *lock(&self.task) = Some(task.abort_handle());
    }

    /// Has the gateway fetch the keys for as long as it runs, and be ready once they have come.
    pub(super) fn follow(self: &Arc<Self>, about: &mut About) {
        about.add_problems(self.fetcher.problems());
        if let Some(remote) = self.fetcher.remote() {
            remote.follow(about);
        }
        let shared = Arc::clone(&self.shared);
        let name = format!("the keys of {}", shared.name);
        about.ready(name, move || lock(&shared.state).keys.is_some());
        let fetching = Arc::clone(self);
        about.task(move || {
            let fetching = Arc::clone(&fetching);
            async move { fetching.keep_new().await }
        });
    }

    /// Fetches the keys whenever they are old.
    async fn keep_new(&self) {
        let mut ended = self.shared.ended.subscribe();
        loop {
            let now = Instant::now();
            let (due, next) = {
                let mut state = lock(&self.shared.state);
                (state.pace.begin_if_due(now), state.pace.next(now))
            };
            if due {
                self.begin();
            }
            let _ = tokio::time::timeout_at(next, ended.changed()).await;
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl State {
    fn usable(&self, now: Instant, max_stale: Duration) -> Option<Arc<Vec<Key>>> {
        let keys = self.keys.as_ref()?;
        self.pace.is_fresh(now, max_stale).then(|| Arc::clone(keys))
    }

    /// Says how many fetches have failed before this one.
    fn came(&mut self, fetched: Fetched, issuer: &str) -> u32 {
        let Fetched { keys, text, lasts } = fetched;
        self.counts.fetched += 1;
        // The same keys leave the tokens that they have verified.
        let is_first = self.keys.is_none();
        if is_first || self.text != text {
            let count = keys.len();
            if is_first {
                tracing::info!(target: "prox", issuer, keys = count, "keys fetched");
            } else {
                tracing::info!(target: "prox", issuer, keys = count, "keys changed");
            }
            self.counts.changed += 1;
            self.keys = Some(Arc::new(keys));
            self.text = text;
        }
        let now = Instant::now();
        Rng::with_local(|rng| self.pace.came(now, lasts, rng))
    }

    /// Says how long it is until the next try, and whether there are old keys.
    fn failed(&mut self) -> (Duration, bool) {
        self.counts.failed += 1;
        let now = Instant::now();
        let pause = Rng::with_local(|rng| self.pace.failed(now, rng));
        (pause, self.keys.is_some())
    }

    /// The keys, if they are not these.
    fn others(&self, than: &Arc<Vec<Key>>) -> Option<Arc<Vec<Key>>> {
        let keys = self.keys.as_ref()?;
        (!Arc::ptr_eq(keys, than)).then(|| Arc::clone(keys))
    }
}

impl Shared {
    fn ended(&self, fetched: Result<Fetched, String>) {
        let issuer = &*self.name;
        let mut state = lock(&self.state);
        match fetched {
            Ok(fetched) => {
                let failures = state.came(fetched, issuer);
                if failures > 0 {
                    tracing::info!(target: "prox", issuer, failures, "keys can be fetched again");
                }
            }
            Err(reason) => {
                let (pause, kept) = state.failed();
                tracing::warn!(target: "prox", issuer, reason, ?pause, kept, "keys cannot be fetched");
            }
        }
        drop(state);
        self.ended.send_replace(());
    }
}

/// Tells of the end of a fetch, however it ends.
struct End(Option<Arc<Shared>>);

impl End {
    fn with(mut self, fetched: Result<Fetched, String>) {
        if let Some(shared) = self.0.take() {
            shared.ended(fetched);
        }
    }
}

/// The gateway or its runtime has ended, which is not worth an event.
impl Drop for End {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            lock(&shared.state).failed();
            shared.ended.send_replace(());
        }
    }
}

impl fmt::Debug for Fetching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetching")
            .field("from", &self.fetcher.options.place)
            .finish_non_exhaustive()
    }
}
