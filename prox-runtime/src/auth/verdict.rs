//! What an authenticator says of a request.

use std::time::Duration;

use http::{HeaderValue, header};

use crate::{error::Failure, handler::Response, identity::Principal, respond, time::whole_seconds};

/// What an [`Authenticate`](super::Authenticate) says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// The caller has proved who it is.
    Admitted(Principal),
    /// There are no credentials of this kind.
    Absent,
    /// There are, and they do not count.
    Refused(Denied),
}

/// `Ok(None)` is [`Verdict::Absent`].
impl From<Result<Option<Principal>, Denied>> for Verdict {
    fn from(result: Result<Option<Principal>, Denied>) -> Self {
        match result {
            Ok(Some(principal)) => Self::Admitted(principal),
            Ok(None) => Self::Absent,
            Err(denied) => Self::Refused(denied),
        }
    }
}

/// Why credentials do not count, and how that is answered.
#[derive(Debug)]
pub struct Denied {
    failure: Failure,
    challenges: Vec<HeaderValue>,
    retry_after: Option<u64>,
    response: Option<Box<Response>>,
}

impl Denied {
    /// Answers with a row of the failure table: [`Failure::Unauthenticated`] for wrong credentials,
    /// [`Failure::MalformedRequest`] for contradicting ones, [`Failure::AuthUnavailable`] if it cannot be decided now.
    pub fn new(failure: Failure) -> Self {
        Self {
            failure,
            challenges: Vec::new(),
            retry_after: None,
            response: None,
        }
    }

    /// Answers `401` with this `WWW-Authenticate` in place of the authenticator's own.
    pub fn challenged(challenge: HeaderValue) -> Self {
        Self {
            challenges: vec![challenge],
            ..Self::new(Failure::Unauthenticated)
        }
    }

    /// Answers with this response as it is.
    pub fn with(response: Response) -> Self {
        Self {
            response: Some(Box::new(response)),
            ..Self::new(Failure::Unauthenticated)
        }
    }

    /// The same with `Retry-After`, in whole seconds, rounded up.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(whole_seconds(wait).max(1));
        self
    }

    /// The row of the failure table.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// Whether it says what to show instead.
    pub(super) fn is_challenged(&self) -> bool {
        !self.challenges.is_empty()
    }

    /// The same, which asks for these kinds of credentials as well.
    pub(super) fn and(mut self, challenges: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.challenges.extend(challenges);
        self
    }

    /// The response for the caller.
    pub(super) fn response(self, grpc: bool) -> Response {
        if let Some(response) = self.response {
            return *response;
        }
        let mut response = respond::failure(self.failure, grpc);
        let headers = response.headers_mut();
        if self.failure == Failure::Unauthenticated && !self.challenges.is_empty() {
            headers.remove(header::WWW_AUTHENTICATE);
            for challenge in self.challenges {
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_replace_the_general_one_and_a_grpc_call_gets_them_too() {
        let basic = || HeaderValue::from_static("Basic realm=\"a\"");
        let both = Denied::challenged(basic()).and([HeaderValue::from_static("Bearer")]);
        let response = both.response(false);
        let all: Vec<_> = response
            .headers()
            .get_all("www-authenticate")
            .iter()
            .collect();
        assert_eq!(response.status(), 401);
        assert_eq!(all, ["Basic realm=\"a\"", "Bearer"]);
        let response = Denied::challenged(basic()).response(true);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "16");
    }

    #[test]
    fn a_wait_is_rounded_up() {
        let denied = Denied::new(Failure::AuthUnavailable).retry_after(Duration::from_millis(1001));
        assert_eq!(denied.response(false).headers()["retry-after"], "2");
    }

    #[test]
    fn the_longest_wait_does_not_overflow() {
        let denied = Denied::new(Failure::AuthUnavailable).retry_after(Duration::MAX);
        let longest = u64::MAX.to_string();
        assert_eq!(
            denied.response(false).headers()["retry-after"],
            longest.as_str()
        );
    }
}
