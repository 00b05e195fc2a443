//! Compresses the bodies of responses for clients that take them so.

mod body;
mod coding;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;

use self::{
    body::Compressed,
    coding::{Coding, choose},
};
use super::{About, Middleware, Next, fields, media::MediaType};
use crate::{
    body::Body,
    handler::{Request, Response},
    respond,
    tunnel::Switched,
};

/// Bodies of a known length below this gain nothing.
const LEAST: u64 = 1024;

/// Compresses bodies of responses with zstd, brotli or gzip: what the client likes best (`Accept-Encoding`), in this order where it
/// likes several as much.
///
/// Text, JSON, XML, JavaScript, SVG and WebAssembly are compressed, from 1 KiB on. These pass as they are: responses that have a
/// `Content-Encoding` or `Cache-Control: no-transform`, `206`, `204` and `304`, answers to `HEAD`, server-sent events, gRPC, and
/// connections that are switched to another protocol. A client that takes none of the codings gets the body as it is, and never
/// `406`.
///
/// Of a compressed response `Content-Length`, `Accept-Ranges` and digests are removed, and a strong `ETag` becomes a weak one.
/// `Vary: Accept-Encoding` is added wherever a response would have been compressed for another client. When the upstream pauses in
/// the middle of a body, what there is goes out. The upstream gets `Accept-Encoding` as the client sent it, and may compress by
/// itself.
///
/// Do not compress responses that have a secret and a text of the client's in one body: by their lengths the secret can be guessed
/// (BREACH).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::middleware::Compress;
///
/// let layer = Compress::new().min(4096).types(["text/*", "application/json"]);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct Compress {
    least: u64,
    types: Option<Arc<[MediaType]>>,
    problems: Vec<String>,
}

impl Compress {
    /// The layer with its defaults.
    pub fn new() -> Self {
        Self {
            least: LEAST,
            types: None,
            problems: Vec::new(),
        }
    }

    /// Bodies that are known to be shorter pass as they are; 1 KiB by default.
    pub fn min(mut self, bytes: usize) -> Self {
        self.least = u64::try_from(bytes).unwrap_or(u64::MAX);
        self
    }

    /// Compresses these media types and no others: `application/json`, or `text/*`.
    ///
    /// Server-sent events and gRPC are never compressed. A malformed type is an error when the gateway starts.
    pub fn types<T: AsRef<str>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        let (list, problems) = MediaType::list(types);
        self.problems.extend(problems);
        self.types = Some(list.into());
        self
    }

    /// Whether the response is of a kind that is compressed for clients that take it.
    fn may(&self, response: &Response) -> bool {
        let (status, headers) = (response.status(), response.headers());
        let bodiless = status.is_informational()
            || matches!(
                status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT
            );
        if bodiless
            || headers.contains_key(header::CONTENT_ENCODING)
            || headers.contains_key(header::CONTENT_RANGE)
            || response.extensions().get::<Switched>().is_some()
            || is_fixed(headers)
        {
            return false;
        }
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        self.takes(&kind.to_ascii_lowercase())
    }

    fn takes(&self, kind: &str) -> bool {
        if kind == "text/event-stream" || kind.starts_with("application/grpc") {
            return false;
        }
        match &self.types {
            None => is_text(kind),
            Some(types) => types.iter().any(|listed| listed.is(kind)),
        }
    }
}

/// What is compressed by default.
fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind,
            "application/json"
                | "application/x-ndjson"
                | "application/xml"
                | "application/javascript"
                | "application/x-javascript"
                | "application/wasm"
        )
}

/// Whether nobody on the way may change the content (RFC 9111, 5.2.2.6).
fn is_fixed(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let mut directives = values.flat_map(fields::tokens);
    directives.any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

impl Default for Compress {
    fn default() -> Self {
        Self::new()
    }
}

impl Middleware for Compress {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let accepts = req.headers().get_all(header::ACCEPT_ENCODING).iter();
        let coding = choose(accepts.map(HeaderValue::as_bytes));
        let head = *req.method() == Method::HEAD;
        let grpc = respond::is_grpc(req.headers());
        let mut response = next.run(req).await;
        if grpc || !self.may(&response) {
            return response;
        }
        let short = response.body().size_hint().exact();
        let short = short.is_some_and(|length| length < self.least);
        if !head && short {
            return response;
        }
        fields::vary(response.headers_mut(), "accept-encoding");
        match coding {
            Some(coding) if !head && !response.body().is_end_stream() => compress(response, coding),
            _ => response,
        }
    }

    fn about(&self, about: &mut About) {
        for problem in &self.problems {
            about.problem(format!("`Compress::types`: {problem}"));
        }
        if self.types.as_ref().is_some_and(|types| types.is_empty()) && self.problems.is_empty() {
            about.problem("`Compress::types([])` compresses nothing: write at least one type");
        }
    }
}

fn compress(response: Response, coding: Coding) -> Response {
    let (mut head, body) = response.into_parts();
    fields::of_other_bytes(&mut head.headers);
    let name = HeaderValue::from_static(coding.name());
    head.headers.insert(header::CONTENT_ENCODING, name);
    weaken(&mut head.headers);
    Response::from_parts(head, Body::boxed(Compressed::new(body, coding)))
}

/// A strong validator is about bytes, and these are others (RFC 9110, 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get_mut(header::ETAG) else {
        return;
    };
    if tag.as_bytes().starts_with(b"\"") {
        let weak = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat());
        *tag = weak.unwrap_or_else(|_| tag.clone());
    }
}
