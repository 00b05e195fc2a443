//! The token for one origin: used for its time, and made anew beside the requests.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::HeaderValue;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout, timeout_at},
};

use super::{Erased, Token};
use crate::{cluster::rng::Rng, sync::lock, time::standstill};

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long nothing is asked after the first failure in a row, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How much pauses and the time of a token differ, in percent, so that gateways do not ask in step.
const JITTER: u32 = 10;

/// The token for one origin.
pub(crate) struct Kept {
    audience: Arc<str>,
    credentials: Arc<dyn Erased>,
    shared: Arc<Shared>,
    /// What asks for the next token, which ends with this.
    task: Mutex<Option<AbortHandle>>,
}

/// What requests and the task share.
struct Shared {
    /// For events.
    backend: Arc<str>,
    audience: Arc<str>,
    state: Mutex<State>,
    /// Changes at the end of each question.
    ended: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    token: Option<Held>,
    asking: bool,
    /// Until then nothing is asked.
    paused: Option<Instant>,
    failures: u32,
}

struct Held {
    value: HeaderValue,
    /// When another one is asked for.
    renewed: Instant,
    /// When it is of no use any more.
    until: Instant,
}

/// What a request does now.
enum Now {
    Use(HeaderValue),
    /// It has the token, and asks for the next one.
    UseAndAsk(HeaderValue),
    Ask,
    Wait,
    /// There is none, and nothing is asked now.
    Fail,
}

/// Why there is no token.
enum Absent {
    /// One is asked for.
    AskedFor,
    /// Nothing is asked now.
    Now,
}

impl State {
    fn now(&mut self, now: Instant) -> Now {
        let may_ask = !self.asking && self.paused.is_none_or(|until| until <= now);
        let held = self.token.as_ref().filter(|held| now < held.until);
        let Some(held) = held else {
            // A secret is not kept for longer than it is of use.
            self.token = None;
            return if may_ask {
                self.asking = true;
                Now::Ask
            } else if self.asking {
                Now::Wait
            } else {
                Now::Fail
            };
        };
        let value = held.value.clone();
        if may_ask && held.renewed <= now {
            self.asking = true;
            Now::UseAndAsk(value)
        } else {
            Now::Use(value)
        }
    }

    /// A token has come that was asked for then. Says how many questions have failed before.
    fn came(&mut self, token: Token, began: Instant, rng: &Rng) -> u32 {
        let Token { value, lasts } = token;
        self.token = Some(Held {
            value,
            renewed: began + rng.around(lasts / 4 * 3, JITTER),
            // What the wait took is part of its time: the token may have been made at its start.
            until: began + lasts,
        });
        (self.asking, self.paused) = (false, None);
        std::mem::take(&mut self.failures)
    }

    /// No token has come. Says how many questions have failed in a row.
    fn failed(&mut self, now: Instant, rng: &Rng) -> u32 {
        let pause = FIRST_PAUSE * (1 << self.failures.min(5));
        self.paused = Some(now + rng.around(pause.min(LONGEST_PAUSE), JITTER));
        self.asking = false;
        self.failures = self.failures.saturating_add(1);
        self.failures
    }
}

impl Kept {
    pub(super) fn new(
        backend: Arc<str>,
        audience: Arc<str>,
        credentials: Arc<dyn Erased>,
    ) -> Arc<Self> {
        let shared = Shared {
            backend,
            audience: Arc::clone(&audience),
            state: Mutex::default(),
            ended: watch::Sender::new(()),
        };
        Arc::new(Self {
            audience,
            credentials,
            shared: Arc::new(shared),
            task: Mutex::default(),
        })
    }

    /// The token, if it is there. If it is old, another one is asked for beside.
    pub(crate) fn at_hand(&self, now: Instant) -> Option<HeaderValue> {
        self.look(now).ok()
    }

    /// The token, for which it waits so long if there is none.
    ///
    /// # Cancel safety
    ///
    /// What has been asked goes on.
    pub(crate) async fn get(&self, limit: Duration) -> Option<HeaderValue> {
        let end = Instant::now() + limit;
        // Before the state is read, so that no end is missed.
        let mut ended = self.shared.ended.subscribe();
        loop {
            match self.look(Instant::now()) {
                Ok(value) => return Some(value),
                Err(Absent::Now) => return None,
                Err(Absent::AskedFor) => timeout_at(end, ended.changed()).await.ok()?.ok()?,
            }
        }
    }

    /// The token, or whether one is asked for, which begins if it is time.
    fn look(&self, now: Instant) -> Result<HeaderValue, Absent> {
        let found = lock(&self.shared.state).now(now);
        match found {
            Now::Use(value) => Ok(value),
            Now::UseAndAsk(value) => {
                self.ask();
                Ok(value)
            }
            Now::Ask => {
                self.ask();
                Err(Absent::AskedFor)
            }
            Now::Wait => Err(Absent::AskedFor),
            Now::Fail => Err(Absent::Now),
        }
    }

    /// Asks for a token, of which the state knows, in a task of its own: it goes on when the client leaves.
    fn ask(&self) {
        // Lives in the task from its first moment, so that a runtime that ends before it is polled counts as well.
        let end = End(Some(Arc::clone(&self.shared)));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (credentials, audience) = (Arc::clone(&self.credentials), Arc::clone(&self.audience));
        let task = runtime.spawn(async move {
            let mut began = Instant::now();
            let answer = standstill::done(|| {
                began = Instant::now();
                asked(Arc::clone(&credentials), Arc::clone(&audience))
            })
            .await;
            end.with(answer, began);
        });
        *lock(&self.task) = Some(task.abort_handle());
    }
}

/// One question, in a task of its own, so that a panic in it is a failure.
async fn asked(credentials: Arc<dyn Erased>, audience: Arc<str>) -> Result<Token, String> {
    let mut task = JoinSet::new();
    task.spawn(async move { credentials.erased(&audience).await });
    match timeout(LIMIT, task.join_next()).await {
        Ok(Some(Ok(answer))) => answer,
        Ok(_) => Err("it panicked".into()),
        Err(_) => Err(format!("no answer within {LIMIT:?}")),
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl Shared {
    fn ended(&self, answer: Result<Token, String>, began: Instant) {
        let (backend, audience) = (&*self.backend, &*self.audience);
        let mut state = lock(&self.state);
        match answer {
            Ok(token) => {
                let failures = Rng::with_local(|rng| state.came(token, began, rng));
                drop(state);
                if failures > 0 {
                    tracing::info!(target: "prox", backend, audience, failures, "credentials can be fetched again");
                }
            }
            Err(reason) => {
                let failures = Rng::with_local(|rng| state.failed(Instant::now(), rng));
                drop(state);
                if failures == 1 {
                    tracing::warn!(target: "prox", backend, audience, reason, "credentials cannot be fetched");
                } else {
                    tracing::debug!(target: "prox", backend, audience, reason, failures, "credentials cannot be fetched");
                }
            }
        }
        self.ended.send_replace(());
    }
}

/// Tells of the end of a question, however it ends.
struct End(Option<Arc<Shared>>);

impl End {
    fn with(mut self, answer: Result<Token, String>, began: Instant) {
        if let Some(shared) = self.0.take() {
            shared.ended(answer, began);
        }
    }
}

/// The gateway or the runtime of its worker has ended, which is not the fault of the credentials: the next request asks again.
impl Drop for End {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            lock(&shared.state).asking = false;
            shared.ended.send_replace(());
        }
    }
}

/// Without the token.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
