//! Errors of other crates' layers and bodies, as rows of the failure table.

use std::{error::Error as StdError, io};

use super::{Error, Failure};

/// Where an error came from, on which its meaning depends: a body that is too slow is the client's fault in a request, and the
/// upstream's in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// A service or a layer failed instead of answering, or nothing is known.
    #[default]
    Service,
    /// The body of a request.
    Request,
    /// The body of a response.
    Response,
}

/// What the timeouts of `tower_http` for bodies say. The crate is not a dependency, so its type has no name here.
const BODY_TIMEOUT: &str = "data was not received within the designated timeout";

impl Place {
    /// The row for an error, if it or one of its causes is known.
    ///
    /// | error | row |
    /// |---|---|
    /// | an [`Error`] of this crate | its own |
    /// | `http_body_util::LengthLimitError` (`RequestBodyLimitLayer` of `tower_http`) | `BodyTooLarge` |
    /// | `Elapsed` of `tower` and `tokio`, the body timeouts of `tower_http`, `io::ErrorKind::TimedOut` | `SlowClient` in a request's body, else `ResponseTimeout` |
    /// | `tower::load_shed::error::Overloaded` | `QueueFull` |
    /// | `io::ErrorKind::InvalidData` and `UnexpectedEof` (decompression) | `MalformedRequest` in a request's body, `MalformedResponse` in a response's |
    /// | `hyper::Error` | in a request's body `MalformedRequest` or `ClientGone`, in a response's `MalformedResponse`, `ResponseTimeout` or `Reset` |
    pub(super) fn failure(self, error: &(dyn StdError + 'static)) -> Option<Failure> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(failure) = self.one(error) {
                return Some(failure);
            }
            cause = match error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                // The source of an `io::Error` is that of the error in it, which would be passed over.
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    /// The same without the causes.
    fn one(self, error: &(dyn StdError + 'static)) -> Option<Failure> {
        if let Some(error) = error.downcast_ref::<Error>() {
            // A foreign error in it may mean something else in this place.
            return error.as_failure().filter(|_| !error.is_foreign());
        }
        if error.is::<http_body_util::LengthLimitError>() {
            return Some(Failure::BodyTooLarge);
        }
        if error.is::<tower::load_shed::error::Overloaded>() {
            return Some(Failure::QueueFull);
        }
        if error.is::<tower::timeout::error::Elapsed>()
            || error.is::<tokio::time::error::Elapsed>()
            || error.to_string() == BODY_TIMEOUT
        {
            return Some(self.late());
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return self.io(error.kind());
        }
        error.downcast_ref().and_then(|error| self.hyper(error))
    }

    fn late(self) -> Failure {
        match self {
            Self::Request => Failure::SlowClient,
            Self::Service | Self::Response => Failure::ResponseTimeout,
        }
    }

    fn io(self, kind: io::ErrorKind) -> Option<Failure> {
        match (kind, self) {
            (io::ErrorKind::TimedOut, _) => Some(self.late()),
            (io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof, Self::Request) => {
                Some(Failure::MalformedRequest)
            }
            (io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof, Self::Response) => {
                Some(Failure::MalformedResponse)
            }
            _ => None,
        }
    }

    /// Bodies of hyper's come from its clients in responses, and from a server around this gateway in requests.
    fn hyper(self, error: &hyper::Error) -> Option<Failure> {
        match self {
            // What its service failed with says more than that it failed.
            _ if error.is_user() => None,
            Self::Service => None,
            Self::Request if error.is_parse() => Some(Failure::MalformedRequest),
            Self::Request => Some(Failure::ClientGone),
            Self::Response if error.is_parse() => Some(Failure::MalformedResponse),
            Self::Response if error.is_timeout() => Some(Failure::ResponseTimeout),
            Self::Response => Some(Failure::Reset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BoxError;

    fn all(error: impl Into<BoxError>) -> [Option<Failure>; 3] {
        let error = error.into();
        [Place::Service, Place::Request, Place::Response].map(|place| place.failure(&*error))
    }

    #[test]
    fn what_an_error_means_depends_on_its_place() {
        use Failure as F;
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "invalid gzip header");
        let malformed = [None, Some(F::MalformedRequest), Some(F::MalformedResponse)];
        assert_eq!(all(invalid()), malformed);
        assert_eq!(all(io::Error::other(invalid())), malformed);
        assert_eq!(all(io::ErrorKind::UnexpectedEof.into_error()), malformed);
        let late = [
            Some(F::ResponseTimeout),
            Some(F::SlowClient),
            Some(F::ResponseTimeout),
        ];
        assert_eq!(all(tower::timeout::error::Elapsed::new()), late);
        assert_eq!(all(io::ErrorKind::TimedOut.into_error()), late);
        assert_eq!(all(BODY_TIMEOUT), late);
        let full = [Some(F::QueueFull); 3];
        assert_eq!(all(tower::load_shed::error::Overloaded::new()), full);
        assert_eq!(all("no reason"), [None; 3]);
    }

    #[test]
    fn an_error_is_found_among_causes_however_it_is_wrapped() {
        let own = || Error::failure(Failure::Forbidden);
        assert_eq!(all(own()), [Some(Failure::Forbidden); 3]);
        assert_eq!(all(io::Error::other(own())), [Some(Failure::Forbidden); 3]);
        let outer = Error::foreign(Box::new(io::Error::other(own())), Place::Service);
        assert_eq!(outer.as_failure(), Some(Failure::Forbidden));
        assert_eq!(all(io::Error::other(outer)), [Some(Failure::Forbidden); 3]);
    }

    #[test]
    fn a_foreign_error_learns_its_place_later() {
        let gzip = io::Error::new(io::ErrorKind::InvalidData, "invalid gzip header");
        let error = Error::foreign(gzip.into(), Place::Service);
        assert_eq!(error.as_failure(), Some(Failure::Internal));
        let error = error.at(Place::Request);
        assert_eq!(error.as_failure(), Some(Failure::MalformedRequest));
        let own = Error::caused(Failure::Forbidden, "as it was meant").at(Place::Request);
        assert_eq!(own.as_failure(), Some(Failure::Forbidden));
    }

    trait IntoError {
        fn into_error(self) -> io::Error;
    }

    impl IntoError for io::ErrorKind {
        fn into_error(self) -> io::Error {
            self.into()
        }
    }
}
