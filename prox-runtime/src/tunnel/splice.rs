//! Moves bytes between two streams, both ways.

use std::{
    any::Any,
    fmt,
    future::Future,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{AtEnd, Moved, Tunnel};
use crate::{stream::Stream, time::LazyTimer};

/// The most that is read at once, and so the most that is held of a direction whose receiver does not take it.
const CHUNK: usize = 16 * 1024;

/// How often one direction reads before others on the thread get their turn.
const TURNS: usize = 16;

/// A tunnel at work: done when both directions have ended, or one has failed, or nothing has moved for too long.
///
/// The end of one direction is passed on, and the other goes on. What failed on one side is a reset on the other, so that
/// half a message never looks like a whole one. Memory is held only for bytes that wait.
pub(crate) struct Splice {
    client: Stream,
    upstream: Stream,
    up: Way,
    down: Way,
    idle: Duration,
    moved_at: Instant,
    timer: LazyTimer,
    end: AtEnd,
    _guard: Box<dyn Any + Send>,
}

/// Why a tunnel has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides were done.
    Whole,
    /// Nothing moved for too long.
    Idle,
    /// This side failed.
    Failed(Side),
}

/// A side of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Upstream,
}

/// An error, and the side on which it came up.
struct Trouble {
    side: Side,
    error: io::Error,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }

    fn trouble(self) -> impl Fn(io::Error) -> Trouble {
        move |error| Trouble { side: self, error }
    }
}

impl Splice {
    pub(super) fn new(client: Stream, tunnel: Tunnel) -> Self {
        Self {
            client,
            upstream: tunnel.upstream,
            up: Way::from(Side::Client),
            down: Way::from(Side::Upstream),
            idle: tunnel.idle,
            moved_at: Instant::now(),
            timer: LazyTimer::default(),
            end: tunnel.end,
            _guard: tunnel.guard,
        }
    }

    /// Whether all that the upstream sent was passed on, or is about to be with its end.
    #[cfg(feature = "http2")]
    pub(crate) fn is_ending_down(&self) -> bool {
        self.down.has_ended
    }

    /// Ends it, as a side has failed.
    pub(crate) fn fail(&mut self, side: Side) {
        self.end.ended = Some(Ended::Failed(side));
        self.client.reset();
        self.upstream.reset();
    }

    fn ended(&mut self, how: Ended) -> Ended {
        self.end.ended = Some(how);
        how
    }

    /// What has happened so far, in a number that grows with each byte and each end.
    fn progress(&self) -> u64 {
        self.up.moved + self.down.moved + u64::from(self.up.is_over) + u64::from(self.down.is_over)
    }

    fn poll_both(&mut self, cx: &mut Context<'_>) -> Result<bool, Trouble> {
        let up = self.up.poll(cx, &mut self.client, &mut self.upstream)?;
        let down = self.down.poll(cx, &mut self.upstream, &mut self.client)?;
        Ok(up.is_ready() && down.is_ready())
    }
}

impl Future for Splice {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let this = &mut *self;
        let before = this.progress();
        let polled = this.poll_both(cx);
        this.end.moved = Moved {
            up: this.up.moved,
            down: this.down.moved,
        };
        match polled {
            Ok(true) => return Poll::Ready(this.ended(Ended::Whole)),
            Ok(false) => {}
            Err(Trouble { side, error }) => {
                this.fail(side);
                tracing::debug!(target: "prox", %error, ?side, "a tunnel failed");
                return Poll::Ready(Ended::Failed(side));
            }
        }
        if this.progress() != before {
            this.moved_at = Instant::now();
        }
        ready!(this.timer.poll(cx, this.moved_at + this.idle));
        tracing::debug!(target: "prox", "a tunnel was closed: nothing had moved for too long");
        Poll::Ready(this.ended(Ended::Idle))
    }
}

impl fmt::Debug for Splice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splice")
            .field("client", &self.client)
            .field("upstream", &self.upstream)
            .field("moved", &self.end.moved)
            .finish_non_exhaustive()
    }
}

/// One direction.
struct Way {
    from: Side,
    /// What was read and could not be written yet, from `at` on.
    rest: Vec<u8>,
    at: usize,
    /// Whether something was written that has not been flushed.
    dirty: bool,
    has_ended: bool,
    is_over: bool,
    moved: u64,
}

impl Way {
    fn from(from: Side) -> Self {
        Self {
            from,
            rest: Vec::new(),
            at: 0,
            dirty: false,
            has_ended: false,
            is_over: false,
            moved: 0,
        }
    }

    /// Ready when the end was passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Result<Poll<()>, Trouble> {
        for _ in 0..TURNS {
            if self.is_over {
                return Ok(Poll::Ready(()));
            }
            if self.write_rest(cx, to)?.is_pending() {
                return Ok(Poll::Pending);
            }
            if self.has_ended {
                let end = Pin::new(&mut *to).poll_shutdown(cx);
                if end.map_err(self.from.other().trouble())?.is_pending() {
                    return Ok(Poll::Pending);
                }
                self.is_over = true;
            } else if self.read(cx, from, to)?.is_pending() {
                if self.dirty {
                    let flushed = Pin::new(&mut *to).poll_flush(cx);
                    self.dirty = flushed.map_err(self.from.other().trouble())?.is_pending();
                }
                return Ok(Poll::Pending);
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    fn write_rest(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Result<Poll<()>, Trouble> {
        while self.at < self.rest.len() {
            match write(to, cx, &self.rest[self.at..]).map_err(self.from.other().trouble())? {
                Poll::Ready(count) => {
                    self.at += count;
                    self.wrote(count);
                }
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        self.rest = Vec::new();
        self.at = 0;
        Ok(Poll::Ready(()))
    }

    /// Reads once, onto the stack, and writes what can be written at once; only what cannot is kept.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Result<Poll<()>, Trouble> {
        let mut space = [const { MaybeUninit::uninit() }; CHUNK];
        let mut buf = ReadBuf::uninit(&mut space);
        let read = Pin::new(from).poll_read(cx, &mut buf);
        if read.map_err(self.from.trouble())?.is_pending() {
            return Ok(Poll::Pending);
        }
        let read = buf.filled();
        if read.is_empty() {
            self.has_ended = true;
            return Ok(Poll::Ready(()));
        }
        let count = match write(to, cx, read).map_err(self.from.other().trouble())? {
            Poll::Ready(count) => count,
            Poll::Pending => 0,
        };
        self.wrote(count);
        if count < read.len() {
            self.rest = read[count..].to_vec();
        }
        Ok(Poll::Ready(()))
    }

    fn wrote(&mut self, count: usize) {
        self.moved += count as u64;
        self.dirty |= count > 0;
    }
}

/// Writes some bytes; none at all is an error.
fn write(to: &mut Stream, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<Poll<usize>> {
    match Pin::new(to).poll_write(cx, bytes)? {
        Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}
