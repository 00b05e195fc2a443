//! What was taken down of a request that is recorded, and of its tries.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;

use super::{
    End, To, Tracer, ids,
    tracer::{Seen, write},
};
use crate::{error::Failure, observe::TraceContext, sync::lock};

/// A request that is recorded; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Recording>);

/// What is known of it from its start on.
#[derive(Debug)]
pub(crate) struct Recording {
    tracer: Arc<Tracer>,
    pub(crate) context: TraceContext,
    /// What the client has sent.
    pub(crate) parent: Option<TraceContext>,
    pub(crate) state: Option<HeaderValue>,
    pub(crate) seen: Seen,
    began: SystemTime,
    since: Instant,
    tries: AtomicU32,
}

/// A span that has ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Request(Arc<Recording>, End, Duration),
    Try(Box<Done>),
}

/// One try of a request at an endpoint. Its span ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Try(Option<Box<Done>>);

/// What is known of a try.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) of: Arc<Recording>,
    pub(crate) context: TraceContext,
    pub(crate) method: Method,
    pub(crate) backend: Arc<str>,
    /// The URL of the endpoint.
    pub(crate) endpoint: Arc<str>,
    /// What was sent: a path on the endpoint, and whether by HTTP/2.
    pub(crate) sent: Option<(Uri, bool)>,
    /// How many tries were made before.
    pub(crate) resent: u32,
    pub(crate) is_copy: bool,
    pub(crate) status: Option<StatusCode>,
    pub(crate) failure: Option<Failure>,
    /// Since the request came.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Recording {
    pub(super) fn new(
        tracer: &Arc<Tracer>,
        context: TraceContext,
        parent: Option<TraceContext>,
        state: Option<HeaderValue>,
        seen: Seen,
        (began, since): (SystemTime, Instant),
    ) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            context,
            parent,
            state,
            seen,
            began,
            since,
            tries: AtomicU32::new(0),
        }
    }

    /// The time so long after the request came.
    pub(crate) fn at(&self, since: Duration) -> SystemTime {
        self.began.checked_add(since).unwrap_or(self.began)
    }
}

impl Trace {
    pub(super) fn new(recording: Recording) -> Self {
        Self(Arc::new(recording))
    }

    /// The request has ended.
    pub(crate) fn end(&self, end: End) {
        let took = self.0.since.elapsed();
        let spans = self.0.tracer.spans();
        spans.push(Ended::Request(Arc::clone(&self.0), end, took));
    }

    /// Begins a try, whose context goes on the request.
    pub(crate) fn try_at(&self, to: To<'_>, headers: &mut HeaderMap) -> Try {
        let context = self.0.context.with_span(ids::next());
        write(headers, context);
        let resent = if to.is_copy {
            0
        } else {
            self.0.tries.fetch_add(1, Relaxed)
        };
        Try(Some(Box::new(Done {
            of: Arc::clone(&self.0),
            context,
            method: to.method.clone(),
            backend: Arc::clone(to.backend),
            endpoint: Arc::clone(to.endpoint),
            sent: None,
            resent,
            is_copy: to.is_copy,
            status: None,
            failure: None,
            from: self.0.since.elapsed(),
            to: Duration::ZERO,
        })))
    }
}

impl Try {
    /// Puts the context of the try on its request once more.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(done) = &self.0 {
            write(headers, done.context);
        }
    }

    /// The request is about to be sent to this target.
    pub(crate) fn sends(&mut self, target: &Uri, http2: bool) {
        if let Some(done) = &mut self.0 {
            done.sent = Some((target.clone(), http2));
        }
    }

    /// The endpoint has answered.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        if let Some(done) = &mut self.0 {
            done.status = Some(status);
        }
    }

    /// It went wrong; the first word counts.
    pub(crate) fn failed(&mut self, failure: Failure) {
        if let Some(done) = &mut self.0 {
            done.failure.get_or_insert(failure);
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Some(mut done) = self.0.take() {
            done.to = done.of.since.elapsed();
            let of = Arc::clone(&done.of);
            of.tracer.spans().push(Ended::Try(done));
        }
    }
}

const OFF: u8 = 0;
const ON: u8 = 1;
const RECORDED: u8 = 2;

/// The trace of the request under way on a connection.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: AtomicU8,
    trace: Mutex<Option<Trace>>,
}

impl Slot {
    /// A request has a context, and a trace if it is recorded.
    pub(crate) fn put(&self, trace: Option<Trace>) {
        if trace.is_some() || self.is_recorded() {
            self.state
                .store(if trace.is_some() { RECORDED } else { ON }, Relaxed);
            *lock(&self.trace) = trace;
        } else {
            self.state.store(ON, Relaxed);
        }
    }

    /// Whether the request has a context of this gateway.
    pub(crate) fn is_on(&self) -> bool {
        self.state.load(Relaxed) != OFF
    }

    fn is_recorded(&self) -> bool {
        self.state.load(Relaxed) == RECORDED
    }

    pub(crate) fn get(&self) -> Option<Trace> {
        if !self.is_recorded() {
            return None;
        }
        lock(&self.trace).clone()
    }

    /// The request has ended.
    pub(crate) fn take(&self) -> Option<Trace> {
        if !self.is_recorded() {
            return None;
        }
        self.state.store(ON, Relaxed);
        lock(&self.trace).take()
    }
}
