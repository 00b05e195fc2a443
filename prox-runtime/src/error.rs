//! What can go wrong: [`Failure`] while a request is on its way, [`Error`] for everything, start-up included.

mod foreign;

use std::{borrow::Cow, error::Error as StdError, fmt};

use http::StatusCode;

pub(crate) use self::foreign::Place;

/// Any error, as tower and hyper pass it around.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The result of `main` in a gateway's binary, and of all that starts one.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a request was answered by the gateway itself instead of by an upstream or a handler.
///
/// The enum is closed: a `match` over it is exhaustive, so whoever replaces the gateway's answers is told by the
/// compiler when a kind is added. Each kind has one HTTP status, one gRPC code and one stable [name](Self::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No route takes the path: `404`.
    NoRoute,
    /// Routes take the path, none of them the method: `405`, with `Allow`.
    MethodNotAllowed,
    /// The request cannot be understood, or must not be: `400`.
    MalformedRequest,
    /// The request's header block is over the limit: `431`.
    HeadersTooLarge,
    /// The request's target is over the limit: `414`.
    UriTooLong,
    /// The request's body is over the limit: `413`.
    BodyTooLarge,
    /// The client sent its header or its body too slowly: `408`.
    SlowClient,
    /// The client left before the answer: `499`, in the log only.
    ClientGone,
    /// The client is over its quota: `429`.
    RateLimited,
    /// The store of a shared limit did not answer, and the limit is to refuse then: `503`.
    LimitUnavailable,
    /// As many requests as are allowed at once are under way: `503`.
    TooManyInFlight,
    /// The request's body is of a media type that is not taken here: `415`.
    UnsupportedMediaType,
    /// The request's body is not what is asked for here: `400`.
    InvalidBody,
    /// The gateway, or a part of it, is closed for maintenance: `503`.
    Maintenance,
    /// The caller has not said who it is: `401`.
    Unauthenticated,
    /// Who the caller is cannot be found out now, because what knows it is down: `503`.
    AuthUnavailable,
    /// The caller may not do this: `403`.
    Forbidden,
    /// A page of an origin that is not allowed made the request, or asked in a preflight whether it may: `403`.
    CrossOrigin,
    /// The host is not among the names of the TLS certificate that was agreed on: `421`.
    WrongHost,
    /// The request has passed here before: `508`.
    Loop,
    /// A handler or a layer panicked: `500`.
    Panicked,
    /// A handler or a layer failed: `500`.
    Internal,
    /// The upstream's name could not be resolved: `502`.
    Dns,
    /// The upstream refused the connection, or cannot be reached: `502`.
    Connect,
    /// The TLS handshake with the upstream failed: `502`.
    Tls,
    /// The connection to the upstream was not there in time: `504`.
    ConnectTimeout,
    /// The upstream closed or reset the connection before its response: `502`.
    Reset,
    /// The upstream's response cannot be understood: `502`.
    MalformedResponse,
    /// The upstream's response, or all of it, was not there in time: `504`.
    ResponseTimeout,
    /// No endpoint of the cluster can be used: `503`.
    NoEndpoint,
    /// The circuit breaker of the cluster is open: `503`.
    CircuitOpen,
    /// The queue for a connection is full, or the wait in it was too long: `503`.
    QueueFull,
    /// There is no token for the upstream: what makes them fails. `503`.
    NoCredentials,
    /// The gateway was told to end, and the request had not ended by the end of the drain: `503`.
    Drained,
}

impl Failure {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 34] = [
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::MalformedRequest,
        Self::HeadersTooLarge,
        Self::UriTooLong,
        Self::BodyTooLarge,
        Self::SlowClient,
        Self::ClientGone,
        Self::RateLimited,
        Self::LimitUnavailable,
        Self::TooManyInFlight,
        Self::UnsupportedMediaType,
        Self::InvalidBody,
        Self::Maintenance,
        Self::Unauthenticated,
        Self::AuthUnavailable,
        Self::Forbidden,
        Self::CrossOrigin,
        Self::WrongHost,
        Self::Loop,
        Self::Panicked,
        Self::Internal,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::ConnectTimeout,
        Self::Reset,
        Self::MalformedResponse,
        Self::ResponseTimeout,
        Self::NoEndpoint,
        Self::CircuitOpen,
        Self::QueueFull,
        Self::NoCredentials,
        Self::Drained,
    ];

    /// The HTTP status, the gRPC code and the stable name: the failure table, in one place.
    const fn row(self) -> (u16, u8, &'static str) {
        match self {
            Self::NoRoute => (404, 12, "no_route"),
            Self::MethodNotAllowed => (405, 12, "method_not_allowed"),
            Self::MalformedRequest => (400, 13, "malformed_request"),
            Self::HeadersTooLarge => (431, 8, "headers_too_large"),
            Self::UriTooLong => (414, 8, "uri_too_long"),
            Self::BodyTooLarge => (413, 8, "body_too_large"),
            Self::SlowClient => (408, 4, "slow_client"),
            Self::ClientGone => (499, 1, "client_gone"),
            Self::RateLimited => (429, 8, "rate_limited"),
            Self::LimitUnavailable => (503, 14, "limit_unavailable"),
            Self::TooManyInFlight => (503, 8, "too_many_in_flight"),
            Self::UnsupportedMediaType => (415, 3, "unsupported_media_type"),
            Self::InvalidBody => (400, 3, "invalid_body"),
            Self::Maintenance => (503, 14, "maintenance"),
            Self::Unauthenticated => (401, 16, "unauthenticated"),
            Self::AuthUnavailable => (503, 14, "auth_unavailable"),
            Self::Forbidden => (403, 7, "forbidden"),
            Self::CrossOrigin => (403, 7, "cross_origin"),
            Self::WrongHost => (421, 14, "wrong_host"),
            Self::Loop => (508, 13, "loop"),
            Self::Panicked => (500, 13, "panicked"),
            Self::Internal => (500, 13, "internal"),
            Self::Dns => (502, 14, "dns"),
            Self::Connect => (502, 14, "connect"),
            Self::Tls => (502, 14, "tls"),
            Self::ConnectTimeout => (504, 14, "connect_timeout"),
            Self::Reset => (502, 14, "reset"),
            Self::MalformedResponse => (502, 13, "malformed_response"),
            Self::ResponseTimeout => (504, 4, "response_timeout"),
            Self::NoEndpoint => (503, 14, "no_endpoint"),
            Self::CircuitOpen => (503, 14, "circuit_open"),
            Self::QueueFull => (503, 8, "queue_full"),
            Self::NoCredentials => (503, 14, "no_credentials"),
            Self::Drained => (503, 14, "drained"),
        }
    }

    /// The status of the response.
    pub fn status(self) -> StatusCode {
        // Every number of the table is between 100 and 999, which a test holds.
        StatusCode::from_u16(self.row().0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The `grpc-status` of the response to a gRPC request.
    pub const fn grpc_code(self) -> u8 {
        self.row().1
    }

    /// The stable name, as logs and metrics have it in `error_type`.
    pub const fn name(self) -> &'static str {
        self.row().2
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose doing an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The client's: a malformed request, a body too slow, a connection gone.
    Client,
    /// The upstream's: refused, reset, too late, not HTTP.
    Upstream,
    /// The gateway's own: its configuration, its environment, its limits, a panic.
    Gateway,
}

/// The one error type of Prox: opaque, with predicates.
///
/// Its `Debug` output is made for a person to read, because `main` prints it when a gateway cannot start.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
    sent: bool,
    /// The source is of another crate, and the failure what it means in its place.
    foreign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Failure(Failure),
    Config,
    Io,
}

impl Error {
    /// An error of a request on its way.
    pub fn failure(failure: Failure) -> Self {
        Self::build(Kind::Failure(failure), failure.name().into(), None)
    }

    /// An error of a request on its way, with what caused it.
    pub fn caused(failure: Failure, source: impl Into<BoxError>) -> Self {
        Self::build(
            Kind::Failure(failure),
            failure.name().into(),
            Some(source.into()),
        )
    }

    /// A gateway that cannot start as it is written or configured; `message` says where and what to do.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::build(Kind::Config, message.into(), None)
    }

    /// The operating system refused something that serving needs; `message` says what was tried.
    pub fn io(message: impl Into<Cow<'static, str>>, source: std::io::Error) -> Self {
        Self::build(Kind::Io, message.into(), Some(source.into()))
    }

    fn build(kind: Kind, message: Cow<'static, str>, source: Option<BoxError>) -> Self {
        Self(Box::new(Inner {
            kind,
            message,
            source,
            sent: false,
            foreign: false,
        }))
    }

    /// An error of another crate's layer or body. One of this crate that was passed around in a box is itself again.
    pub(crate) fn foreign(error: BoxError, place: Place) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own.at(place),
            Err(error) => {
                let failure = place.failure(&*error).unwrap_or(Failure::Internal);
                let mut own = Self::caused(failure, error);
                own.0.foreign = true;
                own
            }
        }
    }

    /// Says where an error came from, on which the meaning of those of other crates depends. `Service` says nothing new.
    pub(crate) fn at(mut self, place: Place) -> Self {
        if self.0.foreign
            && place != Place::Service
            && let Some(source) = &self.0.source
        {
            let failure = place.failure(&**source).unwrap_or(Failure::Internal);
            self.0.kind = Kind::Failure(failure);
            self.0.message = failure.name().into();
        }
        self
    }

    fn is_foreign(&self) -> bool {
        self.0.foreign
    }

    /// Marks that a part of the request may have reached the upstream.
    pub(crate) fn after_send(mut self) -> Self {
        self.0.sent = true;
        self
    }

    /// The row of the failure table, when a request was on its way.
    pub fn as_failure(&self) -> Option<Failure> {
        match self.0.kind {
            Kind::Failure(failure) => Some(failure),
            Kind::Config | Kind::Io => None,
        }
    }

    /// Whose doing it is.
    pub fn origin(&self) -> Origin {
        use Failure as F;
        match self.0.kind {
            Kind::Config | Kind::Io => Origin::Gateway,
            Kind::Failure(failure) => match failure {
                F::NoRoute
                | F::MethodNotAllowed
                | F::MalformedRequest
                | F::HeadersTooLarge
                | F::UriTooLong
                | F::BodyTooLarge
                | F::SlowClient
                | F::ClientGone
                | F::RateLimited
                | F::UnsupportedMediaType
                | F::InvalidBody
                | F::Unauthenticated
                | F::Forbidden
                | F::CrossOrigin
                | F::WrongHost
                | F::Loop => Origin::Client,
                F::Dns
                | F::Connect
                | F::Tls
                | F::ConnectTimeout
                | F::Reset
                | F::MalformedResponse
                | F::ResponseTimeout => Origin::Upstream,
                F::Panicked
                | F::Internal
                | F::AuthUnavailable
                | F::LimitUnavailable
                | F::TooManyInFlight
                | F::Maintenance
                | F::NoEndpoint
                | F::CircuitOpen
                | F::QueueFull
                | F::NoCredentials
                | F::Drained => Origin::Gateway,
            },
        }
    }

    /// Whether a time limit ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.as_failure(),
            Some(Failure::ConnectTimeout | Failure::ResponseTimeout | Failure::SlowClient)
        )
    }

    /// Whether no connection to the upstream came about.
    pub fn is_connect(&self) -> bool {
        matches!(
            self.as_failure(),
            Some(Failure::Dns | Failure::Connect | Failure::Tls | Failure::ConnectTimeout)
        )
    }

    /// Whether the gateway cannot start as it is written or configured.
    pub fn is_config(&self) -> bool {
        self.0.kind == Kind::Config
    }

    /// Whether the same request may be sent again whatever its method, because nothing of it reached an upstream.
    pub fn is_retryable(&self) -> bool {
        !self.0.sent && self.origin() == Origin::Upstream
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::failure(failure)
    }
}

/// For `?` in a `main` that returns [`Result`]; [`Error::io`] says more.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::io("input or output failed", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_status_and_a_name_of_its_own() {
        let mut names = Vec::new();
        for failure in Failure::ALL {
            assert_eq!(failure.status().as_u16(), failure.row().0);
            assert!(failure.grpc_code() <= 16);
            names.push(failure.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Failure::ALL.len());
    }

    #[test]
    fn debug_reads_as_a_sentence_with_its_causes() {
        let error = Error::io(
            "cannot listen on 0.0.0.0:80",
            std::io::Error::other("not permitted"),
        );
        assert_eq!(
            format!("{error:?}"),
            "cannot listen on 0.0.0.0:80: not permitted"
        );
    }

    #[test]
    fn only_what_never_left_is_retryable_for_every_method() {
        assert!(Error::failure(Failure::Connect).is_retryable());
        assert!(!Error::failure(Failure::Reset).after_send().is_retryable());
        assert!(!Error::failure(Failure::NoRoute).is_retryable());
    }
}
