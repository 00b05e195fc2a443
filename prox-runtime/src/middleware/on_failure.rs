//! The gateway's own answers in the words of its owner.

use std::{fmt, future::Future};

use super::{Middleware, Next, fields};
use crate::{
    error::Failure,
    handler::{IntoResponse, Request, Response},
    respond,
};

/// Writes the body of every answer that the gateway gives by itself: an HTML page, JSON, `application/problem+json`.
///
/// The function gets the [`Failure`] and returns anything that is [`IntoResponse`]. A `match` over `Failure` is exhaustive,
/// so that a kind which is added later is seen by the compiler. The status stays that of the failure unless the function
/// sets another than 200, and the fields that belong to the failure (`Allow`, `Retry-After`, `Connection`) stay as well.
///
/// Answers of upstreams and handlers pass as they are, whatever their status, and so do those to gRPC requests, which have
/// no body. Put it first at the top level of a gateway, and it also sees `404`, `405` and `400`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Failure, Middleware, Next, Request, middleware::OnFailure, dsl::handler};
///
/// fn words(failure: Failure) -> String {
///     match failure {
///         Failure::NoRoute => "There is no such page.".into(),
///         Failure::RateLimited => "Slower, please.".into(),
///         other => format!("Something went wrong ({other})."),
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let next = Next::new(handler(async |_: Request| Failure::NoRoute));
/// let response = OnFailure::new(words).handle(Request::new(Body::empty()), next).await;
/// assert_eq!(response.status(), 404);
/// assert_eq!(response.into_body().bytes(1024).await.unwrap(), "There is no such page.");
/// # });
/// ```
#[derive(Clone)]
pub struct OnFailure<F>(F);

impl<F, R> OnFailure<F>
where
    F: Fn(Failure) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    /// Asks `answer` what to say of a failure.
    pub fn new(answer: F) -> Self {
        Self(answer)
    }
}

impl<F> fmt::Debug for OnFailure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFailure")
    }
}

impl<F, R> Middleware for OnFailure<F>
where
    F: Fn(Failure) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, req: Request, next: Next) -> impl Future<Output = Response> + Send {
        let grpc = respond::is_grpc(req.headers());
        async move {
            let response = next.run(req).await;
            match response.extensions().get::<Failure>().copied() {
                Some(failure) if !grpc => self.replace(response, failure),
                _ => response,
            }
        }
    }
}

impl<F, R> OnFailure<F>
where
    F: Fn(Failure) -> R,
    R: IntoResponse,
{
    fn replace(&self, response: Response, failure: Failure) -> Response {
        let (mut head, _) = response.into_parts();
        let (own, body) = (self.0)(failure).into_response().into_parts();
        if own.status != http::StatusCode::OK {
            head.status = own.status;
        }
        fields::of_another_body(&mut head.headers);
        head.headers.extend(own.headers);
        Response::from_parts(head, body)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode, header};

    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Handler, handler},
        middleware::IntoLayer,
    };

    fn answering(target: impl Handler) -> BoxHandler {
        OnFailure::new(|failure| match failure {
            Failure::Loop => (StatusCode::IM_A_TEAPOT, "round and round"),
            other => (StatusCode::OK, other.name()),
        })
        .into_layer()
        .wrap(BoxHandler::new(target))
    }

    async fn ask(target: impl Handler, grpc: bool) -> Response {
        let mut req = Request::new(Body::empty());
        if grpc {
            let kind = HeaderValue::from_static("application/grpc");
            req.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        answering(target).call(req).await
    }

    async fn text(response: Response) -> bytes::Bytes {
        response.into_body().bytes(1024).await.unwrap()
    }

    #[tokio::test]
    async fn the_body_is_replaced_and_what_belongs_to_the_failure_stays() {
        let response = ask(handler(async |_: Request| Failure::NoEndpoint), false).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.extensions().get(), Some(&Failure::NoEndpoint));
        assert_eq!(text(response).await, "no_endpoint");
    }

    #[tokio::test]
    async fn a_status_of_its_own_is_taken() {
        let response = ask(handler(async |_: Request| Failure::Loop), false).await;
        assert_eq!(response.status(), 418);
    }

    #[tokio::test]
    async fn an_answer_of_a_handler_passes_whatever_its_status() {
        let broken = handler(async |_: Request| (StatusCode::BAD_GATEWAY, "mine"));
        let response = ask(broken, false).await;
        assert_eq!(response.status(), 502);
        assert_eq!(text(response).await, "mine");
    }

    #[tokio::test]
    async fn a_grpc_caller_gets_no_page() {
        let trailers_only = handler(async |_: Request| respond::failure(Failure::NoRoute, true));
        let response = ask(trailers_only, true).await;
        assert_eq!(response.headers()["grpc-status"], "12");
        assert!(text(response).await.is_empty());
    }

    #[tokio::test]
    async fn nothing_is_left_that_described_the_body_before() {
        let target = handler(async |_| {
            let mut response = Failure::Connect.into_response();
            for name in ["content-encoding", "content-digest", "etag", "x-kept"] {
                let value = HeaderValue::from_static("of the body before");
                response.headers_mut().insert(name, value);
            }
            response
        });
        let response = answering(target).call(Request::default()).await;
        let names = ["content-encoding", "content-digest", "etag", "x-kept"];
        let left = names.map(|name| response.headers().contains_key(name));
        assert_eq!(left, [false, false, false, true]);
    }
}
