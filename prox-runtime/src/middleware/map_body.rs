//! Bodies of JSON that are made into others.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_core::{Serialize, de::DeserializeOwned};

use super::{
    About, Middleware, Next, fields, media,
    validate::{LARGEST, Wrong, invalid, is_absent, is_coded, is_json, json_of, read},
};
use crate::{
    body::Body,
    error::Failure,
    handler::{Request, Response},
    respond,
    tunnel::Switched,
};

/// The fields of a response by which a client knows its bytes again.
const VALIDATORS: [HeaderName; 2] = [header::ETAG, header::LAST_MODIFIED];

/// The fields of a request for something else than the whole response as it is.
const PARTIAL: [HeaderName; 2] = [header::RANGE, header::IF_RANGE];

/// Reads the JSON of a request or of a response as one type, and writes another one in its place.
///
/// The body is read whole, up to 1 MiB, under the rules of [`Validate`](super::Validate): no name twice in an object, at most 64
/// deep, no `Content-Encoding`. Digests of the body are removed, and its trailers too.
///
/// - A **request** whose body does not fit gets the answer of [`Validate::json`](super::Validate::json): `400`, `413` or `415`. One
///   without a body passes, unless its method is `POST`, `PUT` or `PATCH`.
/// - Of **responses** those with a status from 200 to 299 and a JSON type are mapped. The upstream is asked for the whole response
///   without compression (`Accept-Encoding: identity`, no `Range`), and `ETag` and `Last-Modified` are removed. If the body does not
///   fit the type, the client gets `502` ([`MalformedResponse`](Failure::MalformedResponse)), and nothing of the body. All other
///   responses pass as they are.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::collections::BTreeMap;
///
/// use prox::{Body, Middleware, Next, Request, middleware::MapBody, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // Most often both are a `struct` with `#[derive(serde::Deserialize)]` or `#[derive(serde::Serialize)]`.
/// let cents = MapBody::request(|order: BTreeMap<String, f64>| {
///     let cents = order.into_iter().map(|(name, euros)| (name, (euros * 100.0).round() as i64));
///     cents.collect::<BTreeMap<_, _>>()
/// });
/// let next = Next::new(handler(async |req: Request| req.into_body()));
/// let request = http::Request::post("/orders").header("content-type", "application/json");
/// let response = cents.handle(request.body(Body::from(r#"{"apples": 1.5}"#)).unwrap(), next).await;
/// assert_eq!(response.into_body().bytes(100).await.unwrap(), r#"{"apples":150}"#);
/// # });
/// ```
#[derive(Clone)]
pub struct MapBody {
    of: Of,
    map: Arc<Map>,
    largest: usize,
}

type Map = dyn Fn(&[u8]) -> Result<Vec<u8>, Failed> + Send + Sync;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Request,
    Response,
}

enum Failed {
    /// The body does not fit the type.
    Read(Wrong),
    /// The value cannot be written as JSON.
    Write(serde_json::Error),
}

impl MapBody {
    /// Maps bodies of requests.
    pub fn request<In, Out, F>(map: F) -> Self
    where
        In: DeserializeOwned + 'static,
        Out: Serialize + 'static,
        F: Fn(In) -> Out + Send + Sync + 'static,
    {
        Self::new(Of::Request, map)
    }

    /// Maps bodies of responses.
    pub fn response<In, Out, F>(map: F) -> Self
    where
        In: DeserializeOwned + 'static,
        Out: Serialize + 'static,
        F: Fn(In) -> Out + Send + Sync + 'static,
    {
        Self::new(Of::Response, map)
    }

    fn new<In, Out, F>(of: Of, map: F) -> Self
    where
        In: DeserializeOwned + 'static,
        Out: Serialize + 'static,
        F: Fn(In) -> Out + Send + Sync + 'static,
    {
        let map = move |text: &[u8]| {
            let value = read::<In>(text).map_err(Failed::Read)?;
            serde_json::to_vec(&map(value)).map_err(Failed::Write)
        };
        Self {
            of,
            map: Arc::new(map),
            largest: LARGEST,
        }
    }

    /// The largest body that is read; 1 MiB by default.
    pub fn max(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    async fn of_request(&self, req: Request, next: Next) -> Response {
        if is_absent(&req) {
            return next.run(req).await;
        }
        let grpc = respond::is_grpc(req.headers());
        let (mut head, body) = req.into_parts();
        let text = match json_of(&head.headers, body, self.largest).await {
            Ok(text) => text,
            Err(refusal) => return *refusal,
        };
        match (self.map)(&text) {
            Ok(text) => {
                fields::of_other_bytes(&mut head.headers);
                next.run(Request::from_parts(head, Body::from(text))).await
            }
            Err(Failed::Read(wrong)) => invalid(&[wrong], grpc),
            Err(Failed::Write(error)) => broken(Failure::Internal, grpc, &error),
        }
    }

    async fn of_response(&self, mut req: Request, next: Next) -> Response {
        let grpc = respond::is_grpc(req.headers());
        let head = *req.method() == Method::HEAD;
        let headers = req.headers_mut();
        for name in &PARTIAL {
            headers.remove(name);
        }
        let identity = HeaderValue::from_static("identity");
        headers.insert(header::ACCEPT_ENCODING, identity);
        let response = next.run(req).await;
        if !maps(&response) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        described(&mut parts.headers);
        if head || parts.status == StatusCode::NO_CONTENT {
            return Response::from_parts(parts, body);
        }
        if is_coded(&parts.headers) || parts.status == StatusCode::PARTIAL_CONTENT {
            return broken(Failure::MalformedResponse, grpc, &"a part, or a coded body");
        }
        let text = match body.bytes(self.largest).await {
            Ok(text) => text,
            Err(error) => return broken(Failure::MalformedResponse, grpc, &error),
        };
        match (self.map)(&text) {
            Ok(text) => Response::from_parts(parts, Body::from(text)),
            Err(Failed::Read(wrong)) => {
                broken(Failure::MalformedResponse, grpc, &format_args!("{wrong:?}"))
            }
            Err(Failed::Write(error)) => broken(Failure::Internal, grpc, &error),
        }
    }
}

/// Whether a response is mapped.
fn maps(response: &Response) -> bool {
    response.status().is_success()
        && response.extensions().get::<Switched>().is_none()
        && media::of(response.headers()).is_some_and(|kind| is_json(&kind))
}

/// Removes what describes the bytes that were there.
fn described(headers: &mut HeaderMap) {
    fields::of_other_bytes(headers);
    for name in &VALIDATORS {
        headers.remove(name);
    }
}

fn broken(failure: Failure, grpc: bool, why: &dyn fmt::Display) -> Response {
    tracing::debug!(target: "prox", %why, "a body cannot be mapped");
    respond::failure(failure, grpc)
}

impl Middleware for MapBody {
    async fn handle(&self, req: Request, next: Next) -> Response {
        match self.of {
            Of::Request => self.of_request(req, next).await,
            Of::Response => self.of_response(req, next).await,
        }
    }

    fn about(&self, about: &mut About) {
        if self.largest == 0 {
            about.problem("`MapBody::max(0)` refuses every body: write at least 1");
        }
    }
}

impl fmt::Debug for MapBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBody")
            .field("of", &self.of)
            .field("max", &self.largest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

    use super::*;
    use crate::{
        handler::{BoxHandler, handler},
        middleware::IntoLayer,
        sync::lock,
    };

    type Prices = BTreeMap<String, u32>;

    fn doubled(prices: Prices) -> Prices {
        let doubled = prices.into_iter();
        doubled.map(|(name, price)| (name, price * 2)).collect()
    }

    fn request(fields: &[(&str, &str)], body: &'static str) -> Request {
        let mut request = http::Request::post("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_mapped_or_refused() {
        let seen = Arc::<Mutex<Vec<(HeaderMap, String)>>>::default();
        let own = Arc::clone(&seen);
        let target = handler(move |req: Request| {
            let own = Arc::clone(&own);
            async move {
                let (head, body) = req.into_parts();
                let body = body.bytes(1000).await.unwrap();
                let text = String::from_utf8(body.to_vec()).unwrap();
                lock(&own).push((head.headers, text));
                "taken"
            }
        });
        let layer = MapBody::request(doubled).max(30).into_layer();
        let target = layer.wrap(BoxHandler::new(target));
        let json = ("content-type", "application/json");
        for (fields, body, status) in [
            (
                &[json, ("content-digest", "a"), ("x-a", "b")][..],
                "{\"a\": 2}",
                200,
            ),
            (&[("content-type", "application/vnd.a+json")][..], "{}", 200),
            (&[json][..], "{\"a\": \"b\"}", 400),
            (&[json][..], "{\"a\": 1, \"a\": 2}", 400),
            (&[json][..], "", 400),
            (&[json][..], "{\"a\": 2                        }", 413),
            (&[][..], "{}", 415),
            (&[("content-type", "text/plain")][..], "{}", 415),
            (&[json, ("content-encoding", "gzip")][..], "{}", 415),
        ] {
            let answer = target.call(request(fields, body)).await;
            assert_eq!(answer.status(), status, "{fields:?} {body}");
        }
        let seen = lock(&seen);
        let texts: Vec<_> = seen.iter().map(|(_, text)| &**text).collect();
        assert_eq!(texts, ["{\"a\":4}", "{}"]);
        assert!(!seen[0].0.contains_key("content-digest"));
        assert_eq!(seen[0].0["x-a"], "b");
    }

    #[tokio::test]
    async fn a_response_is_mapped_or_replaced_by_a_failure() {
        for (status, fields, body, mapped) in [
            (
                200,
                &[("content-type", "application/json"), ("etag", "\"a\"")][..],
                "{\"a\":2}",
                Ok("{\"a\":4}"),
            ),
            (
                201,
                &[("content-type", "application/json")][..],
                "{}",
                Ok("{}"),
            ),
            (
                200,
                &[("content-type", "text/plain")][..],
                "{\"a\":2}",
                Ok("{\"a\":2}"),
            ),
            (
                404,
                &[("content-type", "application/json")][..],
                "{\"a\":2}",
                Ok("{\"a\":2}"),
            ),
            (
                200,
                &[("content-type", "application/json")][..],
                "{\"a\":\"secret\"}",
                Err(502),
            ),
            (
                200,
                &[("content-type", "application/json")][..],
                "{\"a\":2,\"a\":3}",
                Err(502),
            ),
            (
                200,
                &[
                    ("content-type", "application/json"),
                    ("content-encoding", "br"),
                ][..],
                "{}",
                Err(502),
            ),
            (
                206,
                &[("content-type", "application/json")][..],
                "{}",
                Err(502),
            ),
            (
                200,
                &[("content-type", "application/json")][..],
                "{                             }",
                Err(502),
            ),
        ] {
            let target = handler(move |req: Request| async move {
                assert_eq!(req.headers()["accept-encoding"], "identity");
                assert!(!req.headers().contains_key("range"));
                let mut response = http::Response::builder().status(status);
                for (name, value) in fields {
                    response = response.header(*name, *value);
                }
                response.body(Body::from(body)).unwrap()
            });
            let layer = MapBody::response(doubled).max(20).into_layer();
            let target = layer.wrap(BoxHandler::new(target));
            let asked = request(&[("range", "bytes=0-1"), ("accept-encoding", "br")], "");
            let answer = target.call(asked).await;
            let found = answer.status().as_u16();
            assert_eq!(found, mapped.err().unwrap_or(status), "{fields:?} {body}");
            assert!(!answer.headers().contains_key("etag"));
            let text = answer.into_body().bytes(100).await.unwrap();
            assert_eq!(text, mapped.unwrap_or("Bad Gateway"));
        }
    }
}
