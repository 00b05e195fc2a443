//! What `Jwt` and `Introspect` share: where a token is, the rules for its claims, and the challenge of RFC 6750.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::{Denied, claims::Rules, credentials::Place};
use crate::{handler::Parts, middleware::About};

/// The options of one layer for its tokens.
#[derive(Clone)]
pub(super) struct Bearer {
    /// The name of the layer, for problems.
    layer: &'static str,
    pub(super) rules: Rules,
    pub(super) place: Place,
    /// Whether the token is taken out of the request.
    pub(super) strip: bool,
    /// Where a client finds how to get a token (RFC 9728).
    pub(super) metadata: Option<HeaderValue>,
    pub(super) problems: Vec<String>,
}

impl Bearer {
    pub(super) fn new(layer: &'static str, rules: Rules) -> Self {
        Self {
            layer,
            rules,
            place: Place::Bearer,
            strip: false,
            metadata: None,
            problems: Vec::new(),
        }
    }

    /// Takes tokens for these audiences, or for any.
    pub(super) fn audiences(&mut self, audiences: Option<Vec<String>>) {
        let lets_nobody_in =
            |list: &Vec<String>| list.is_empty() || list.iter().any(String::is_empty);
        if audiences.as_ref().is_some_and(lets_nobody_in) {
            self.problem("audience", "an empty audience lets nobody in");
        }
        self.rules.audiences = audiences;
    }

    pub(super) fn leeway(&mut self, leeway: Duration) {
        if leeway > Duration::from_hours(1) {
            let problem = format!(
                "`{}::leeway` of {leeway:?}: write at most an hour",
                self.layer
            );
            self.problems.push(problem);
        }
        self.rules.leeway = leeway;
    }

    /// Looks for the token in the field of this name.
    pub(super) fn header(&mut self, name: &str) {
        match Place::header(name) {
            Ok(place) => self.place = place,
            Err(problem) => self.problem("header", &problem),
        }
    }

    fn problem(&mut self, option: &str, problem: &str) {
        let problem = format!("`{}::{option}`: {problem}", self.layer);
        self.problems.push(problem);
    }

    /// The token of a request, if there is one. It is taken out of the query, and with `strip` out of any place.
    ///
    /// # Errors
    ///
    /// As [`Place::token`].
    pub(super) fn take(&self, parts: &mut Parts) -> Result<Option<String>, Denied> {
        let token = self.place.token(parts)?;
        if token.is_some() && self.takes_out() {
            self.place.remove(parts);
        }
        Ok(token)
    }

    /// Whether the token is to be taken out of a request.
    pub(super) fn takes_out(&self) -> bool {
        self.strip || matches!(self.place, Place::Query(_))
    }

    /// The refusal of an invalid token.
    pub(super) fn invalid(&self) -> Denied {
        Denied::challenged(self.challenge(Some("invalid_token")))
    }

    /// A challenge of RFC 6750, 3.
    pub(super) fn challenge(&self, error: Option<&str>) -> HeaderValue {
        let error = error.map(|error| format!("error=\"{error}\""));
        let metadata = self.metadata.as_ref().and_then(|url| url.to_str().ok());
        let metadata = metadata.map(|url| format!("resource_metadata=\"{url}\""));
        let parameters: Vec<String> = error.into_iter().chain(metadata).collect();
        let text = format!("Bearer {}", parameters.join(", "));
        let value = HeaderValue::try_from(text.trim_end());
        value.unwrap_or(HeaderValue::from_static("Bearer"))
    }

    pub(super) fn about(&self, about: &mut About) {
        about.add_problems(&self.problems);
        if let Some(name) = self.place.field() {
            about.reads(name);
        }
    }
}

/// The time in seconds since 1970, as claims have it.
pub(super) fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
