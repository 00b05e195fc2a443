//! Other bodies for the errors of upstreams.

use std::{fmt, future::Future, ops::RangeInclusive};

use http::StatusCode;

use super::{About, Middleware, Next, fields};
use crate::{
    error::Failure,
    handler::{IntoResponse, Request, Response},
    respond,
};

/// Writes the body of responses of upstreams and handlers whose status is in a range: an HTML page, or a text that says nothing about the
/// inside.
///
/// The function gets the status and returns anything that is [`IntoResponse`]. The status stays, and so do the fields of the response
/// but those that describe its body. The body of the upstream is not read.
///
/// Answers that the gateway gives by itself pass; [`OnFailure`](super::OnFailure) writes those. So do responses to gRPC requests.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Body, Middleware, Next, Request, middleware::ErrorPages, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let pages = ErrorPages::on(500..=599, |status| format!("Something went wrong ({status})."));
/// let broken = handler(async |_: Request| (http::StatusCode::BAD_GATEWAY, "panic at main.py:12"));
/// let response = pages.handle(Request::new(Body::empty()), Next::new(broken)).await;
/// assert_eq!(response.status(), 502);
/// let text = response.into_body().bytes(1024).await.unwrap();
/// assert_eq!(text, "Something went wrong (502 Bad Gateway).");
/// # });
/// ```
#[derive(Clone)]
pub struct ErrorPages<F> {
    statuses: RangeInclusive<u16>,
    page: F,
}

impl<F, R> ErrorPages<F>
where
    F: Fn(StatusCode) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    /// Asks `page` for the body of responses with one of these statuses. They must be from 400 to 599.
    pub fn on(statuses: RangeInclusive<u16>, page: F) -> Self {
        Self { statuses, page }
    }

    fn replace(&self, response: Response) -> Response {
        let (mut head, body) = response.into_parts();
        drop(body);
        let (own, body) = (self.page)(head.status).into_response().into_parts();
        fields::of_another_body(&mut head.headers);
        head.headers.extend(own.headers);
        Response::from_parts(head, body)
    }
}

impl<F, R> Middleware for ErrorPages<F>
where
    F: Fn(StatusCode) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, req: Request, next: Next) -> impl Future<Output = Response> + Send {
        let grpc = respond::is_grpc(req.headers());
        async move {
            let response = next.run(req).await;
            let own = response.extensions().get::<Failure>().is_some();
            if grpc || own || !self.statuses.contains(&response.status().as_u16()) {
                return response;
            }
            self.replace(response)
        }
    }

    fn about(&self, about: &mut About) {
        let (first, last) = (*self.statuses.start(), *self.statuses.end());
        if first > last || first < 400 || last > 599 {
            about.problem(format!(
                "`ErrorPages::on({first}..={last}, ..)` is not a range of errors: write one from 400 to 599, such as `500..=599`"
            ));
        }
    }
}

impl<F> fmt::Debug for ErrorPages<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorPages")
            .field("statuses", &self.statuses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        handler::{BoxHandler, handler},
        middleware::IntoLayer,
    };

    async fn upstream(req: Request) -> Response {
        let status: u16 = req.uri().path()[1..].parse().unwrap();
        let mut response = http::Response::builder().status(status);
        for (name, value) in [
            ("content-type", "text/html"),
            ("content-length", "6"),
            ("content-encoding", "gzip"),
            ("etag", "\"x\""),
            ("retry-after", "7"),
            ("set-cookie", "a=b"),
        ] {
            response = response.header(name, value);
        }
        response.body(Body::from("inside")).unwrap()
    }

    #[tokio::test]
    async fn the_bodies_of_a_range_are_replaced_and_nothing_else() {
        let layer = ErrorPages::on(500..=503, |_| "sorry").into_layer();
        let target = layer.wrap(BoxHandler::new(handler(upstream)));
        for (path, grpc, replaced) in [
            ("/500", false, true),
            ("/503", false, true),
            ("/499", false, false),
            ("/504", false, false),
            ("/200", false, false),
            ("/500", true, false),
        ] {
            let mut req = Request::new(Body::empty());
            *req.uri_mut() = path.parse().unwrap();
            if grpc {
                let kind = http::HeaderValue::from_static("application/grpc");
                req.headers_mut().insert("content-type", kind);
            }
            let response = target.call(req).await;
            assert_eq!(response.status().as_str(), &path[1..]);
            assert_eq!(response.headers()["retry-after"], "7");
            assert_eq!(response.headers()["set-cookie"], "a=b");
            assert_eq!(!response.headers().contains_key("etag"), replaced, "{path}");
            assert_eq!(
                !response.headers().contains_key("content-encoding"),
                replaced
            );
            let kind = response.headers()["content-type"].to_str().unwrap();
            assert_eq!(kind == "text/plain; charset=utf-8", replaced, "{path}");
            let text = response.into_body().bytes(100).await.unwrap();
            assert_eq!(text == "sorry", replaced, "{path}");
        }
    }

    #[tokio::test]
    async fn answers_of_the_gateway_pass() {
        let layer = ErrorPages::on(400..=599, |_| "sorry").into_layer();
        let target = layer.wrap(BoxHandler::new(handler(async |_| Failure::Connect)));
        let response = target.call(Request::new(Body::empty())).await;
        let text = response.into_body().bytes(100).await.unwrap();
        assert_eq!(text, "Bad Gateway");
    }

    #[test]
    fn a_range_without_errors_is_said_at_start() {
        for (range, wrong) in [(400..=599, false), (200..=299, true), (500..=600, true)] {
            let about = ErrorPages::on(range, |_| "sorry").into_layer().about();
            assert_eq!(!about.problems().is_empty(), wrong);
        }
        #[expect(clippy::reversed_empty_ranges, reason = "it is what is tested")]
        let about = ErrorPages::on(599..=500, |_| "sorry").into_layer().about();
        assert!(about.problems()[0].contains("`500..=599`"));
    }
}
