//! Another answer where no upstream was reached.

use std::fmt;

use http::Method;
use http_body::Body as _;

use super::{Middleware, Next};
use crate::{
    body::Body,
    error::Failure,
    handler::{BoxHandler, Handler, Request, Response},
    respond,
    route::RequestExt,
};

/// Asks another handler when no upstream was reached: a static page, or a copy that may be old.
///
/// It is for `GET` and `HEAD` requests without a body, and for failures before an upstream had the request: its name or its
/// connection ([`Failure::Dns`], [`Failure::Connect`], [`Failure::Tls`], [`Failure::ConnectTimeout`]), no endpoint
/// ([`Failure::NoEndpoint`]), an open breaker ([`Failure::CircuitOpen`]), and a full queue ([`Failure::QueueFull`]). Whatever an
/// upstream has answered passes. WebSockets and gRPC pass as well.
///
/// The handler gets the request as it was. Layers behind this one have seen it already, and do not see it again.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Failure, Middleware, Next, Request, middleware::Fallback, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let fallback = Fallback::to(handler(async |_: Request| "We are back soon."));
/// let gone = handler(async |_: Request| Failure::Connect);
/// let response = fallback.handle(Request::new(Body::empty()), Next::new(gone)).await;
/// assert_eq!(response.status(), 200);
/// # });
/// ```
#[derive(Clone)]
pub struct Fallback(BoxHandler);

impl Fallback {
    /// Asks this handler.
    pub fn to(handler: impl Handler) -> Self {
        Self(BoxHandler::new(handler))
    }
}

impl Middleware for Fallback {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let repeats = may_repeat(&req);
        let (parts, body) = req.into_parts();
        let again = repeats.then(|| Request::from_parts(parts.clone(), Body::empty()));
        let response = next.run(Request::from_parts(parts, body)).await;
        let failure = response.extensions().get().copied();
        match again {
            Some(req) if failure.is_some_and(was_not_reached) => self.0.call(req).await,
            _ => response,
        }
    }
}

/// Whether a request may be asked again.
fn may_repeat(req: &Request) -> bool {
    let reads = matches!(*req.method(), Method::GET | Method::HEAD);
    let plain = req.body().is_end_stream() && req.upgrade().is_none();
    reads && plain && !respond::is_grpc(req.headers())
}

fn was_not_reached(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Dns
            | Failure::Connect
            | Failure::Tls
            | Failure::ConnectTimeout
            | Failure::NoEndpoint
            | Failure::CircuitOpen
            | Failure::QueueFull
    )
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fallback")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{handler::handler, middleware::IntoLayer};

    async fn ask(failure: Failure, method: Method, body: &'static str) -> String {
        let layer = Fallback::to(handler(async |req: Request| {
            format!("{} {}", req.method(), req.uri())
        }))
        .into_layer();
        let target = layer.wrap(BoxHandler::new(handler(move |_| async move { failure })));
        let mut req = Request::new(Body::from(body));
        *req.method_mut() = method;
        *req.uri_mut() = "/a?b".parse().unwrap();
        let response = target.call(req).await;
        let text = response.into_body().bytes(100).await.unwrap();
        String::from_utf8(text.into()).unwrap()
    }

    #[tokio::test]
    async fn requests_that_reached_no_upstream_are_asked_again() {
        let own = "GET /a?b";
        for failure in Failure::ALL {
            let again = ask(failure, Method::GET, "").await == own;
            assert_eq!(again, was_not_reached(failure), "{failure}");
        }
        assert_eq!(ask(Failure::Dns, Method::HEAD, "").await, "HEAD /a?b");
        for (method, body) in [(Method::POST, ""), (Method::GET, "x"), (Method::DELETE, "")] {
            assert_eq!(ask(Failure::Dns, method, body).await, "Bad Gateway");
        }
    }
}
