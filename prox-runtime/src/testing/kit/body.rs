//! Bodies that are sent at a pace, and may break off.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// What is sent before a connection is cut has been read by then: the clock moves when all wait.
const BEFORE_A_CUT: Duration = Duration::from_millis(1);

/// What a body does behind its first bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Cut,
    Pause(Duration),
}

/// A body of known bytes.
#[derive(Debug)]
pub(super) struct PacedBody<C> {
    parts: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    /// Whether its length is told ahead.
    told: bool,
    /// How long it waits before each part but the first.
    pace: Option<Duration>,
    /// After how many bytes something happens, and what.
    then: Option<(usize, Then)>,
    sleep: Option<Pin<Box<Sleep>>>,
    begun: bool,
    /// Is called where the connection is to be cut.
    cut: C,
}

impl<C: FnMut() + Unpin> PacedBody<C> {
    pub(super) fn new(parts: Vec<Bytes>, trailers: Option<HeaderMap>, cut: C) -> Self {
        let told = parts.len() < 2 && trailers.is_none();
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        Self {
            parts: parts.collect(),
            trailers,
            told,
            pace: None,
            then: None,
            sleep: None,
            begun: false,
            cut,
        }
    }

    /// Sends so many bytes at a time, with so long a pause between them.
    pub(super) fn slow(mut self, bytes: usize, pause: Duration) -> Self {
        let mut all = std::mem::take(&mut self.parts);
        while let Some(mut part) = all.pop_front() {
            let first = part.split_to(part.len().min(bytes.max(1)));
            self.parts.push_back(first);
            if !part.is_empty() {
                all.push_front(part);
            }
        }
        self.pace = Some(pause);
        self
    }

    /// Does something after so many bytes.
    pub(super) fn after(mut self, bytes: usize, then: Then) -> Self {
        self.then = Some((bytes, then));
        self
    }

    fn length(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// Waits so long, once.
    fn waits(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = self.sleep.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(waiting.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}

impl<C: FnMut() + Unpin> Body for PacedBody<C> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        match this.then {
            Some((0, Then::Pause(time))) => {
                ready!(this.waits(time, cx));
                this.then = None;
            }
            Some((0, Then::Cut)) => {
                ready!(this.waits(BEFORE_A_CUT, cx));
                (this.cut)();
                return Poll::Pending;
            }
            _ => {}
        }
        if let Some(pace) = this.pace
            && this.begun
            && !this.parts.is_empty()
        {
            ready!(this.waits(pace, cx));
        }
        this.begun = true;
        let Some(mut part) = this.parts.pop_front() else {
            let trailers = this.trailers.take();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        };
        if let Some((left, _)) = &mut this.then {
            let first = part.split_to(part.len().min(*left));
            *left -= first.len();
            if !part.is_empty() {
                this.parts.push_front(part);
            }
            part = first;
        }
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    /// It never is before it was asked for the end, so that what comes behind the last byte happens.
    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.trailers.is_none() && self.then.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.told {
            SizeHint::with_exact(self.length())
        } else {
            SizeHint::default()
        }
    }
}
