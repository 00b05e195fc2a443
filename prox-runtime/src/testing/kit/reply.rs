//! What a fake answers.

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::switch::{Bytestream, Switch};

/// The answer of a fake: `Reply::text("hello")`, or a status, a text, or a pair of both where a reply is expected.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::testing::Reply;
///
/// let reply = Reply::text("hello").header("etag", "\"1\"");
/// let refusal = Reply::status(503).header("retry-after", "1");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Several are sent one after the other, without a length that is told ahead.
    pub(super) parts: Vec<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    /// What is done on the connection, if that is switched to another protocol.
    pub(super) switch: Option<Switch>,
}

impl Reply {
    /// Only a status, such as 503.
    ///
    /// # Panics
    ///
    /// When this is not a status from 100 to 999.
    #[track_caller]
    pub fn status(status: u16) -> Self {
        let Ok(status) = StatusCode::from_u16(status) else {
            panic!("{status} is not a status of HTTP");
        };
        Self {
            status,
            ..Self::default()
        }
    }

    /// `200` and this text, as `text/plain; charset=utf-8`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default()
            .field(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(text.into())
    }

    /// `200` and this text, as `application/json`.
    pub fn json(text: impl Into<String>) -> Self {
        Self::default()
            .field(header::CONTENT_TYPE, "application/json")
            .body(text.into())
    }

    /// Another status.
    ///
    /// # Panics
    ///
    /// When this is not a status from 100 to 999.
    #[must_use]
    #[track_caller]
    pub fn with_status(self, status: u16) -> Self {
        Self {
            status: Self::status(status).status,
            ..self
        }
    }

    /// Adds a field.
    ///
    /// # Panics
    ///
    /// When this is not a field of HTTP.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let (name, value) = field(name, value.as_ref());
        self.headers.append(name, value);
        self
    }

    fn field(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Another body, whose length is told ahead.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.parts = vec![body.into()];
        self
    }

    /// Another body, in these parts: its length is not told ahead.
    #[must_use]
    pub fn parts<P: Into<Bytes>>(mut self, parts: impl IntoIterator<Item = P>) -> Self {
        self.parts = parts.into_iter().map(Into::into).collect();
        while self.parts.len() < 2 {
            self.parts.push(Bytes::new());
        }
        self
    }

    /// Switches to the protocol that the request asks for, and runs this on the connection: bytes that go both ways.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::testing::Reply;
    ///
    /// let echo = Reply::switch(|mut stream| async move {
    ///     let line = stream.read_until("\n").await;
    ///     stream.send(line).await;
    /// });
    /// ```
    pub fn switch<F, Fut>(talk: F) -> Self
    where
        F: Fn(Bytestream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self {
            switch: Some(Switch::new(talk)),
            ..Self::default()
        }
    }

    /// Adds a trailer, which comes behind the body.
    ///
    /// # Panics
    ///
    /// When this is not a field of HTTP.
    #[must_use]
    #[track_caller]
    pub fn trailer(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let (name, value) = field(name, value.as_ref());
        self.trailers.get_or_insert_default().append(name, value);
        self
    }
}

/// A field that a test has written.
#[track_caller]
pub(super) fn field(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    let Ok(name) = HeaderName::try_from(name) else {
        panic!("{name:?} is not the name of a field");
    };
    let Ok(value) = HeaderValue::try_from(value) else {
        panic!("{value:?} is not the value of the field `{name}`");
    };
    (name, value)
}

impl From<StatusCode> for Reply {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

impl From<u16> for Reply {
    #[track_caller]
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl<T: Into<Self>> From<(u16, T)> for Reply {
    #[track_caller]
    fn from((status, reply): (u16, T)) -> Self {
        reply.into().with_status(status)
    }
}

impl<B: Into<Bytes>> From<http::Response<B>> for Reply {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            parts: vec![body.into()],
            trailers: None,
            switch: None,
        }
    }
}

/// A reply that is on its way.
pub(super) type Replying = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What the function of a fake may return: a [`Reply`], what becomes one, or a future of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reply",
    label = "expected a reply, or a future of one",
    note = "write `|_| Reply::text(\"hello\")`, `|_| 503`, or `|req| async move {{ Reply::text(req.path()) }}`"
)]
pub trait IntoReply<M> {
    /// The reply.
    #[doc(hidden)]
    fn into_reply(self) -> Replying;
}

/// Marks what is a reply already.
#[doc(hidden)]
#[derive(Debug)]
pub struct Ready;

/// Marks a reply that is awaited.
#[doc(hidden)]
#[derive(Debug)]
pub struct Awaited;

impl<T: Into<Reply>> IntoReply<Ready> for T {
    fn into_reply(self) -> Replying {
        Box::pin(std::future::ready(self.into()))
    }
}

impl<F> IntoReply<Awaited> for F
where
    F: Future + Send + 'static,
    F::Output: Into<Reply>,
{
    fn into_reply(self) -> Replying {
        Box::pin(async move { self.await.into() })
    }
}
