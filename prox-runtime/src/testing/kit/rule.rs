//! What a fake answers to which requests.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use http::Method;
use tokio::sync::watch;

use super::{
    pattern::Pattern,
    reply::{IntoReply, Reply, Replying},
    seen::Seen,
};
use crate::sync::lock;

type Answers = Arc<dyn Fn(Seen) -> Replying + Send + Sync>;

/// Requests that a fake answers alike; made by [`Fake::on`](super::Fake::on). Without a reply, the answer is an empty `200`.
///
/// Of several rules that take a request, the last one counts.
#[derive(Clone, Debug)]
pub struct Rule(pub(super) Arc<Inner>);

pub(super) struct Inner {
    method: Option<Method>,
    pattern: Option<Pattern>,
    text: String,
    state: Mutex<State>,
}

struct State {
    answers: Answers,
    gate: Option<Gate>,
    /// How many requests it takes.
    times: Option<usize>,
    taken: usize,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    /// A rule for each request, or for those of a method and a pattern.
    #[track_caller]
    pub(super) fn new(of: Option<(&str, &str)>) -> Self {
        let method = of.filter(|(method, _)| *method != "*").map(|(method, _)| {
            let Ok(method) = Method::from_bytes(method.as_bytes()) else {
                panic!("`{method}` is not a method: expected one such as `GET`, or `*` for all");
            };
            method
        });
        Self(Arc::new(Inner {
            method,
            pattern: of.map(|(_, pattern)| Pattern::new(pattern)),
            text: of.map_or("all requests".into(), |(method, pattern)| {
                format!("{method} {pattern}")
            }),
            state: Mutex::new(State {
                answers: Arc::new(|_| Box::pin(std::future::ready(Reply::default()))),
                gate: None,
                times: None,
                taken: 0,
            }),
        }))
    }

    /// Answers what the function returns: a [`Reply`], what becomes one, or a future of these.
    pub fn reply<F, R, M>(self, answer: F) -> Self
    where
        F: Fn(Seen) -> R + Send + Sync + 'static,
        R: IntoReply<M>,
    {
        lock(&self.0.state).answers = Arc::new(move |seen| answer(seen).into_reply());
        self
    }

    /// Answers this each time: a [`Reply`], a status, a text, or a pair of both.
    #[track_caller]
    pub fn reply_with(self, reply: impl Into<Reply>) -> Self {
        let reply = reply.into();
        self.reply(move |_| reply.clone())
    }

    /// Answers these one after the other; the last one again and again.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn then<R: Into<Reply>>(self, replies: impl IntoIterator<Item = R>) -> Self {
        let mut left: Vec<Reply> = replies.into_iter().map(Into::into).collect();
        assert!(!left.is_empty(), "`then` needs at least one reply");
        left.reverse();
        let left = Mutex::new(left);
        self.reply(move |_| {
            let mut left = lock(&left);
            match &left[..] {
                [last] => last.clone(),
                _ => left.pop().unwrap_or_default(),
            }
        })
    }

    /// Takes so many requests, and leaves others to the rules before it. A test in which it takes fewer fails at its end.
    pub fn times(self, count: usize) -> Self {
        lock(&self.0.state).times = Some(count);
        self
    }

    /// Holds each request until the gate is opened.
    pub fn hold(&self) -> Gate {
        let gate = Gate::default();
        lock(&self.0.state).gate = Some(gate.clone());
        gate
    }

    /// Takes the request, if it is one of its own: its answer, and the gate before that.
    pub(super) fn take(&self, seen: &mut Seen) -> Option<(Answers, Option<Gate>)> {
        let inner = &self.0;
        if inner
            .method
            .as_ref()
            .is_some_and(|method| *method != seen.method)
        {
            return None;
        }
        let params = match &inner.pattern {
            Some(pattern) => pattern.takes(seen.path())?,
            None => Vec::new(),
        };
        let mut state = lock(&inner.state);
        if state.times.is_some_and(|times| state.taken >= times) {
            return None;
        }
        state.taken += 1;
        seen.params = params;
        Some((Arc::clone(&state.answers), state.gate.clone()))
    }

    /// What is missing at the end of a test.
    pub(super) fn missing(&self) -> Option<String> {
        let state = lock(&self.0.state);
        let times = state.times.filter(|&times| state.taken < times)?;
        Some(format!(
            "{} was to be asked {times} times, and was asked {}",
            self.0.text, state.taken
        ))
    }
}

/// Holds requests until it is opened; made by [`Rule::hold`]. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    open: watch::Sender<bool>,
    held: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(GateState {
            open: watch::Sender::new(false),
            held: watch::Sender::new(0),
        }))
    }
}

/// A request before a gate.
struct Held<'a>(&'a Gate);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.held.send_modify(|held| *held -= 1);
    }
}

impl Gate {
    /// Lets all requests pass that wait, and those that come.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// How many requests wait.
    pub fn held(&self) -> usize {
        *self.0.held.borrow()
    }

    /// Waits until so many requests wait at once.
    pub async fn holds(&self, requests: usize) {
        let mut held = self.0.held.subscribe();
        // The sender is here.
        let _ = held.wait_for(|&held| held >= requests).await;
    }

    pub(super) async fn pass(&self) {
        self.0.held.send_modify(|held| *held += 1);
        let _held = Held(self);
        let mut open = self.0.open.subscribe();
        // The sender is here.
        let _ = open.wait_for(|&open| open).await;
    }
}
