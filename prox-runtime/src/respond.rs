//! Failures become responses here, and nowhere else.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::{body::Body, error::Failure};

/// Whether a message speaks gRPC, so that a failure must be answered in its way.
///
/// The type is `application/grpc`, or the same with a suffix such as `+proto`; parameters may follow. Other types that begin
/// with these letters are other protocols: `application/grpc-web` carries its trailers in the body.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| is_grpc_type(kind.as_bytes()))
}

fn is_grpc_type(kind: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some((name, rest)) = kind.split_at_checked(GRPC.len()) else {
        return false;
    };
    name.eq_ignore_ascii_case(GRPC)
        && match rest {
            [] | [b'+' | b';', ..] => true,
            [b' ' | b'\t', ..] => matches!(rest.trim_ascii_start(), [] | [b';', ..]),
            _ => false,
        }
}

/// Makes a server of HTTP/1.1 write the length that a `304` tells: that of the content which the client has already
/// (RFC 9110, 15.4.5).
pub(crate) fn keep_length(response: &mut Response<Body>) {
    if response.status() != StatusCode::NOT_MODIFIED {
        return;
    }
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(length) = length {
        *response.body_mut() = Body::described(length);
    }
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
    if status == StatusCode::UNAUTHORIZED {
        // A 401 has to name a scheme (RFC 9110, 15.5.2). `Basic` would make browsers ask for a password.
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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
            | Failure::Drained
    )
}

fn trailers_only(failure: Failure) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.extend(grpc_status(failure));
    response.extensions_mut().insert(failure);
    response
}

/// The fields that end a gRPC call which has failed.
pub(crate) fn grpc_status(failure: Failure) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(4);
    let code = HeaderValue::from(u16::from(failure.grpc_code()));
    fields.insert("grpc-status", code);
    fields.insert("grpc-message", HeaderValue::from_static(failure.name()));
    fields
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
    fn who_has_not_said_who_it_is_is_told_how_to() {
        let response = failure(Failure::Unauthenticated, false);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert!(
            !failure(Failure::Forbidden, false)
                .headers()
                .contains_key("www-authenticate")
        );
    }

    #[test]
    fn the_media_type_of_grpc_is_compared_as_a_whole() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC+JSON", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc+proto;v=1", true),
            ("application/grpc ;v=1", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpc-web-text", false),
            ("application/grpcx", false),
            ("application/grpc proto", false),
            ("application/grp", false),
            ("text/application/grpc", false),
            ("", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_grpc(&headers), grpc, "{kind:?}");
        }
    }

    #[test]
    fn a_grpc_caller_gets_a_trailers_only_answer() {
        let response = failure(Failure::NoRoute, true);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "12");
        assert_eq!(response.headers()["grpc-message"], "no_route");
    }
}
