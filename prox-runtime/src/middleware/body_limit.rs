//! Limits how large the body of a request may be.

use http_body::Body as _;

use super::{
    About, Middleware,
    steps::{self, Head, Kept, Needs, Passed, Step},
};
use crate::{
    body::Body,
    error::{Error, Failure, Place},
    respond,
};

/// Refuses requests whose body is larger than so many bytes with `413` ([`Failure::BodyTooLarge`]).
///
/// A `Content-Length` above the limit is refused at once: before the client is told to go on sending (`100 Continue`), and before the
/// upstream is asked. A body without a length is counted while it passes. When it is over the limit the request to the upstream is
/// aborted, and the client gets `413`, unless the response has begun already. Nothing is buffered.
///
/// Of several limits around a route the smallest counts. A WebSocket has no body. For a gRPC stream of the client's it is the sum of
/// its messages.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::BodyLimit, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let next = Next::new(handler(async |_| "read"));
/// let response = BodyLimit::max(4).handle(Request::new(Body::from("hello")), next).await;
/// assert_eq!(response.status(), 413);
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    most: u64,
}

impl BodyLimit {
    /// Bodies of at most so many bytes. 0 is an error when the gateway starts: guard the method instead.
    pub fn max(bytes: usize) -> Self {
        Self {
            most: u64::try_from(bytes).unwrap_or(u64::MAX),
        }
    }
}

impl Step for BodyLimit {
    /// The body of a request without a length has none afterwards either.
    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn before(&self, head: &mut Head<'_>) -> Option<Passed> {
        let hint = head.body_mut().size_hint();
        if hint.lower() > self.most {
            let grpc = respond::is_grpc(head.headers());
            return Some(Err(Box::new(respond::failure(Failure::BodyTooLarge, grpc))));
        }
        // The length is that of the message, which the server holds the client to.
        if hint.exact().is_none() {
            let body = head.body_mut();
            *body = counted(std::mem::take(body), self.most);
            body.placed(Place::Request);
        }
        Some(Ok(Kept::Nothing))
    }
}

impl Middleware for BodyLimit {
    steps::as_middleware!();

    fn about(&self, about: &mut About) {
        if self.most == 0 {
            about.problem("`BodyLimit::max(0)` refuses every body: write at least 1");
        }
    }
}

/// A body that fails when it is longer than it may be.
fn counted(body: Body, mut left: u64) -> Body {
    body.followed(move |next, body| {
        let Some(Ok(frame)) = next else { return };
        let Some(data) = frame.data_ref() else { return };
        if let Some(rest) = left.checked_sub(data.len() as u64) {
            left = rest;
        } else {
            *body = Body::empty();
            let error = Error::failure(Failure::BodyTooLarge).at(Place::Request);
            *next = Some(Err(error));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use bytes::Bytes;
    use http_body::{Body as HttpBody, Frame};
    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        handler::{BoxHandler, Request, handler},
        middleware::IntoLayer,
    };

    /// Pieces without a length.
    struct Pieces(std::vec::IntoIter<&'static str>);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let next = self.0.next();
            Poll::Ready(next.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_counted() {
        async fn read(req: Request) -> Result<String, Error> {
            let bytes = req.into_body().collect().await?.to_bytes();
            Ok(bytes.len().to_string())
        }
        let layer = BodyLimit::max(6).into_layer();
        let target = layer.wrap(BoxHandler::new(handler(read)));
        for (pieces, status) in [
            (vec!["abc", "def"], 200),
            (vec!["abcdef", ""], 200),
            (vec!["abc", "defg"], 413),
            (vec!["abcdefg"], 413),
            (vec!["abc", "def", "g"], 413),
        ] {
            let about = format!("{pieces:?}");
            let body = Body::new(Pieces(pieces.into_iter()));
            let response = target.call(Request::new(body)).await;
            assert_eq!(response.status(), status, "{about}");
        }
        for (body, status) in [("", 200), ("abcdef", 200), ("abcdefg", 413)] {
            let response = target.call(Request::new(Body::from(body))).await;
            assert_eq!(response.status(), status, "{body}");
        }
    }
}
