//! The body of a request on its way onto a stream.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;

use crate::{body::Body, error::Error, replay::Replay};

/// Sends a body as fast as the upstream takes it, holding one piece at the most.
///
/// Until the response begins, a copy of a short body is kept: the upstream may say that it has not looked at the request when
/// all of it was sent already, as it is with most calls of gRPC.
pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// A piece for which the window has no room yet.
    held: Option<Bytes>,
    /// What was taken from the body.
    copy: Replay,
    done: bool,
}

impl Upload {
    pub(super) fn new(body: Body, stream: SendStream<Bytes>) -> Self {
        Self {
            done: body.is_end_stream(),
            copy: Replay::of_length(body.size_hint().exact()),
            body,
            stream,
            held: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The body from its first byte, unless more was taken from it than is kept.
    pub(super) fn into_body(self) -> Option<Body> {
        self.copy.rewind(self.body)
    }

    /// The direction itself, for what is no body.
    pub(super) fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }

    /// Moves on; ready when there is nothing more to send, also because the upstream wants no more.
    ///
    /// # Errors
    ///
    /// What the body fails with. Why the stream has ended is told to who waits for the response.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.done {
            if self.stream.poll_reset(cx).is_ready() {
                break;
            }
            if self.held.is_some() {
                while self.stream.capacity() == 0 {
                    if !matches!(ready!(self.stream.poll_capacity(cx)), Some(Ok(_))) {
                        self.done = true;
                        return Poll::Ready(Ok(()));
                    }
                }
                let held = self.held.take().unwrap_or_default();
                let last = self.body.is_end_stream();
                if self.stream.send_data(held, last).is_err() || last {
                    break;
                }
                continue;
            }
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.copy.follow(frame.as_ref());
            if self.body.is_end_stream() {
                self.copy.finish();
            }
            match frame {
                Some(Ok(frame)) => {
                    match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => {
                            // As much as shows that there is room: more of it would be kept from the other streams.
                            self.stream.reserve_capacity(1);
                            self.held = Some(data);
                        }
                        Err(frame) => {
                            if let Ok(trailers) = frame.into_trailers() {
                                let _ = self.stream.send_trailers(trailers);
                                break;
                            }
                        }
                    }
                }
                Some(Err(error)) => {
                    self.done = true;
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(error));
                }
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    break;
                }
            }
        }
        self.done = true;
        Poll::Ready(Ok(()))
    }

    /// Sends what is left while the response is on its way already.
    pub(super) async fn finish(mut self) {
        self.copy.lose();
        // A body that fails has reset the stream, so that the response fails as well.
        let _ = poll_fn(|cx| self.poll(cx)).await;
    }
}
