//! The body of a request on its way to the upstream, and how long it may take.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::{
    body::Body,
    cluster::Policy,
    error::{Error, Failure},
    forward::headers,
};

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
    /// Watches a body; one without bytes is not worth it.
    pub(super) fn track(body: Body) -> (Body, Self) {
        if body.is_end_stream() {
            return (body, Self(None));
        }
        let progress = Arc::new(Progress {
            start: Instant::now(),
            state: AtomicU8::new(UPSTREAM),
            since: AtomicU64::new(0),
        });
        let tracked = Tracked {
            body,
            progress: Arc::clone(&progress),
        };
        (Body::boxed(tracked), Self(Some(progress)))
    }

    /// When the wait for the response is to end, as things are now.
    ///
    /// A client that is slow to send is the server's to watch: it is not the upstream's fault.
    pub(super) fn deadline(
        &self,
        sent: Instant,
        policy: &Policy,
        end: Option<Instant>,
    ) -> Option<(Instant, Failure)> {
        let own = match &self.0 {
            None => Some(sent + policy.response_timeout),
            Some(progress) => {
                let since =
                    progress.start + Duration::from_millis(progress.since.load(Ordering::Relaxed));
                match progress.state.load(Ordering::Relaxed) {
                    CLIENT => None,
                    DONE => Some(since.max(sent) + policy.response_timeout),
                    _ => Some(since.max(sent) + policy.idle_timeout),
                }
            }
        };
        let deadline = match (own, end) {
            (Some(own), Some(end)) => own.min(end),
            (own, end) => own.or(end)?,
        };
        Some((deadline, Failure::ResponseTimeout))
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
            headers::trailers(trailers);
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
