//! `Proxy-Status` (RFC 9209): what went wrong, for the proxies that this one trusts.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Failure;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Says which failure a response of the gateway's own stands for, behind what an upstream has said of itself.
pub(crate) fn add(headers: &mut HeaderMap, failure: Failure) {
    let (error, name) = (error(failure), failure.name());
    let value = format!("prox; error={error}; details=\"{name}\"");
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(PROXY_STATUS, value);
    }
}

/// The type of a failure (RFC 9209, 2.3).
fn error(failure: Failure) -> &'static str {
    use Failure as F;
    match failure {
        F::NoRoute => "destination_not_found",
        F::MethodNotAllowed
        | F::MalformedRequest
        | F::HeadersTooLarge
        | F::UriTooLong
        | F::BodyTooLarge
        | F::SlowClient
        | F::ClientGone
        | F::UnsupportedMediaType
        | F::InvalidBody
        | F::WrongHost => "http_request_error",
        F::RateLimited
        | F::AuthUnavailable
        | F::LimitUnavailable
        | F::TooManyInFlight
        | F::Maintenance
        | F::Unauthenticated
        | F::Forbidden
        | F::CrossOrigin => "http_request_denied",
        F::Loop => "proxy_loop_detected",
        F::Panicked | F::Internal | F::NoCredentials => "proxy_internal_error",
        F::Dns => "dns_error",
        F::Connect => "connection_refused",
        F::Tls => "tls_protocol_error",
        F::ConnectTimeout => "connection_timeout",
        F::Reset => "connection_terminated",
        F::MalformedResponse => "http_protocol_error",
        F::ResponseTimeout => "http_response_timeout",
        F::NoEndpoint | F::CircuitOpen | F::Drained => "destination_unavailable",
        F::QueueFull => "connection_limit_reached",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_said_behind_what_others_have_said() {
        for failure in Failure::ALL {
            let mut headers = HeaderMap::new();
            headers.insert(PROXY_STATUS, HeaderValue::from_static("other"));
            add(&mut headers, failure);
            let values: Vec<_> = headers.get_all(PROXY_STATUS).iter().collect();
            let end = format!("; details=\"{}\"", failure.name());
            assert_eq!(values[0], "other");
            assert!(values[1].to_str().unwrap().ends_with(&end));
        }
    }
}
