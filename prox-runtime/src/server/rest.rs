//! What is left of a request's body when its answer comes before its end.
//!
//! A client may send all of its request before it reads. To close the connection while something lies there unread would reset
//! it, and the answer might be lost with that (RFC 9112, 9.6). So what nobody else reads any more is read on and dropped, bounded
//! in bytes and time: while the answer is on its way by way of the parser, and behind it from the stream itself.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Buf;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    stream::Linger,
    sync::lock,
    watch::{Exchange, Watch},
};

/// What a client may send behind its answer, on one connection.
const BYTES: usize = 64 << 20;

/// How long it may go on.
const TIME: Duration = Duration::from_secs(30);

/// How long it may be silent when its connection is to end.
const SILENCE: Duration = Duration::from_secs(5);

/// For a rest that is known to be no longer than this, a connection is kept.
const SMALL: u64 = 64 * 1024;

/// How much of a rest that has arrived already is read before a connection is said to end.
const AT_HAND: usize = 64 * 1024;

/// How often in a row the task of a connection finds nothing more of it before it has not arrived.
const TURNS: u32 = 2;

/// The rest of the request's body that is under way on a connection of HTTP/1.1.
#[derive(Default)]
pub(super) struct Rest {
    /// Whether there is one; the lock is not taken to find out that there is none.
    is_left: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    left: Option<Left>,
    /// Whether the answer is being written.
    answered: bool,
    /// Whether the connection ends with that answer.
    closes: bool,
    /// Whether the client may still be sending when the connection ends.
    unread: bool,
    spent: usize,
}

/// A body that nobody reads any more.
struct Left {
    body: Incoming,
    /// Whether the client waits to be told to send it (RFC 9110, 10.1.1). To read it would tell it so.
    expects: bool,
    since: Instant,
    read: usize,
    /// The connection is busy until it has ended.
    _exchange: Exchange,
}

impl Rest {
    /// A request with a body has come.
    pub(super) fn begin(&self) {
        let mut state = lock(&self.state);
        state.left = None;
        state.answered = false;
        state.spent = 0;
        self.is_left.store(false, Relaxed);
    }

    /// Takes a body that is not read to its end by whom it was given to.
    pub(super) fn leave(&self, body: Incoming, expects: bool, watch: &Arc<Watch>) {
        lock(&self.state).left = Some(Left {
            body,
            expects,
            since: Instant::now(),
            read: 0,
            _exchange: watch.exchange(),
        });
        self.is_left.store(true, Relaxed);
        watch.wake();
    }

    /// Whether the connection can be kept behind the answer that is about to be sent: the body has ended, or has somebody who
    /// reads it, or will end soon.
    ///
    /// What has arrived with the head is read meanwhile, by whoever drives the connection.
    pub(super) async fn can_be_kept(&self) -> bool {
        let mut before = 0;
        let mut in_vain = 0;
        poll_fn(|cx| {
            let state = lock(&self.state);
            let Some(left) = &state.left else {
                return Poll::Ready(true);
            };
            if left
                .body
                .size_hint()
                .exact()
                .is_some_and(|rest| rest <= SMALL)
                && !left.expects
            {
                return Poll::Ready(true);
            }
            in_vain = if left.read == before { in_vain + 1 } else { 0 };
            if left.expects || left.read > AT_HAND || in_vain > TURNS {
                return Poll::Ready(false);
            }
            before = left.read;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// The answer is about to be written, and the connection may end with it.
    pub(super) fn answered(&self, closes: bool) {
        let mut state = lock(&self.state);
        state.answered = true;
        state.closes = closes;
    }

    /// Says that the client may be sending when the connection ends.
    pub(super) fn more_may_come(&self) {
        lock(&self.state).unread = true;
    }

    /// Reads on, if something is left; says whether the connection has to be driven again.
    pub(super) fn poll(&self, cx: &mut Context<'_>, watch: &Watch) -> bool {
        self.is_left.load(Relaxed) && self.read_on(cx, watch)
    }

    #[cold]
    fn read_on(&self, cx: &mut Context<'_>, watch: &Watch) -> bool {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let Some(left) = &mut state.left else {
            return false;
        };
        if left.expects && !state.answered {
            return false;
        }
        // What is left keeps the connection busy, and so does an answer.
        let written = state.answered && watch.exchanges() == 1 && watch.write_blocked().is_none();
        let mut progress = false;
        let over = loop {
            if state.closes && written || state.spent > BYTES || left.since.elapsed() > TIME {
                state.unread = true;
                break true;
            }
            match Pin::new(&mut left.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let count = frame.data_ref().map_or(0, Buf::remaining);
                    left.read += count;
                    state.spent += count;
                    progress = true;
                }
                Poll::Ready(Some(Err(_)) | None) => break true,
                Poll::Pending if watch.is_body_timed_out() => {
                    state.unread = true;
                    break true;
                }
                Poll::Pending => break false,
            }
        };
        watch.waits_for_body(!over);
        if over {
            state.left = None;
            self.is_left.store(false, Relaxed);
        }
        over || progress
    }

    /// How much the client may go on sending after the connection has ended; nothing when it is not expected to.
    pub(super) fn allowance(&self) -> Option<usize> {
        let state = lock(&self.state);
        let unread = state.unread || state.left.is_some();
        unread
            .then(|| BYTES.saturating_sub(state.spent))
            .filter(|&bytes| bytes > 0)
    }
}

/// How much a client may send behind its last answer.
pub(super) fn bounds(bytes: usize) -> Linger {
    Linger {
        bytes,
        silence: SILENCE,
        time: TIME,
    }
}
