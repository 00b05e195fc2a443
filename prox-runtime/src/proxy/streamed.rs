//! The body of a response that comes on a stream of a shared connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::{
    body::Body,
    cluster::Lease,
    error::{Error, Failure},
    forward::headers,
    pool::Download,
    respond,
    time::standstill,
    watch::Tally,
};

pub(super) struct StreamedBody {
    /// Gone once it has ended: the stream is closed then, or reset.
    download: Option<Download>,
    lease: Lease,
    idle: Duration,
    waiting: Option<Instant>,
    end: Option<Instant>,
    /// Whether the client takes a time limit as the status of its gRPC call.
    grpc: bool,
    /// Told of a failure that the client gets as such a status.
    tally: Option<Tally>,
    /// What is to be told next, once all before it is on its way to the client.
    failed: Option<Error>,
}

impl StreamedBody {
    pub(super) fn new(
        download: Download,
        lease: Lease,
        idle: Duration,
        end: Option<Instant>,
        grpc: bool,
        tally: Option<Tally>,
    ) -> Self {
        Self {
            download: Some(download),
            lease,
            idle,
            waiting: None,
            end,
            grpc,
            tally,
            failed: None,
        }
    }

    /// The body for the client; one that is empty costs nothing more.
    pub(super) fn into_body(self) -> Body {
        if self.is_end_stream() {
            Body::empty()
        } else {
            Body::boxed(self)
        }
    }

    /// The end of a response that has no content.
    pub(super) fn without_content(mut self) -> Body {
        self.end();
        Body::empty()
    }

    fn end(&mut self) {
        self.download = None;
        self.lease.conclude();
    }

    fn timed_out(&mut self) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.download = None;
        if let Some(tally) = self.tally.as_ref().filter(|_| self.grpc) {
            tally.failed(Failure::ResponseTimeout);
        }
        Poll::Ready(Some(if self.grpc {
            Ok(Frame::trailers(respond::grpc_status(
                Failure::ResponseTimeout,
            )))
        } else {
            Err(Error::failure(Failure::ResponseTimeout).after_send())
        }))
    }
}

impl HttpBody for StreamedBody {
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
        let Some(download) = &mut this.download else {
            return Poll::Ready(None);
        };
        match download.poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                this.waiting = None;
                this.lease.goes_on();
                if let Some(trailers) = frame.trailers_mut() {
                    headers::response_trailers(trailers);
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.download = None;
                this.lease.broke_off(&error);
                // The server drops what it has not written yet when a body fails, so let it write that first.
                this.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let stalled = this.lease.waits_since(&mut this.waiting) + this.idle;
                let deadline = this.end.map_or(stalled, |end| end.min(stalled));
                if let Some(proven) = this.lease.proven().filter(|&at| at < deadline) {
                    ready!(download.poll_deadline(cx, proven));
                    this.lease.conclude();
                }
                ready!(download.poll_deadline(cx, deadline));
                // That a long response met the end of the request's time says nothing of the endpoint, and neither does the
                // silence of one that has not said how much is to come, or the time that this process stood still.
                if deadline == stalled
                    && download.left().is_some()
                    && !standstill::is_late(deadline, Instant::now())
                {
                    let error = Error::failure(Failure::ResponseTimeout);
                    this.lease.broke_off(&error);
                }
                this.timed_out()
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.download.as_ref().is_none_or(Download::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.download.as_ref().and_then(Download::left);
        left.map(SizeHint::with_exact).unwrap_or_default()
    }
}
