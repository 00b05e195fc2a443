//! Failures become responses here, and nowhere else.

use http::{HeaderValue, Response, StatusCode, header};

use crate::{body::Body, error::Failure};

/// Whether a request speaks gRPC, so that a failure must be answered in its way.
pub(crate) fn is_grpc(headers: &http::HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The response for a failure: one status, one short line of text, nothing about the inside.
///
/// A gRPC request gets a trailers-only response: status 200, and the code and the name as headers.
pub(crate) fn failure(failure: Failure, grpc: bool) -> Response<Body> {
    if grpc {
        return trailers_only(failure);
    }
    let status = failure.status();
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut response = Response::new(Body::from(reason));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if closes(failure) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.extensions_mut().insert(failure);
    response
}

/// After these the framing of the client's connection cannot be trusted.
fn closes(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::MalformedRequest
            | Failure::HeadersTooLarge
            | Failure::UriTooLong
            | Failure::SlowClient
    )
}

fn trailers_only(failure: Failure) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(
        "grpc-status",
        HeaderValue::from(u16::from(failure.grpc_code())),
    );
    headers.insert("grpc-message", HeaderValue::from_static(failure.name()));
    response.extensions_mut().insert(failure);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_nothing_about_the_inside() {
        let response = failure(Failure::Connect, false);
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers().len(), 1);
    }

    #[test]
    fn a_grpc_caller_gets_a_trailers_only_answer() {
        let response = failure(Failure::NoRoute, true);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "12");
        assert_eq!(response.headers()["grpc-message"], "no_route");
    }
}
