//! The one body type: converting happens at the two edges, the server's and the upstream's.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;

use crate::{
    error::{BoxError, Error, Failure, Place},
    observe::panics::caught,
    watch::Exchange,
};

/// The body of a [`Request`](crate::Request) or a [`Response`](crate::Response): a stream of bytes, then perhaps trailers.
///
/// Bodies are streamed as they come and never buffered, unless somebody asks for all of one with [`Body::bytes`].
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::Body;
///
/// let body = Body::from("hello");
/// assert_eq!(http_body::Body::size_hint(&body).exact(), Some(5));
/// ```
#[derive(Default)]
pub struct Body {
    kind: Kind,
    /// Tells the client's connection, by its end, that the response is written.
    exchange: Option<Exchange>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    /// The place says what errors of other crates mean.
    Boxed(UnsyncBoxBody<Bytes, Error>, Place),
    /// What it fails with, once all before it is written.
    Failed(Error),
}

impl Body {
    const fn of(kind: Kind) -> Self {
        Self {
            kind,
            exchange: None,
        }
    }

    /// A body of no bytes.
    pub const fn empty() -> Self {
        Self::of(Kind::Empty)
    }

    /// Takes any body, such as one from tower-http or axum.
    ///
    /// It is boxed once; a [`Body`] passes through unchanged. Errors of other crates become rows of the failure table where they
    /// are known: see [`service`](crate::service).
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // A `Body` that passed through an adapter is taken as it is: no box in a box.
        let mut slot = Some(body);
        if let Some(same) = (&mut slot as &mut dyn std::any::Any).downcast_mut::<Option<Self>>() {
            return same.take().unwrap_or_default();
        }
        let Some(body) = slot else {
            return Self::empty();
        };
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::boxed(Foreign { body })
    }

    /// Takes a body of the crate's own: no adapter around it.
    pub(crate) fn boxed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = Error> + Send + 'static,
    {
        Self::of(Kind::Boxed(UnsyncBoxBody::new(body), Place::Service))
    }

    /// Shows each frame, and then the end, to `follow`, which may change it. What is left of the body comes with it.
    ///
    /// `follow` runs again only if the body is read on after its end, or after an error.
    pub(crate) fn followed(
        self,
        follow: impl FnMut(&mut Option<Result<Frame<Bytes>, Error>>, &mut Self) + Send + 'static,
    ) -> Self {
        Self::boxed(Followed { body: self, follow })
    }

    /// Tells `count` how many bytes each frame has.
    pub(crate) fn counted(self, mut count: impl FnMut(usize) + Send + 'static) -> Self {
        self.followed(move |next, _| {
            if let Some(Ok(frame)) = next
                && let Some(data) = frame.data_ref()
            {
                count(data.len());
            }
        })
    }

    /// Ties the end of an exchange to the end of this body, and tells its tally of each frame.
    pub(crate) fn ends(mut self, exchange: Exchange) -> Self {
        if self.exchange.is_some() {
            // A gateway in another one.
            self = Self::boxed(self);
        }
        self.exchange = Some(exchange);
        self
    }

    /// A body of no bytes for a response that tells this length all the same, as a `304` does (RFC 9110, 8.6).
    ///
    /// hyper takes the length of a body for that of its message, and writes no other. It asks none of these for its bytes.
    pub(crate) fn described(length: u64) -> Self {
        Self::boxed(Described(length))
    }

    /// Says of what this is the body.
    pub(crate) fn placed(&mut self, place: Place) {
        if let Kind::Boxed(_, known) = &mut self.kind {
            *known = place;
        }
    }

    /// Reads all of the body into memory, or fails with [`Failure::BodyTooLarge`] as soon as it is over `limit` bytes.
    ///
    /// Trailers are dropped.
    ///
    /// # Errors
    ///
    /// What the body itself fails with, and `BodyTooLarge`.
    ///
    /// # Cancel safety
    ///
    /// What was read is lost when the future is dropped.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, Error> {
        if self.size_hint().lower() > limit as u64 {
            return Err(Error::failure(Failure::BodyTooLarge));
        }
        let mut body = self;
        let mut first = Bytes::new();
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            if first.len() + rest.len() + data.len() > limit {
                return Err(Error::failure(Failure::BodyTooLarge));
            }
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(if rest.is_empty() { first } else { rest.into() })
    }
}

pin_project! {
    struct Followed<F> {
        body: Body,
        follow: F,
    }
}

impl<F> HttpBody for Followed<F>
where
    F: FnMut(&mut Option<Result<Frame<Bytes>, Error>>, &mut Body),
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.project();
        let mut next = ready!(Pin::new(&mut *this.body).poll_frame(cx));
        (this.follow)(&mut next, this.body);
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Described(u64);

impl HttpBody for Described {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

pin_project! {
    /// A body of another crate, with our data and our error. Unlike a mapped body it still knows its length.
    struct Foreign<B> {
        #[pin]
        body: B,
    }
}

impl<B> HttpBody for Foreign<B>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let next = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(next.map(|frame| {
            let frame = frame.map_err(|error| Error::foreign(error.into(), Place::Service))?;
            Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(feature = "http2")]
impl Body {
    /// The next frame; one that panics fails.
    pub(crate) fn poll_caught(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.kind.poll_caught(cx)
    }
}

impl Kind {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Boxed(body, place) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map_err(|error| error.at(*place))
            }
            Self::Failed(_) => match std::mem::take(self) {
                Self::Failed(error) => Poll::Ready(Some(Err(error))),
                _ => Poll::Ready(None),
            },
        }
    }

    fn poll_caught(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self::Boxed(body, place) = self else {
            return self.poll(cx);
        };
        if let Some(frame) = caught(|| Pin::new(body).poll_frame(cx)) {
            return frame.map_err(|error| error.at(*place));
        }
        // What is left of it may panic once more while it is dropped.
        let left = std::mem::take(self);
        let _ = caught(|| drop(left));
        Poll::Ready(Some(Err(Error::failure(Failure::Panicked))))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { kind, exchange } = &mut *self;
        let Some(exchange) = exchange else {
            return kind.poll(cx);
        };
        let is_boxed = matches!(kind, Kind::Boxed(..));
        let frame = ready!(kind.poll_caught(cx));
        exchange.tally().sends(frame.as_ref());
        // The server drops what it has not written yet when a body fails, so let it write that first.
        match frame {
            Some(Err(error)) if is_boxed => {
                *kind = Kind::Failed(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Boxed(body, _) => body.is_end_stream(),
            Kind::Failed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Boxed(body, _) => body.size_hint(),
            Kind::Failed(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Boxed(..) => "boxed",
            Kind::Failed(_) => "failed",
        };
        f.debug_struct("Body")
            .field("kind", &kind)
            .field("size", &self.size_hint())
            .finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self::of(Kind::Full(bytes))
        }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_whole() {
        let body = Body::new(http_body_util::Full::new(Bytes::from_static(b"0123456789")));
        assert_eq!(body.bytes(10).await.unwrap(), "0123456789");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_before_it_is_read() {
        let error = Body::from("0123456789").bytes(9).await.unwrap_err();
        assert_eq!(error.as_failure(), Some(Failure::BodyTooLarge));
    }

    #[test]
    fn a_body_of_another_crate_keeps_its_length() {
        let body = Body::new(http_body_util::Full::new(Bytes::from_static(b"0123456789")));
        assert_eq!(body.size_hint().exact(), Some(10));
    }

    #[test]
    fn a_body_is_not_boxed_in_a_box() {
        let body = Body::new(Body::from("x"));
        assert!(matches!(body.kind, Kind::Full(_)));
    }
}
