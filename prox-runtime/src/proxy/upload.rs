//! The body of a request on its way to the upstream, and how long it may take.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::{
    body::Body,
    cluster::Policy,
    error::{Error, Place},
    forward::headers,
    handler::Request,
    pool::Interim,
    sync::lock,
};

/// How long a body waits for an upstream that says neither `100` nor anything else: many have never heard of `Expect`.
const CONTINUE: Duration = Duration::from_secs(1);

/// What is known of an upload by whoever waits for the response; nothing for a request without a body.
pub(super) struct Upload(Option<Arc<Progress>>);

struct Progress {
    start: Instant,
    state: AtomicU8,
    /// When `state` was last written, in milliseconds after `start`.
    since: AtomicU64,
}

/// The client has more to send, and the upstream waits for it.
const CLIENT: u8 = 0;
/// The upstream has been given a part, and has not asked for more.
const UPSTREAM: u8 = 1;
/// All of it was handed over.
const DONE: u8 = 2;

struct Tracked {
    body: Body,
    progress: Arc<Progress>,
}

impl Upload {
    /// That of a request without a body.
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// Watches a body.
    pub(super) fn track(body: Body) -> (Body, Self) {
        let progress = Arc::new(Progress {
            start: Instant::now(),
            state: AtomicU8::new(UPSTREAM),
            since: AtomicU64::new(0),
        });
        let tracked = Tracked {
            body,
            progress: Arc::clone(&progress),
        };
        let mut body = Body::boxed(tracked);
        body.placed(Place::Request);
        (body, Self(Some(progress)))
    }

    /// When the wait for the response is to end, as things are now.
    ///
    /// A client that is slow to send is the server's to watch: it is not the upstream's fault.
    pub(super) fn deadline(
        &self,
        sent: Instant,
        policy: &Policy,
        end: Option<Instant>,
    ) -> Option<Instant> {
        let own = self.upstream_since(sent).map(|(since, is_done)| {
            since
                + if is_done {
                    policy.response_timeout
                } else {
                    policy.idle_timeout
                }
        });
        match (own, end) {
            (Some(own), Some(end)) => Some(own.min(end)),
            (own, end) => own.or(end),
        }
    }

    /// Since when it is the upstream that is waited for, and whether it has been given the whole request; none while the client
    /// has more to send.
    pub(super) fn upstream_since(&self, sent: Instant) -> Option<(Instant, bool)> {
        let Some(progress) = &self.0 else {
            return Some((sent, true));
        };
        let state = progress.state.load(Ordering::Relaxed);
        let since = progress.start + Duration::from_millis(progress.since.load(Ordering::Relaxed));
        (state != CLIENT).then(|| (since.max(sent), state == DONE))
    }
}

/// Holds the body of a request with `Expect: 100-continue` back until the upstream wants it (RFC 9110, 10.1.1).
///
/// As long as nobody asks for the body, the server does not tell the client to send it.
#[derive(Default)]
struct Permit {
    given: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Permit {
    fn give(&self) {
        self.given.store(true, Ordering::Relaxed);
        let waiting = lock(&self.waiting).take();
        // Outside of the lock: a waker may run what takes it.
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

struct Held {
    body: Body,
    permit: Arc<Permit>,
    patience: Pin<Box<Sleep>>,
}

/// Holds the body of a request back until the upstream has said `100 Continue`, or nothing for a second.
pub(super) fn hold(request: &mut Request) {
    let permit = Arc::new(Permit::default());
    let held = Held {
        body: std::mem::take(request.body_mut()),
        permit: Arc::clone(&permit),
        patience: Box::pin(tokio::time::sleep(CONTINUE)),
    };
    *request.body_mut() = Body::boxed(held);
    let tell = move |status| {
        if status == StatusCode::CONTINUE {
            permit.give();
        }
    };
    request.extensions_mut().insert(Interim::new(tell.clone()));
    hyper::ext::on_informational(request, move |interim| tell(interim.status()));
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.permit.given.load(Ordering::Relaxed) {
            if self.patience.as_mut().poll(cx).is_pending() {
                let old = lock(&self.permit.waiting).replace(cx.waker().clone());
                drop(old);
                return Poll::Pending;
            }
            self.permit.given.store(true, Ordering::Relaxed);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Progress {
    fn enter(&self, state: u8) {
        let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
        self.state.store(state, Ordering::Relaxed);
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::sent_trailers(trailers);
        }
        self.progress.enter(match &frame {
            Poll::Pending => CLIENT,
            Poll::Ready(None) => DONE,
            Poll::Ready(Some(_)) if self.body.is_end_stream() => DONE,
            Poll::Ready(Some(_)) => UPSTREAM,
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
