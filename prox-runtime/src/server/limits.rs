//! The limits of one client connection, all on one timer.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{Options, drain::Tracked};
use crate::{
    error::Failure,
    observe::ending::because,
    time::LazyTimer,
    watch::{Phase, Watch},
};

/// How long a connection waits for its next request behind a response that did not say that it ends.
const MOMENT: Duration = Duration::from_millis(500);

pub(super) struct Limits {
    pub(super) options: Arc<Options>,
    pub(super) watch: Arc<Watch>,
    timer: LazyTimer,
    drain_began: Option<Instant>,
    /// When the client was asked to leave, and how long an idle connection stays after that.
    goodbye: Option<(Instant, Duration)>,
    attached: bool,
    tracked: Tracked,
}

/// Why a connection, or a part of it, is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The drain is over.
    Cut,
    /// Nobody is hurt when it is closed.
    Idle,
    /// The head of a request was too slow.
    Head,
    /// The body of a request was too slow.
    Body,
    /// The client has not taken what was written.
    Write,
}

impl Expired {
    /// What it means for the requests under way.
    pub(super) fn failure(self) -> Option<Failure> {
        match self {
            Self::Cut => Some(Failure::Drained),
            Self::Head | Self::Body | Self::Write => Some(Failure::SlowClient),
            Self::Idle => None,
        }
    }
}

impl Limits {
    pub(super) fn new(options: Arc<Options>, tracked: Tracked) -> Self {
        Self {
            options,
            watch: Arc::clone(&tracked.watch),
            timer: LazyTimer::default(),
            drain_began: None,
            goodbye: None,
            attached: false,
            tracked,
        }
    }

    /// Ready when a limit was passed; to be asked after everything else, since what that has done moves the limits.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        if !self.attached {
            self.watch.attach(cx.waker());
            self.attached = true;
        }
        if self.watch.is_cut() {
            return Poll::Ready(Expired::Cut);
        }
        if self.watch.is_draining() && self.drain_began.is_none() {
            self.drain_began = Some(Instant::now());
        }
        let Some((deadline, expired)) = self.deadline() else {
            return Poll::Pending;
        };
        ready!(self.timer.poll(cx, deadline));
        Poll::Ready(expired)
    }

    /// The client was asked to leave. From now on its connection may be idle for so long, and no longer.
    #[cfg(feature = "http2")]
    pub(super) fn asked_to_leave(&mut self, patience: Duration) {
        self.goodbye = Some((Instant::now(), patience));
    }

    /// Runs a future of this connection; `None` when a limit was passed before its end.
    pub(super) async fn hold<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(Some(future));
        poll_fn(|cx| {
            if let Some(future) = future.as_mut().as_pin_mut()
                && let Poll::Ready(output) = future.poll(cx)
            {
                return Poll::Ready(Some(output));
            }
            let expired = ready!(self.poll(cx));
            because(expired.failure(), || future.set(None));
            Poll::Ready(None)
        })
        .await
    }

    /// When a connection that is idle is closed that is to end. A request may be on its way already.
    fn leaves(&self, idle_since: Instant, began: Instant) -> Instant {
        let drain = self.tracked.drain_timeout(self.options.drain_timeout);
        let wait = self.tracked.leaves_after(drain);
        if idle_since <= began {
            return began + wait;
        }
        (idle_since + wait)
            .min(began + drain / 2)
            .max(idle_since + MOMENT)
    }

    /// When the client will have taken too long for what it is doing now.
    fn deadline(&self) -> Option<(Instant, Expired)> {
        match self.watch.phase() {
            // The end of a response may still wait for the client to take it.
            Phase::Idle if let Some(since) = self.watch.write_blocked() => {
                Some((since + self.options.idle_timeout, Expired::Write))
            }
            Phase::Idle => {
                let since = self.watch.since();
                let close = match (self.goodbye, self.drain_began) {
                    (Some((asked, patience)), _) => since.max(asked) + patience,
                    (None, Some(began)) => self.leaves(since, began),
                    (None, None) => since + self.options.keep_alive,
                };
                Some((close, Expired::Idle))
            }
            Phase::Head => Some((
                self.watch.since() + self.options.header_timeout,
                Expired::Head,
            )),
            Phase::Busy => stalled(&self.watch, self.options.idle_timeout),
        }
    }
}

/// When a client that is being answered will have stood still for too long.
pub(super) fn stalled(watch: &Watch, limit: Duration) -> Option<(Instant, Expired)> {
    let write = watch.write_blocked().map(|at| (at, Expired::Write));
    let body = watch.body_blocked().map(|at| (at, Expired::Body));
    let (since, expired) = write.or(body)?;
    Some((since + limit, expired))
}
