//! Begins traces: reads the context of a request, decides, and writes another one.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use tokio::time::Instant;

use super::{Bounds, Buffer, Caller, Trace, ids, recorded::Recording, sampler::Sampler};
use crate::observe::{TraceContext, trace_context::TRACEPARENT, trace_state};

/// Decides about the traces of a server's requests, and keeps the spans until they are exported.
#[derive(Debug)]
pub(crate) struct Tracer {
    sampler: Sampler,
    wanted: Wanted,
    start: Instant,
    spans: Buffer,
}

/// What is taken down of a request beyond the conventions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) fields: Vec<HeaderName>,
    pub(crate) without_path: bool,
}

/// What is known of a request when it comes.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    pub(crate) caller: Caller,
}

impl Tracer {
    pub(crate) fn new(sampler: Sampler, wanted: Wanted, bounds: Bounds) -> Self {
        Self {
            sampler,
            wanted,
            start: Instant::now(),
            spans: Buffer::new(bounds),
        }
    }

    /// The spans that have ended.
    pub(crate) fn spans(&self) -> &Buffer {
        &self.spans
    }

    /// Whether paths are left out.
    pub(crate) fn without_path(&self) -> bool {
        self.wanted.without_path
    }

    /// Gives a request its context, which is on it as `traceparent` from now on; returns its trace if that is recorded.
    pub(crate) fn begin<B>(
        self: &Arc<Self>,
        req: &mut Request<B>,
        caller: Caller,
    ) -> Option<Trace> {
        let headers = req.headers_mut();
        let parent = TraceContext::of(headers);
        let state = if parent.is_some() {
            trace_state::settle(headers)
        } else {
            trace_state::remove(headers);
            None
        };
        // Numbers, until it is known whether they are written.
        let (trace, span) = match parent {
            Some(_) => (0, 0),
            None => ids::root(),
        };
        let half = || match parent {
            Some(parent) => parent.lower_half(),
            None => ids::lower_half(trace),
        };
        let flag = parent.filter(|_| caller.is_trusted);
        let flag = flag.map(|parent| parent.is_sampled());
        let mut now = None;
        let second = || {
            let since = now.insert(Instant::now()).duration_since(self.start);
            u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
        };
        let records = self.sampler.records(half, flag, second);
        let Some(now) = now.filter(|_| records) else {
            match parent {
                // What a proxy says that is believed is said on, and only its form may change.
                Some(parent) if caller.is_trusted => pass(headers, parent),
                Some(parent) => write(headers, parent.with_span(ids::next()).with_sampled(false)),
                None => write(headers, TraceContext::new(trace, span, false)),
            }
            return None;
        };
        let context = match parent {
            Some(parent) => parent.with_span(ids::next()).with_sampled(true),
            None => TraceContext::new(trace, span, true),
        };
        write(headers, context);
        let headers = req.headers();
        let fields = self.wanted.fields.iter();
        let fields = fields.filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
        let seen = Seen {
            method: req.method().clone(),
            uri: req.uri().clone(),
            host: headers.get(header::HOST).cloned(),
            fields: fields.collect(),
            caller,
        };
        Some(Trace::new(Recording::new(
            self,
            context,
            parent,
            state,
            seen,
            (SystemTime::now(), now),
        )))
    }
}

/// Writes a context on a request.
pub(super) fn write(headers: &mut HeaderMap, context: TraceContext) {
    headers.insert(TRACEPARENT, context.header());
}

/// Leaves a context as it is, unless it has the form of a later version.
fn pass(headers: &mut HeaderMap, context: TraceContext) {
    let sent = headers.get(TRACEPARENT);
    if sent.is_none_or(|sent| !context.is(sent)) {
        write(headers, context);
    }
}
