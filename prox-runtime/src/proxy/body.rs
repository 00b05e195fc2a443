//! The body of an upstream's response, which drives the connection that it comes on.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{task::coop::unconstrained, time::Instant};

use crate::{
    body::Body,
    cluster::Lease,
    error::{Error, Failure},
    forward::headers,
    pool::{self, Connection},
};

/// A body of up to so many bytes that came together with its head is passed on as a whole.
const SMALL: u64 = 16 * 1024;

type Arrived = Option<Result<Frame<Bytes>, hyper::Error>>;

pub(super) struct UpstreamBody {
    incoming: Incoming,
    /// What was taken before anybody asked.
    ahead: Option<Arrived>,
    /// Gone once the exchange is over: back in the pool, or closed.
    connection: Option<Box<Connection>>,
    lease: Lease,
    idle: Duration,
    waiting: Option<Instant>,
    end: Option<Instant>,
    /// What is to be told next, once all before it is on its way to the client.
    failed: Option<Error>,
}

impl UpstreamBody {
    pub(super) fn new(
        incoming: Incoming,
        connection: Box<Connection>,
        lease: Lease,
        idle: Duration,
        end: Option<Instant>,
    ) -> Self {
        Self {
            incoming,
            ahead: None,
            connection: Some(connection),
            lease,
            idle,
            waiting: None,
            end,
            failed: None,
        }
    }

    /// The body for the client; one that is empty costs nothing more, and one that is there already not much.
    pub(super) fn into_body(mut self) -> Body {
        if self.incoming.is_end_stream() {
            self.finish();
            return Body::empty();
        }
        match self.at_hand() {
            Some(whole) => Body::from(whole),
            None => Body::boxed(self),
        }
    }

    /// All of a small body, if it has come.
    fn at_hand(&mut self) -> Option<Bytes> {
        let length = self.incoming.size_hint().exact();
        length.filter(|&length| length <= SMALL)?;
        let mut frame = self.arrived_before();
        if frame.is_pending() {
            self.connection.as_mut()?.drive_alone();
            frame = self.arrived();
        }
        let Poll::Ready(frame) = frame else {
            return None;
        };
        match frame {
            Some(Ok(frame)) if self.incoming.is_end_stream() && frame.is_data() => {
                self.finish();
                frame.into_data().ok()
            }
            other => {
                self.ahead = Some(other);
                None
            }
        }
    }

    /// Takes what has arrived, before the connection is driven.
    fn arrived_before(&mut self) -> Poll<Arrived> {
        match self.connection.take() {
            Some(connection) => {
                let frame = connection.tell(|| self.arrived());
                self.connection = Some(connection);
                frame
            }
            None => self.arrived(),
        }
    }

    /// Takes what has arrived. Only driving the connection makes more arrive, so that nobody needs to be woken for it,
    /// and the cooperative budget must not hide it.
    fn arrived(&mut self) -> Poll<Arrived> {
        let incoming = &mut self.incoming;
        let next = poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx));
        pin!(unconstrained(next)).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn pass(
        &mut self,
        cx: &mut Context<'_>,
        frame: Arrived,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match frame {
            Some(Ok(mut frame)) => {
                self.waiting = None;
                self.lease.goes_on();
                if let Some(trailers) = frame.trailers_mut() {
                    headers::response_trailers(trailers);
                    // Nothing comes after trailers, and so nobody asks again.
                    self.finish();
                } else if self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.connection = None;
                // The server drops what it has not written yet when a body fails, so let it write that first.
                let error = pool::classify(error).after_send();
                self.lease.broke_off(&error);
                self.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    /// Gives the connection back if the exchange is over both ways; else it is closed.
    fn finish(&mut self) {
        self.lease.conclude();
        if let Some(mut connection) = self.connection.take()
            && connection.is_reusable()
        {
            self.lease.upstream().pool.put(connection);
        }
    }
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(frame) = this.ahead.take() {
            return this.pass(cx, frame);
        }
        if let Poll::Ready(frame) = this.arrived_before() {
            return this.pass(cx, frame);
        }
        if let Some(connection) = &mut this.connection {
            connection.drive(cx);
        }
        if let Poll::Ready(frame) = this.arrived() {
            return this.pass(cx, frame);
        }
        let Some(connection) = &mut this.connection else {
            return Poll::Ready(None);
        };
        let stalled = this.lease.waits_since(&mut this.waiting) + this.idle;
        let deadline = this.end.map_or(stalled, |end| end.min(stalled));
        if let Some(proven) = this.lease.proven().filter(|&at| at < deadline) {
            ready!(connection.poll_deadline(cx, proven));
            this.lease.conclude();
        }
        ready!(connection.poll_deadline(cx, deadline));
        this.connection = None;
        let error = Error::failure(Failure::ResponseTimeout).after_send();
        // That a long response met the end of the request's time says nothing of the endpoint, and neither does the silence
        // of one that has not said how much is to come.
        if deadline == stalled && this.incoming.size_hint().exact().is_some() {
            this.lease.broke_off(&error);
        }
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint();
        match (&self.ahead, rest.exact()) {
            // Nothing is taken ahead of a body whose length is not known.
            (Some(Some(Ok(frame))), Some(rest)) => {
                let ahead = frame.data_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(rest.saturating_add(ahead as u64))
            }
            _ => rest,
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        // What was taken ahead and not asked for is of no use to the next request, and no harm.
        if self.incoming.is_end_stream() {
            self.finish();
        }
    }
}
