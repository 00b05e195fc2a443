//! Refuses requests whose body is not what a route takes.

mod content;
mod json;
#[cfg(feature = "json-schema")]
mod schema;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use serde_core::de::DeserializeOwned;

pub(super) use self::{
    content::{LARGEST, invalid, is_absent, is_coded, is_json, json_of},
    json::{Wrong, read},
};
use super::{About, Middleware, Next, media, media::MediaType};
use crate::{
    body::Body,
    handler::{Request, Response},
    respond,
};

/// Refuses requests whose body is of another type than a route takes, or not the JSON that it takes.
///
/// [`Validate::content_type`] looks at the type alone, and does not read the body. [`Validate::json`] and [`Validate::schema`] read it
/// whole, up to 1 MiB. The upstream gets the bytes that the client has sent, but no trailers.
///
/// | body | answer |
/// |---|---|
/// | another `Content-Type`, none, or two; a `Content-Encoding` | `415` ([`UnsupportedMediaType`](crate::Failure::UnsupportedMediaType)) |
/// | over the limit | `413` ([`BodyTooLarge`](crate::Failure::BodyTooLarge)) |
/// | not JSON, a name twice in an object, deeper than 64, not of the type or the schema | `400` ([`InvalidBody`](crate::Failure::InvalidBody)) |
///
/// The body of a `400` is `application/problem+json` (RFC 9457). It says where the body is wrong, and quotes nothing of it. gRPC
/// requests get the same failures in the way of gRPC. A request without a body passes, unless its method is `POST`, `PUT` or `PATCH`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use std::collections::BTreeMap;
///
/// use prox::{Body, Middleware, Next, Request, middleware::Validate, dsl::handler};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // Most often it is a `struct` with `#[derive(serde::Deserialize)]`.
/// let orders = Validate::json::<BTreeMap<String, u32>>();
/// for (body, status) in [(r#"{"apples": 3}"#, 200), (r#"{"apples": "three"}"#, 400)] {
///     let next = Next::new(handler(async |_: Request| "ordered"));
///     let request = http::Request::post("/orders").header("content-type", "application/json");
///     let response = orders.handle(request.body(Body::from(body)).unwrap(), next).await;
///     assert_eq!(response.status(), status);
/// }
/// # });
/// ```
#[derive(Clone)]
pub struct Validate {
    kind: Kind,
    largest: usize,
    problems: Vec<String>,
}

type Check = dyn Fn(&[u8]) -> Result<(), Vec<Wrong>> + Send + Sync;

#[derive(Clone)]
enum Kind {
    Types(Arc<[MediaType]>),
    Json(Arc<Check>),
}

impl Validate {
    /// Takes bodies of these media types and no others: `application/json`, or `image/*`. The body is not read.
    ///
    /// A malformed type, and an empty list, are errors when the gateway starts.
    pub fn content_type<T: AsRef<str>>(types: impl IntoIterator<Item = T>) -> Self {
        let (list, problems) = MediaType::list(types);
        let problems = problems.iter();
        let mut problems: Vec<_> = problems
            .map(|problem| format!("`Validate::content_type`: {problem}"))
            .collect();
        if list.is_empty() && problems.is_empty() {
            let problem =
                "`Validate::content_type([])` refuses every body: write at least one type";
            problems.push(problem.into());
        }
        Self {
            problems,
            ..Self::new(Kind::Types(list.into()))
        }
    }

    /// Takes JSON that a `T` can be made of.
    pub fn json<T: DeserializeOwned + 'static>() -> Self {
        Self::checked(|text| read::<T>(text).map(drop).map_err(|wrong| vec![wrong]))
    }

    /// Takes JSON that is valid under a JSON Schema: draft 2020-12, unless `$schema` names another one. It needs the feature
    /// `json-schema`.
    ///
    /// Nothing is fetched: a `$ref` must be within the text, or to a draft of JSON Schema. Patterns are regular expressions that take
    /// linear time, so they have no look-around and no back-references. A schema that is malformed is an error when the gateway
    /// starts.
    #[cfg(feature = "json-schema")]
    pub fn schema(text: &str) -> Self {
        match schema::Schema::new(text) {
            Ok(schema) => Self::checked(move |text| schema.check(text)),
            Err(problem) => Self {
                problems: vec![format!("`Validate::schema`: {problem}")],
                ..Self::checked(|_| Err(Vec::new()))
            },
        }
    }

    fn checked(check: impl Fn(&[u8]) -> Result<(), Vec<Wrong>> + Send + Sync + 'static) -> Self {
        Self::new(Kind::Json(Arc::new(check)))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            largest: LARGEST,
            problems: Vec::new(),
        }
    }

    /// The largest body that is read; 1 MiB by default. It means nothing for [`content_type`](Self::content_type).
    pub fn max(mut self, bytes: usize) -> Self {
        if bytes == 0 {
            let problem = "`Validate::max(0)` refuses every body: write at least 1";
            self.problems.push(problem.into());
        }
        self.largest = bytes;
        self
    }
}

impl Middleware for Validate {
    async fn handle(&self, req: Request, next: Next) -> Response {
        if is_absent(&req) {
            return next.run(req).await;
        }
        let grpc = respond::is_grpc(req.headers());
        match &self.kind {
            Kind::Types(types) => {
                let kind = media::of(req.headers());
                let takes = |kind: String| types.iter().any(|own| own.is(&kind));
                if !kind.is_some_and(takes) {
                    let types: Vec<_> = types.iter().map(MediaType::text).collect();
                    return content::unsupported(&types.join(", "), grpc);
                }
                next.run(req).await
            }
            Kind::Json(check) => {
                let (head, body) = req.into_parts();
                let text = match json_of(&head.headers, body, self.largest).await {
                    Ok(text) => text,
                    Err(refusal) => return *refusal,
                };
                if let Err(wrong) = check(&text) {
                    return invalid(&wrong, grpc);
                }
                next.run(Request::from_parts(head, Body::from(text))).await
            }
        }
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.problems);
    }
}

impl fmt::Debug for Validate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = match &self.kind {
            Kind::Types(types) => Some(types),
            Kind::Json(_) => None,
        };
        f.debug_struct("Validate")
            .field("types", &types)
            .field("max", &self.largest)
            .finish_non_exhaustive()
    }
}
