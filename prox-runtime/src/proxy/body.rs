//! The body of an upstream's response, which drives the connection that it comes on.
//!
//! A connection can be used again when the response on it has been read to its end. So where nobody reads on and little is left, the
//! rest is read and dropped. Else the connection is closed, which also tells the upstream to stop.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{
    runtime::Handle,
    task::coop::unconstrained,
    time::{Instant, timeout},
};

use crate::{
    body::Body,
    cluster::Lease,
    error::{Error, Failure},
    forward::headers,
    pool::{self, Connection},
    time::standstill,
};

/// A body of up to so many bytes that came together with its head is passed on as a whole.
const SMALL: u64 = 16 * 1024;

/// So much is read of a response that nobody wants, and for so long.
const REST: u64 = 16 * 1024;
const REST_TIME: Duration = Duration::from_millis(500);

type Arrived = Option<Result<Frame<Bytes>, hyper::Error>>;

/// The response to a request on a connection of HTTP/1.1, after its head.
pub(super) struct Exchange {
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

/// The body of a response, for whoever reads it.
struct UpstreamBody(Option<Exchange>);

impl Exchange {
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
            None => Body::boxed(UpstreamBody(Some(self))),
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

    /// Drops a response that is asked for once more. If little is left of it, or nobody knows how much, the rest is read first.
    pub(super) fn discard(self) {
        let left = self.size_hint().exact();
        self.drop_rest(left.is_none_or(|left| left <= REST));
    }

    fn drop_rest(mut self, read: bool) {
        if self.incoming.is_end_stream() {
            // What was taken ahead and not asked for is of no use to the next request, and no harm.
            return self.finish();
        }
        if !read || self.connection.is_none() {
            return;
        }
        let mut left = REST;
        let now = self.poll_rest(&mut Context::from_waker(Waker::noop()), &mut left);
        if now.is_pending()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let rest = poll_fn(|cx| self.poll_rest(cx, &mut left));
                // When the time is over, the connection is closed.
                _ = timeout(REST_TIME, rest).await;
            });
        }
    }

    /// Reads on until the response ends, fails, or is longer than what may be `left` of it.
    fn poll_rest(&mut self, cx: &mut Context<'_>, left: &mut u64) -> Poll<()> {
        while let Some(Ok(frame)) = ready!(self.poll_frame(cx)) {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            match left.checked_sub(length) {
                Some(less) => *left = less,
                None => break,
            }
        }
        Poll::Ready(())
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self;
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
        // of one that has not said how much is to come, or the time that this process stood still.
        if deadline == stalled
            && this.incoming.size_hint().exact().is_some()
            && !standstill::is_late(deadline, Instant::now())
        {
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

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Some(exchange) => exchange.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Exchange::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let exchange = self.0.as_ref();
        exchange.map_or(SizeHint::with_exact(0), Exchange::size_hint)
    }
}

impl Drop for UpstreamBody {
    /// The client has left, or a layer answers in other words. A body of unknown length may be a stream without an end, so it is
    /// closed at once.
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            let left = exchange.size_hint().exact();
            exchange.drop_rest(left.is_some_and(|left| left <= REST));
        }
    }
}
