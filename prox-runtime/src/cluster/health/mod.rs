//! Whether an endpoint can be used: what checks say, what its answers say, and how it comes back.
//!
//! Three things are known of each endpoint, independently of each other: the verdict of [active](active) checks, whether
//! its answers got it [ejected](passive), and how far it is in its [slow start](slow_start). [`select`](super::priority)
//! makes the list of a balancer of them.

pub(crate) mod active;
pub(crate) mod check;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod passive;
pub(crate) mod slow_start;
pub(crate) mod tcp;
pub(crate) mod watch;

use ::http::StatusCode;

use crate::error::{Error, Failure, Origin};

/// How a request ended, as far as it says something about the endpoint or the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint did its work, whatever the answer was.
    Good,
    /// It reset the connection, answered too late, not in HTTP, or with a failure of its own.
    Bad,
    /// No connection to it came about: it was asked for nothing, and does nothing.
    Unreachable,
    /// Nothing can be said: the client left, or the gateway gave up for a reason of its own.
    Unknown,
}

impl Outcome {
    /// What a status says: 5xx is a failure, but for 501 and 505, which are about the request.
    pub(crate) fn of(status: StatusCode) -> Self {
        let about_request = [
            StatusCode::NOT_IMPLEMENTED,
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        ]
        .contains(&status);
        if status.is_server_error() && !about_request {
            Self::Bad
        } else {
            Self::Good
        }
    }

    /// What it says that there was no answer: only what an upstream does to us speaks against it.
    pub(crate) fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::Dns | Failure::Connect | Failure::ConnectTimeout | Failure::Tls => {
                Self::Unreachable
            }
            _ if Error::failure(failure).origin() == Origin::Upstream => Self::Bad,
            _ => Self::Unknown,
        }
    }

    /// Whether it speaks against the endpoint.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Bad | Self::Unreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_endpoint_answers_for_is_a_failure() {
        let of = |code| Outcome::of(StatusCode::from_u16(code).unwrap());
        assert!(
            [200, 304, 404, 429, 501, 505]
                .map(of)
                .iter()
                .all(|o| *o == Outcome::Good)
        );
        assert!(
            [500, 502, 503, 504, 599]
                .map(of)
                .iter()
                .all(|o| *o == Outcome::Bad)
        );
        let without = Outcome::of_failure;
        assert_eq!(without(Failure::Connect), Outcome::Unreachable);
        assert_eq!(without(Failure::ConnectTimeout), Outcome::Unreachable);
        assert_eq!(without(Failure::Reset), Outcome::Bad);
        assert_eq!(without(Failure::ResponseTimeout), Outcome::Bad);
        assert_eq!(without(Failure::ClientGone), Outcome::Unknown);
    }
}
