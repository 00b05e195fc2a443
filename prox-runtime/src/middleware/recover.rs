//! Lets the answer to a panic pass through layers.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{Middleware, Next};
use crate::{
    error::Failure,
    handler::{Request, Response},
    observe::panics::caught,
    respond,
};

/// Answers `500` ([`Failure::Panicked`]) when a layer or a target behind it panics; the connection lives on.
///
/// A gateway does the same around all its layers. This layer makes the answer pass through the layers before it: they can add
/// fields to it, and [`OnFailure`](super::OnFailure) can write its body. Put it after [`AccessLog`](super::AccessLog) and before
/// all other layers.
///
/// A gRPC request gets a trailers-only answer with code 13. The text of the panic goes to `tracing::error!` and never to
/// the client.
///
/// Only the way to the head of the response is guarded. When a body panics later, its response is cut, as a response that has
/// begun cannot become another one. In a program that is built with `panic = "abort"` nothing can be caught.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::Recover, dsl::handler};
///
/// async fn broken(_: Request) -> &'static str {
///     panic!("a bug")
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let next = Next::new(handler(broken));
/// let response = Recover::new().handle(Request::new(Body::empty()), next).await;
/// assert_eq!(response.status(), 500);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recover(());

impl Recover {
    /// The layer; it has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Middleware for Recover {
    fn handle(&self, req: Request, next: Next) -> impl Future<Output = Response> + Send {
        let grpc = respond::is_grpc(req.headers());
        let answer = caught(|| next.run(req));
        Recovering { answer, grpc }
    }
}

pin_project! {
    /// The rest of the chain; none after it panicked.
    struct Recovering<F> {
        #[pin]
        answer: Option<F>,
        grpc: bool,
    }
}

impl<F: Future<Output = Response>> Future for Recovering<F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut this = self.project();
        let polled = caught(|| {
            let answer = this.answer.as_mut().as_pin_mut();
            answer.map(|answer| answer.poll(cx))
        });
        match polled {
            Some(Some(poll)) => return poll,
            Some(None) => {}
            // What is left of it may panic once more while it is dropped.
            None => {
                let _ = caught(|| this.answer.set(None));
            }
        }
        Poll::Ready(respond::failure(Failure::Panicked, *this.grpc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, Handler, IntoResponse, handler},
        middleware::IntoLayer,
    };

    fn recovering(handler: impl Handler) -> BoxHandler {
        Recover::new().into_layer().wrap(BoxHandler::new(handler))
    }

    async fn fails_on_demand(req: Request) -> Response {
        tokio::task::yield_now().await;
        assert!(req.uri().path() != "/panic", "as was asked for");
        "fine".into_response()
    }

    fn request(path: &str) -> Request {
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = path.parse().unwrap();
        req
    }

    #[tokio::test]
    async fn a_panic_becomes_a_500_and_the_next_request_is_answered() {
        let target = recovering(handler(fails_on_demand));
        let response = target.call(request("/panic")).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.extensions().get(), Some(&Failure::Panicked));
        assert_eq!(target.call(request("/")).await.status(), 200);
    }

    #[tokio::test]
    async fn the_text_of_the_panic_stays_inside() {
        let response = recovering(handler(fails_on_demand)).call(request("/panic"));
        let body = response.await.into_body().bytes(1024).await.unwrap();
        assert_eq!(body, "Internal Server Error");
    }

    #[tokio::test]
    async fn a_grpc_caller_gets_the_code_13() {
        let mut req = request("/panic");
        let kind = http::HeaderValue::from_static("application/grpc+proto");
        req.headers_mut().insert("content-type", kind);
        let response = recovering(handler(fails_on_demand)).call(req).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "13");
    }

    /// Panics when it is called, before there is a future.
    struct Sudden;

    impl Handler for Sudden {
        fn call(&self, req: Request) -> impl Future<Output = Response> + Send {
            assert!(req.uri().path() != "/", "at once");
            std::future::pending()
        }
    }

    #[tokio::test]
    async fn a_panic_outside_of_any_future_becomes_a_500() {
        assert_eq!(recovering(Sudden).call(request("/")).await.status(), 500);
    }

    /// Panics while it is polled, and again while it is dropped.
    struct Twice;

    impl Future for Twice {
        type Output = Response;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Response> {
            panic!("once")
        }
    }

    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("twice");
        }
    }

    #[tokio::test]
    async fn a_second_panic_while_cleaning_up_is_caught_too() {
        let response = Recovering {
            answer: Some(Twice),
            grpc: false,
        };
        assert_eq!(response.await.status(), 500);
    }
}
