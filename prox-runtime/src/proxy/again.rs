//! A request that may have to be sent more than once.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{
    body::Body,
    error::{Error, Failure},
    handler::Request,
    replay::{Replay, behind},
    sync::lock,
};

/// What it takes to send a request again: its head, and its body as far as it was sent.
pub(super) struct Spare {
    head: Request,
    /// None when there is no body.
    source: Option<Source>,
}

type Source = Arc<Mutex<Shared>>;

/// A client's body, which tries read one after the other.
struct Shared {
    body: Body,
    copy: Replay,
    /// The number of the try that may read; those before it are given up.
    latest: u32,
}

impl Spare {
    /// Keeps what is needed of a request, whose body is from now on that of its first try.
    ///
    /// A body that says it is too long to be kept is not, and then the request is sent once.
    pub(super) fn of(req: &mut Request) -> Option<Self> {
        let head = head(req);
        if req.body().is_end_stream() {
            return Some(Self { head, source: None });
        }
        if !Replay::is_worthwhile(req.body().size_hint().exact()) {
            return None;
        }
        let body = std::mem::take(req.body_mut());
        let source = Arc::new(Mutex::new(Shared {
            body,
            copy: Replay::new(),
            latest: 0,
        }));
        let first = Turn {
            source: Arc::clone(&source),
            number: 0,
            before: Bytes::new(),
        };
        *req.body_mut() = Body::boxed(first);
        let source = Some(source);
        Some(Self { head, source })
    }

    /// Whether all of the request can be sent again.
    pub(super) fn is_whole(&self) -> bool {
        self.source
            .as_ref()
            .is_none_or(|source| lock(source).copy.so_far().is_some())
    }

    /// The request for another try; whatever is left of the one before reads no more of the client's body.
    pub(super) fn take(&self) -> Option<Request> {
        let Some(source) = &self.source else {
            return Some(head(&self.head));
        };
        let mut shared = lock(source);
        let before = shared.copy.so_far()?;
        shared.latest += 1;
        let again = Turn {
            source: Arc::clone(source),
            number: shared.latest,
            before,
        };
        let mut request = head(&self.head);
        *request.body_mut() = Body::boxed(again);
        Some(request)
    }
}

/// The same request without a body.
pub(super) fn head(req: &Request) -> Request {
    let mut head = Request::default();
    head.method_mut().clone_from(req.method());
    head.uri_mut().clone_from(req.uri());
    head.headers_mut().clone_from(req.headers());
    *head.version_mut() = req.version();
    head
}

impl Drop for Spare {
    /// There is no further try, so the copy is of no use.
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            lock(source).copy.lose();
        }
    }
}

/// The body of one try: what was sent before, and the rest from the client.
struct Turn {
    source: Source,
    number: u32,
    before: Bytes,
}

impl HttpBody for Turn {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.before.is_empty() {
            let before = std::mem::take(&mut self.before);
            return Poll::Ready(Some(Ok(Frame::data(before))));
        }
        let shared = &mut *lock(&self.source);
        if shared.latest != self.number {
            return Poll::Ready(Some(Err(Error::failure(Failure::Reset))));
        }
        let frame = Pin::new(&mut shared.body).poll_frame(cx);
        if let Poll::Ready(frame) = &frame {
            shared.copy.follow(frame.as_ref());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.before.is_empty() && lock(&self.source).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        behind(&self.before, &lock(&self.source).body)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn spare(body: Body) -> (Option<Spare>, Body) {
        let mut request = Request::new(body);
        let spare = Spare::of(&mut request);
        (spare, request.into_body())
    }

    fn again(spare: &Spare) -> Body {
        spare.take().unwrap().into_body()
    }

    #[tokio::test]
    async fn a_body_is_sent_again_from_its_first_byte() {
        let (spare, mut first) = spare(Body::from("hello"));
        let spare = spare.unwrap();
        assert_eq!(first.size_hint().exact(), Some(5));
        let frame = first.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
        let second = again(&spare);
        assert_eq!(second.size_hint().exact(), Some(5));
        assert_eq!(second.bytes(9).await.unwrap(), "hello");
        let third = again(&spare);
        assert_eq!(third.bytes(9).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn a_try_that_was_given_up_reads_no_more() {
        let (spare, first) = spare(Body::from("hello"));
        let second = again(&spare.unwrap());
        assert!(first.bytes(9).await.is_err());
        assert_eq!(second.bytes(9).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_sent_once() {
        let (spare, first) = spare(Body::from(vec![1; 70_000]));
        assert!(spare.is_none());
        assert_eq!(first.bytes(70_000).await.unwrap().len(), 70_000);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_that_grows_too_long_is_not_kept() {
        let (spare, first) = spare(Body::new(Chunks(3)));
        let spare = spare.unwrap();
        assert!(spare.is_whole());
        assert_eq!(first.bytes(90_000).await.unwrap().len(), 90_000);
        assert!(!spare.is_whole());
        assert!(spare.take().is_none());
    }

    /// So many chunks of 30 000 bytes, without a word on the length.
    struct Chunks(u32);

    impl HttpBody for Chunks {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let more = self.0.checked_sub(1);
            self.0 = more.unwrap_or(0);
            Poll::Ready(more.map(|_| Ok(Frame::data(Bytes::from(vec![1; 30_000])))))
        }
    }
}
