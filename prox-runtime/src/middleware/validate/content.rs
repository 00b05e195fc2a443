//! Bodies that are read whole: what is taken, and the refusal of what is not.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body::Body as _;

use super::json::{Place, Wrong};
use crate::{
    body::Body,
    error::{Error, Failure},
    handler::{Request, Response},
    middleware::media,
    respond,
};

/// The largest body that is read, by default.
pub(crate) const LARGEST: usize = 1024 * 1024;

/// Whether a media type is JSON (RFC 6839, 3.1).
pub(crate) fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json") && kind.contains('/')
}

/// Whether the body of a message is coded, so that its bytes are not those of its type.
pub(crate) fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether a request has no body, and needs none.
pub(crate) fn is_absent(req: &Request) -> bool {
    let needs = matches!(*req.method(), Method::POST | Method::PUT | Method::PATCH);
    !needs && req.body().is_end_stream()
}

/// The body of a request for JSON.
///
/// # Errors
///
/// The refusal: `415` for another type and for a coded body, `413` for one that is too long, and what reading it fails with.
pub(crate) async fn json_of(
    headers: &HeaderMap,
    body: Body,
    largest: usize,
) -> Result<Bytes, Box<Response>> {
    let grpc = respond::is_grpc(headers);
    if !media::of(headers).is_some_and(|kind| is_json(&kind)) {
        return Err(unsupported("application/json", grpc).into());
    }
    if is_coded(headers) {
        let mut response = respond::failure(Failure::UnsupportedMediaType, grpc);
        let identity = HeaderValue::from_static("identity");
        response
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, identity);
        return Err(response.into());
    }
    let read = body.bytes(largest).await;
    read.map_err(|error| failed(&error, grpc).into())
}

/// The response to a body that cannot be read.
fn failed(error: &Error, grpc: bool) -> Response {
    respond::failure(error.as_failure().unwrap_or(Failure::Internal), grpc)
}

/// The response to a type that is not taken. It says what is (RFC 9110, 15.5.16).
pub(crate) fn unsupported(takes: &str, grpc: bool) -> Response {
    let mut response = respond::failure(Failure::UnsupportedMediaType, grpc);
    if !grpc && let Ok(takes) = HeaderValue::from_str(takes) {
        response.headers_mut().insert(header::ACCEPT, takes);
    }
    response
}

/// The response to a body that is not what is asked for: where it is wrong (RFC 9457), and nothing of its text.
pub(crate) fn invalid(wrong: &[Wrong], grpc: bool) -> Response {
    let mut response = respond::failure(Failure::InvalidBody, grpc);
    if grpc {
        return response;
    }
    let errors = wrong.iter().map(|wrong| match &wrong.place {
        Place::Line(line, column) => serde_json::json!({
            "problem": wrong.what, "line": line, "column": column,
        }),
        #[cfg(feature = "json-schema")]
        Place::Pointer(pointer, keyword) => serde_json::json!({
            "problem": wrong.what, "pointer": pointer, "keyword": keyword,
        }),
    });
    let text = serde_json::json!({
        "title": "Bad Request",
        "status": 400,
        "detail": Failure::InvalidBody.name(),
        "errors": errors.collect::<Vec<_>>(),
    });
    *response.body_mut() = Body::from(text.to_string());
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
