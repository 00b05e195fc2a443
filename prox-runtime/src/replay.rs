//! A copy of a request's body, for as long as it may be needed again.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{body::Body, error::Error};

/// What is kept of a body at most; a longer one is not retried.
pub(crate) const REPLAY_LIMIT: usize = 64 * 1024;

/// The body of a request as far as it was sent. It is whole or it is nothing: it never holds a part of a longer body.
///
/// The bytes are copied. To hold on to those that were read would keep their whole buffers alive, which can be many times
/// larger.
#[derive(Debug)]
pub(crate) struct Replay {
    copy: BytesMut,
    limit: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// More may come.
    Growing,
    /// This is all of it.
    Whole,
    /// It was longer than the limit, or has trailers, or failed.
    Lost,
}

impl Replay {
    /// A copy of at most [`REPLAY_LIMIT`] bytes.
    pub(crate) fn new() -> Self {
        Self::with_limit(REPLAY_LIMIT)
    }

    /// A copy of a body that says how long it is; of one that is too long, nothing is kept.
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "only a shared connection gives a body back")
    )]
    pub(crate) fn of_length(length: Option<u64>) -> Self {
        Self::with_limit(if Self::is_worthwhile(length) {
            REPLAY_LIMIT
        } else {
            0
        })
    }

    fn with_limit(limit: usize) -> Self {
        Self {
            copy: BytesMut::new(),
            limit,
            state: State::Growing,
        }
    }

    /// Whether a body that says it is so long is worth copying.
    pub(crate) fn is_worthwhile(length: Option<u64>) -> bool {
        length.is_none_or(|length| length <= REPLAY_LIMIT as u64)
    }

    /// Keeps what a body has just given, or that it has ended.
    pub(crate) fn follow(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        match frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => self.push(data),
                None => self.lose(),
            },
            Some(Err(_)) => self.lose(),
            None => self.finish(),
        }
    }

    /// Keeps what was sent. Once the limit is passed, nothing is kept any more.
    pub(crate) fn push(&mut self, data: &[u8]) {
        if self.state != State::Growing {
            return;
        }
        if data.len() > self.limit - self.copy.len() {
            self.lose();
            return;
        }
        self.copy.extend_from_slice(data);
    }

    /// The body has ended.
    pub(crate) fn finish(&mut self) {
        if self.state == State::Growing {
            self.state = State::Whole;
        }
    }

    /// Frees the copy: the response has begun, or the body cannot be sent again (it failed, or trailers came).
    pub(crate) fn lose(&mut self) {
        self.state = State::Lost;
        self.copy = BytesMut::new();
    }

    /// Whether there is no copy any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The whole body, if it has ended and is there.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        (self.state == State::Whole).then(|| Bytes::copy_from_slice(&self.copy))
    }

    /// Whether the rest can still be read from the client, and this is all that came before it.
    ///
    /// A try that failed in the middle of the body can be made again with this copy, and the rest behind it.
    pub(crate) fn so_far(&self) -> Option<Bytes> {
        (self.state != State::Lost).then(|| Bytes::copy_from_slice(&self.copy))
    }

    /// The body from its first byte, if that is there; `rest` is what was not taken from it.
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "only a shared connection gives a body back")
    )]
    pub(crate) fn rewind(self, rest: Body) -> Option<Body> {
        let before = self.copy.freeze();
        match self.state {
            State::Lost => None,
            State::Whole => Some(Body::from(before)),
            State::Growing if before.is_empty() => Some(rest),
            State::Growing => Some(Body::boxed(Rewound { before, rest })),
        }
    }
}

/// A body of which a part was sent in vain.
#[cfg_attr(
    not(feature = "http2"),
    allow(dead_code, reason = "only a shared connection gives a body back")
)]
struct Rewound {
    before: Bytes,
    rest: Body,
}

impl HttpBody for Rewound {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.rest).poll_frame(cx);
        }
        let before = std::mem::take(&mut self.before);
        Poll::Ready(Some(Ok(Frame::data(before))))
    }

    fn is_end_stream(&self) -> bool {
        self.before.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        behind(&self.before, &self.rest)
    }
}

/// The size of a body behind bytes that go before it.
pub(crate) fn behind(before: &[u8], rest: &Body) -> SizeHint {
    let (before, rest) = (before.len() as u64, rest.size_hint());
    let mut hint = SizeHint::new();
    hint.set_lower(before.saturating_add(rest.lower()));
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(before)) {
        hint.set_upper(upper);
    }
    hint
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_of_the_limit_is_kept_and_one_byte_more_is_not() {
        let mut replay = Replay::new();
        replay.push(&vec![1; REPLAY_LIMIT]);
        assert_eq!(replay.whole(), None);
        assert_eq!(replay.so_far().unwrap().len(), REPLAY_LIMIT);
        replay.finish();
        assert_eq!(replay.whole().unwrap().len(), REPLAY_LIMIT);

        let mut replay = Replay::new();
        replay.push(&vec![1; REPLAY_LIMIT]);
        replay.push(&[1]);
        replay.finish();
        assert_eq!((replay.whole(), replay.so_far()), (None, None));
        assert_eq!(replay.copy.capacity(), 0);
    }

    #[test]
    fn a_body_that_says_it_is_too_long_is_not_copied() {
        assert!(Replay::is_worthwhile(None));
        assert!(Replay::is_worthwhile(Some(65_536)));
        assert!(!Replay::is_worthwhile(Some(65_537)));
    }

    #[test]
    fn an_empty_body_is_whole() {
        let mut replay = Replay::new();
        replay.finish();
        assert_eq!(replay.whole(), Some(Bytes::new()));
        replay.lose();
        assert_eq!(replay.whole(), None);
    }

    #[tokio::test]
    async fn a_body_is_rewound_to_its_first_byte() {
        let mut copy = Replay::new();
        copy.push(b"hel");
        let body = copy.rewind(Body::from("lo")).unwrap();
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.bytes(9).await.unwrap(), "hello");

        let mut copy = Replay::of_length(Some(70_000));
        assert!(
            Replay::of_length(Some(70_000))
                .rewind(Body::empty())
                .is_some()
        );
        copy.push(b"a part");
        assert!(copy.rewind(Body::from("the rest")).is_none());
    }

    proptest! {
        #[test]
        fn it_is_all_of_the_body_or_nothing(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
        ) {
            let mut replay = Replay::with_limit(100);
            for chunk in &chunks {
                replay.push(chunk);
            }
            replay.finish();
            let body = chunks.concat();
            let expected = (body.len() <= 100).then_some(Bytes::from(body));
            prop_assert_eq!(replay.whole(), expected);
        }
    }
}
