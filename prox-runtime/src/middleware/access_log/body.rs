//! The body of a response, counted and followed to its end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::Entry;
use crate::{
    body::Body,
    error::{Error, Failure, Place},
};

type Next = Option<Result<Frame<Bytes>, Error>>;

/// The body of a response; the entry is gone, and so its line written, as soon as the body has ended.
pub(super) struct Sent {
    body: Body,
    entry: Option<Entry>,
}

impl Sent {
    pub(super) fn new(body: Body, entry: Entry) -> Self {
        Self {
            body,
            entry: Some(entry),
        }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        let Self { body, entry } = &mut *self;
        let next = {
            let _panics = Panics(entry);
            ready!(Pin::new(body).poll_frame(cx))
        };
        let next = next.map(|frame| frame.map_err(|error| error.at(Place::Response)));
        match &next {
            Some(Ok(frame)) => {
                if let (Some(entry), Some(data)) = (&mut self.entry, frame.data_ref()) {
                    entry.sent(data.len());
                }
            }
            Some(Err(error)) => {
                if let Some(mut entry) = self.entry.take() {
                    entry.failed(error.as_failure());
                }
            }
            None => {
                if let Some(mut entry) = self.entry.take() {
                    entry.complete();
                }
            }
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Notes a panic of the body, which is dropped only later.
struct Panics<'a>(&'a mut Option<Entry>);

impl Drop for Panics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(mut entry) = self.0.take()
        {
            entry.failed(Some(Failure::Panicked));
        }
    }
}

/// A server that knows the length stops asking when it has got it, and then drops the body.
impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(entry) = &mut self.entry
            && (self.body.is_end_stream() || entry.is_whole())
        {
            entry.complete();
        }
    }
}
