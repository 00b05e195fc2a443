//! What a client got, and what is known of how it came about.

use std::{fmt::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{error::Failure, route::RouteInfo};

/// How far a time may be from what is expected: the pause before a retry is random.
const CLOSE: Duration = Duration::from_millis(50);

/// How a request fared in the gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) route: Option<RouteInfo>,
    pub(super) backend: Option<Arc<str>>,
    pub(super) endpoint: Option<Arc<str>>,
    pub(super) tries: u32,
    pub(super) failure: Option<Failure>,
}

/// What a client got.
///
/// The methods that expect something panic if it is otherwise, and say what came and how the request fared; they give the answer back, so
/// that they can be chained.
#[derive(Clone, Debug)]
#[must_use = "an answer that nobody looks at shows nothing"]
pub struct Answer {
    /// What was asked.
    pub(super) asked: String,
    /// Nothing when the connection ended without an answer.
    pub(super) head: Option<(StatusCode, HeaderMap)>,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    /// Why it is not whole.
    pub(super) broken: Option<String>,
    pub(super) time: Duration,
    pub(super) fate: Fate,
}

impl Answer {
    /// The status. 0 when the connection ended without an answer.
    pub fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |(status, _)| status.as_u16())
    }

    /// The first field of this name; `None` if there is none, or its value is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()?.get(name)?.to_str().ok()
    }

    /// All fields; `None` when the connection ended without an answer.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.head.as_ref().map(|(_, headers)| headers)
    }

    /// The trailers, if there are any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The body, as far as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// How long it took, up to its last byte.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// The route that took the request; `None` if none did.
    pub fn route(&self) -> Option<&RouteInfo> {
        self.fate.route.as_ref()
    }

    /// The name of the backend that was asked; `None` if none was.
    pub fn backend(&self) -> Option<&str> {
        self.fate.backend.as_deref()
    }

    /// The URL of the endpoint that was asked last; `None` if none was.
    pub fn endpoint(&self) -> Option<&str> {
        self.fate.endpoint.as_deref()
    }

    /// How many endpoints or connections were tried.
    pub fn tries(&self) -> u32 {
        self.fate.tries
    }

    /// Why the gateway answered by itself, or why the response was cut; `None` if neither was.
    pub fn failure(&self) -> Option<Failure> {
        self.fate.failure
    }

    /// Expects this status, and a body that is whole.
    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        self.expect(
            self.status() == status,
            &format!("status {status}"),
            &self.what(),
        );
        self.expect(self.broken.is_none(), "a whole answer", &self.what());
        self
    }

    /// Expects an answer that ends before it is whole, or a connection that ends without one.
    #[track_caller]
    pub fn is_cut(&self) -> &Self {
        self.expect(self.broken.is_some(), "a cut answer", "a whole one");
        self
    }

    /// Expects this body.
    #[track_caller]
    pub fn body_is(&self, body: impl AsRef<[u8]>) -> &Self {
        let body = body.as_ref();
        let expected = format!("the body {:?}", String::from_utf8_lossy(body));
        self.expect(self.body == body, &expected, &format!("{:?}", self.text()));
        self
    }

    /// Expects a body with this text in it.
    #[track_caller]
    pub fn body_has(&self, text: &str) -> &Self {
        let found = self.text();
        let expected = format!("a body with {text:?}");
        self.expect(found.contains(text), &expected, &format!("{found:?}"));
        self
    }

    /// Expects a field of this name and this value.
    #[track_caller]
    pub fn has_header(&self, name: &str, value: &str) -> &Self {
        let all: Vec<&http::HeaderValue> = self
            .headers()
            .map(|headers| headers.get_all(name).iter().collect())
            .unwrap_or_default();
        let is_there = all.iter().any(|found| *found == value);
        self.expect(is_there, &format!("`{name}: {value}`"), &format!("{all:?}"));
        self
    }

    /// Expects no field of this name.
    #[track_caller]
    pub fn has_no_header(&self, name: &str) -> &Self {
        let found = self.headers().and_then(|headers| headers.get(name));
        self.expect(
            found.is_none(),
            &format!("no `{name}`"),
            &format!("{found:?}"),
        );
        self
    }

    /// Expects that it took so long, within 50 ms, on tokio's clock: the pause before a retry is random.
    #[track_caller]
    pub fn took(&self, time: Duration) -> &Self {
        let is_close = self.time.abs_diff(time) <= CLOSE;
        self.expect(is_close, &format!("{time:?}"), &format!("{:?}", self.time));
        self
    }

    /// Expects this route: `GET /v1/users/{id}`, as the table of routes has it. The method may be left out, and the host may stand before
    /// the path.
    #[track_caller]
    pub fn by_route(&self, route: &str) -> &Self {
        let names = self.route().map_or_else(Vec::new, |info| {
            let RouteInfo {
                methods,
                host,
                path,
                ..
            } = info;
            vec![
                (*path).to_owned(),
                format!("{host}{path}"),
                format!("{methods} {path}"),
                format!("{methods} {host}{path}"),
                info.to_string(),
            ]
        });
        let found = self.route().map_or("none".into(), ToString::to_string);
        let is_it = names.iter().any(|name| name == route);
        self.expect(
            is_it,
            &format!("the route `{route}`"),
            &format!("`{found}`"),
        );
        self
    }

    /// Expects that this backend was asked last.
    #[track_caller]
    pub fn from_backend(&self, name: &str) -> &Self {
        let found = self.backend().unwrap_or("none");
        self.expect(
            found == name,
            &format!("the backend `{name}`"),
            &format!("`{found}`"),
        );
        self
    }

    /// Expects that no backend was asked: the gateway has answered by itself.
    #[track_caller]
    pub fn from_no_backend(&self) -> &Self {
        let found = self.backend();
        self.expect(
            found.is_none(),
            "no backend",
            &format!("`{}`", found.unwrap_or_default()),
        );
        self
    }

    /// Expects so many tries.
    #[track_caller]
    pub fn after_tries(&self, tries: u32) -> &Self {
        let found = self.tries();
        self.expect(
            found == tries,
            &format!("{tries} tries"),
            &found.to_string(),
        );
        self
    }

    /// Expects that the gateway answered by itself, or cut the response, for this reason.
    #[track_caller]
    pub fn failed_with(&self, failure: Failure) -> &Self {
        let found = self.failure();
        let found = found.map_or("no failure", |found| found.name());
        self.expect(
            found == failure.name(),
            &format!("`{}`", failure.name()),
            found,
        );
        self
    }

    #[track_caller]
    fn expect(&self, holds: bool, expected: &str, found: &str) {
        assert!(
            holds,
            "{}: expected {expected}, found {found}\n{}",
            self.asked,
            self.story()
        );
    }

    /// What came, in a few words.
    fn what(&self) -> String {
        let status = match &self.head {
            Some((status, _)) => format!("{}", status.as_u16()),
            None => "no answer".to_owned(),
        };
        match &self.broken {
            Some(why) => format!("{status}, and then {why}"),
            None => status,
        }
    }

    /// How the request fared.
    fn story(&self) -> String {
        let fate = &self.fate;
        let mut story = match &fate.route {
            Some(route) => format!("  route   `{route}`\n"),
            None => "  route   none\n".to_owned(),
        };
        if let (Some(backend), Some(endpoint)) = (&fate.backend, &fate.endpoint) {
            let tries = fate.tries;
            let _ = writeln!(
                story,
                "  backend `{backend}`, {tries} tries, the last at {endpoint}"
            );
        }
        if let Some(failure) = fate.failure {
            let _ = writeln!(story, "  failure {}", failure.name());
        }
        let _ = writeln!(story, "  answer  {} after {:?}", self.what(), self.time);
        let _ = write!(story, "  body    {:?}", self.text());
        story
    }
}
