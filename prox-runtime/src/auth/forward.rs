//! A service that is asked about each request.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery};

use super::{Authenticate, Denied, IntoRemote, Remote, Verdict, outage::Outage, remote};
use crate::{
    body::Body,
    error::Failure,
    forward::headers,
    handler::{Parts, Request, Response},
    identity::{Claim, Principal},
    middleware::About,
    respond,
};

/// The most bytes of an answer that goes to the client.
const LARGEST: usize = 64 * 1024;

/// How long a `Retry-After` says to wait.
const WAIT: Duration = Duration::from_secs(1);

/// The subject of callers that the service does not name.
const NAMELESS: &str = "forward-auth";

/// What the gateway tells the service of the client and of its request.
const TOLD: [HeaderName; 3] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
];
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Asks a service about each request, such as oauth2-proxy, Authelia or authentik: what it answers decides.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{Body, BoxHandler, IntoResponse, Request, RequestExt, dsl::handler, middleware::{ForwardAuth, IntoLayer}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// // A test plays the service by a function. In a gateway this is a backend, or a URL such as "http://authelia:9091".
/// let service = handler(async |req: Request| match req.headers().get("cookie") {
///     Some(session) if session == "session=1" => {
///         let mut admitted = "".into_response();
///         admitted.headers_mut().insert("remote-user", "ada".parse().unwrap());
///         admitted
///     }
///     _ => http::StatusCode::UNAUTHORIZED.into_response(),
/// });
/// let auth = ForwardAuth::new(service).uri("/api/authz/forward-auth").copy(["remote-user"]).subject("remote-user");
///
/// let who = handler(async |req: Request| req.principal().unwrap().subject().to_owned());
/// let chain = auth.into_layer().wrap(BoxHandler::new(who));
/// for (cookie, status) in [("session=1", 200), ("session=2", 401)] {
///     let mut req = Request::new(Body::empty());
///     req.headers_mut().insert("cookie", cookie.parse().unwrap());
///     assert_eq!(chain.call(req).await.status(), status);
/// }
/// # });
/// ```
///
/// # The question
///
/// A `GET` without a body, at [`uri`](Self::uri). It has the fields of the client's request but these: those of a connection,
/// `Upgrade`, `Content-*`, `Expect`, conditions (`If-*`), `Range`, the names of [`copy`](Self::copy), and what a client can claim.
/// [`headers`](Self::headers) names the only fields that it has. In addition:
///
/// | field | |
/// |---|---|
/// | `X-Forwarded-Method` | the method of the request |
/// | `X-Forwarded-Proto`, `X-Forwarded-Host`, `X-Forwarded-For` | as upstreams get them |
/// | `X-Forwarded-Uri` | the path and the query as they are routed and forwarded, in canonical form |
///
/// # The answer
///
/// | answer | |
/// |---|---|
/// | `2xx` | the request goes on. Each name of [`copy`](Self::copy) is what the answer says, and absent if it says nothing |
/// | `3xx`, `400`, `401`, `403`, `429` | goes to the client as it is, with a body of at most 64 KiB |
/// | all else; none within [`timeout`](Self::timeout); `2xx` without [`expect_header`](Self::expect_header) | `503` (`auth_unavailable`), and an event of the target `prox` |
///
/// A gRPC call gets its refusal as trailers. Nothing is kept, and nobody gets in because the service is down.
///
/// The [`Principal`] has the scheme `forward-auth`, the subject of [`subject`](Self::subject), and the copied fields as claims. The service is asked
/// about every request, so behind [`or`](super::AuthenticateExt::or) it stands last.
#[derive(Clone)]
pub struct ForwardAuth {
    remote: Remote,
    uri: PathAndQuery,
    copy: Vec<HeaderName>,
    only: Option<Vec<HeaderName>>,
    expected: Option<HeaderName>,
    subject: Option<HeaderName>,
    cookies: bool,
    timeout: Duration,
    outage: Arc<Outage>,
    problems: Vec<String>,
}

impl ForwardAuth {
    /// Asks this backend.
    pub fn new(remote: impl IntoRemote) -> Self {
        let remote = remote.into_remote("forward auth");
        let problem = remote.problem();
        let problem = problem.map(|problem| format!("`ForwardAuth::new`: {problem}"));
        Self {
            problems: problem.into_iter().collect(),
            remote,
            uri: PathAndQuery::from_static("/"),
            copy: Vec::new(),
            only: None,
            expected: None,
            subject: None,
            cookies: false,
            timeout: Duration::from_secs(2),
            outage: Arc::new(Outage::of("ForwardAuth")),
        }
    }

    /// The path of the service that decides, with a query if need be; `/` by default.
    pub fn uri(mut self, uri: impl AsRef<str>) -> Self {
        let uri = uri.as_ref();
        match remote::path(uri) {
            Some(path) => self.uri = path,
            None => self.problems.push(format!(
                "`ForwardAuth::uri`: {uri:?} is not a path: write \"/verify\""
            )),
        }
        self
    }

    /// Tells upstreams these fields of the answer. No client can send them, on no route of the gateway.
    ///
    /// `authorization` is an exception: other routes need it. It is replaced by that of the answer on the routes of this layer.
    pub fn copy<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names = self.names("copy", names);
        self.copy = names;
        self
    }

    /// Sends these fields of the client alone to the service, and those that the gateway writes.
    pub fn headers<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names = self.names("headers", names);
        self.only = Some(names);
        self
    }

    /// Adds `Set-Cookie` of an answer that admits to the response, for sessions that the service renews.
    pub fn cookies(mut self) -> Self {
        self.cookies = true;
        self
    }

    /// Believes a `2xx` only if it has this field. A proxy or a broken program in place of the service may say `200` to everything.
    pub fn expect_header(mut self, name: impl AsRef<str>) -> Self {
        self.expected = self.names("expect_header", [name]).pop();
        self
    }

    /// The field of the answer that names the caller. A `2xx` without it is not believed.
    ///
    /// Without this option, the subject of all callers is `forward-auth`.
    pub fn subject(mut self, name: impl AsRef<str>) -> Self {
        self.subject = self.names("subject", [name]).pop();
        self
    }

    /// How long the service may take for its whole answer; 2 s by default.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    fn names<S: AsRef<str>>(
        &mut self,
        option: &str,
        names: impl IntoIterator<Item = S>,
    ) -> Vec<HeaderName> {
        let mut read = Vec::new();
        for name in names {
            let name = name.as_ref();
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => read.push(name),
                Err(_) => self.problems.push(format!(
                    "`ForwardAuth::{option}`: {name:?} is not the name of a field"
                )),
            }
        }
        read
    }

    /// What the service is asked.
    fn question(&self, parts: &Parts) -> Request {
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = self.uri.clone().into();
        let fields = req.headers_mut();
        for (name, value) in &parts.headers {
            if self.tells(name) {
                fields.append(name, value.clone());
            }
        }
        for name in TOLD {
            if let Some(value) = parts.headers.get(&name) {
                fields.insert(name, value.clone());
            }
        }
        let method = HeaderValue::try_from(parts.method.as_str());
        let path = parts.uri.path_and_query();
        let path = path.map_or("/", PathAndQuery::as_str);
        for (name, value) in [
            (X_FORWARDED_METHOD, method),
            (X_FORWARDED_URI, HeaderValue::try_from(path)),
        ] {
            // A method is a token, and a target has no control characters.
            if let Ok(value) = value {
                fields.insert(name, value);
            }
        }
        req
    }

    /// Whether a field of the client goes to the service.
    fn tells(&self, name: &HeaderName) -> bool {
        let of_the_message = headers::is_of_a_connection(name)
            || [header::TE, header::TRAILER, header::EXPECT, header::RANGE].contains(name)
            || name == header::HOST
            || ["content-", "if-", "x-forwarded-"]
                .iter()
                .any(|start| name.as_str().starts_with(start));
        let claimed = [header::FORWARDED, HeaderName::from_static("client-cert")].contains(name);
        !of_the_message
            && !claimed
            && (name == header::AUTHORIZATION || !self.copy.contains(name))
            && self.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// Reads an answer that admits.
    ///
    /// # Errors
    ///
    /// Why it is not believed, in words for logs.
    fn admitted(&self, parts: &mut Parts, answer: &HeaderMap) -> Result<Principal, String> {
        for name in self.expected.iter().chain(&self.subject) {
            if answer.get(name).is_none_or(HeaderValue::is_empty) {
                return Err(format!("its answer has no `{name}`"));
            }
        }
        let subject = match &self.subject {
            None => NAMELESS,
            Some(name) => {
                let mut values = answer.get_all(name).iter();
                let subject = values.next().map(|value| str::from_utf8(value.as_bytes()));
                match (subject, values.next()) {
                    (Some(Ok(subject)), None) => subject,
                    _ => return Err(format!("its answer does not say one `{name}` in UTF-8")),
                }
            }
        };
        let mut who = Principal::new("forward-auth", subject);
        for name in &self.copy {
            parts.headers.remove(name);
            for value in answer.get_all(name) {
                parts.headers.append(name, value.clone());
            }
            // Secrets are not claims, which logs and templates may show.
            if *name != header::AUTHORIZATION {
                let text =
                    |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                let texts = answer.get_all(name).iter().map(text);
                let texts: Vec<Claim> = texts.map(Claim::Text).collect();
                let claim = match <[Claim; 1]>::try_from(texts) {
                    Ok([only]) => only,
                    Err(texts) if texts.is_empty() => continue,
                    Err(texts) => Claim::List(texts),
                };
                who = who.with_claim(name.as_str(), claim);
            }
        }
        if self.cookies {
            let cookies: Vec<HeaderValue> =
                answer.get_all(header::SET_COOKIE).iter().cloned().collect();
            if !cookies.is_empty() {
                parts.extensions.insert(Cookies(cookies));
            }
        }
        Ok(who)
    }

    fn unavailable(&self, reason: &str) -> Verdict {
        self.outage.failed(reason);
        Verdict::Refused(Denied::new(Failure::AuthUnavailable).retry_after(WAIT))
    }
}

/// What the service adds to the response.
#[derive(Clone)]
pub(super) struct Cookies(Vec<HeaderValue>);

impl Cookies {
    pub(super) fn add_to(self, response: &mut Response) {
        for cookie in self.0 {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// An answer that refuses, as it goes to the client; nothing if the service cannot have meant it.
fn refusal(parts: &Parts, mut answer: http::Response<Bytes>) -> Option<Denied> {
    let status = answer.status();
    let failure = match status {
        StatusCode::BAD_REQUEST => Failure::MalformedRequest,
        StatusCode::FORBIDDEN => Failure::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => Failure::RateLimited,
        StatusCode::UNAUTHORIZED => Failure::Unauthenticated,
        // It is a condition of the client that it answers, which it was not told.
        StatusCode::NOT_MODIFIED => return None,
        _ if status.is_redirection() => Failure::Unauthenticated,
        _ => return None,
    };
    if respond::is_grpc(&parts.headers) {
        return Some(Denied::new(failure));
    }
    headers::response(answer.headers_mut(), status);
    let (mut head, body) = answer.into_parts();
    head.extensions = http::Extensions::new();
    head.version = http::Version::HTTP_11;
    Some(Denied::with(Response::from_parts(head, Body::from(body))))
}

impl Authenticate for ForwardAuth {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        let question = self.question(parts);
        let answer = match self.remote.ask(question, self.timeout, LARGEST).await {
            Ok(answer) => answer,
            Err(reason) => return self.unavailable(&reason),
        };
        let status = answer.status();
        if !status.is_success() {
            return match refusal(parts, answer) {
                Some(denied) => {
                    self.outage.answered();
                    Verdict::Refused(denied)
                }
                None => self.unavailable(&format!("status {}", status.as_u16())),
            };
        }
        match self.admitted(parts, answer.headers()) {
            Ok(who) => {
                self.outage.answered();
                Verdict::Admitted(who)
            }
            Err(reason) => self.unavailable(&reason),
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    fn adds_cookies(&self) -> bool {
        self.cookies
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.problems);
        for name in self
            .copy
            .iter()
            .filter(|name| **name != header::AUTHORIZATION)
        {
            about.sets(name.clone());
        }
        self.remote.follow(about);
    }
}

impl fmt::Debug for ForwardAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardAuth")
            .field("uri", &self.uri)
            .field("copy", &self.copy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::Method;

    use super::*;
    use crate::{
        auth::cases::Case,
        handler::{BoxHandler, IntoResponse as _, handler},
        middleware::{Declares, IntoLayer as _, Role, role},
        sync::lock,
    };

    type Heard = Arc<Mutex<Option<http::request::Parts>>>;

    /// Takes the head of a request down, and answers with this.
    fn hears(
        heard: &Heard,
        answer: impl Fn() -> Response + Send + Sync + 'static,
    ) -> impl crate::handler::Handler {
        let (heard, answer) = (Arc::clone(heard), Arc::new(answer));
        handler(move |req: Request| {
            let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
            async move {
                *lock(&heard) = Some(req.into_parts().0);
                answer()
            }
        })
    }

    /// The layer that the first segment of a target names.
    fn layer(service: impl IntoRemote, target: &str) -> ForwardAuth {
        let auth = ForwardAuth::new(service).uri("/verify?rule=shop");
        match target.split('/').nth(1) {
            Some("copying") => {
                let names = ["remote-user", "remote-groups"];
                auth.copy(names).subject("remote-user").cookies()
            }
            Some("named") => auth.expect_header("x-auth"),
            Some("only") => auth.headers(["cookie"]),
            Some("replacing") => auth.copy(["authorization"]),
            other => unreachable!("{other:?}"),
        }
    }

    fn texts<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
        let values = headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn the_service_decides_as_the_table_says() {
        let table = include_str!("../../../tests/data/forward_auth.txt");
        let mut run = 0;
        for case in Case::all(table) {
            if case.get("gateway").is_some() {
                continue;
            }
            run += 1;
            let about = case.get("about").unwrap().to_owned();
            let (method, target) = case.get("client").unwrap().split_once(' ').unwrap();
            let status: u16 = case.get("answer").unwrap().parse().unwrap();
            let text = case.get("answer-body").unwrap_or_default().to_owned();
            let fields = case.fields("answer-field").into_iter();
            let fields = fields.map(|(name, value)| {
                let name = HeaderName::try_from(name).unwrap();
                (name, HeaderValue::try_from(value).unwrap())
            });
            let fields: Vec<_> = fields.collect();
            let (asked, told) = (Heard::default(), Heard::default());
            let body = text.clone();
            let service = hears(&asked, move || {
                let mut answer = Response::new(Body::from(body.clone()));
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                for (name, value) in &fields {
                    answer.headers_mut().append(name, value.clone());
                }
                answer
            });
            let upstream = hears(&told, || "inside".into_response());
            let chain = layer(service, target).into_layer();
            let chain = chain.wrap(BoxHandler::new(upstream));
            let mut req = Request::new(Body::empty());
            *req.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
            *req.uri_mut() = target.parse().unwrap();
            for (name, value) in case.fields("field") {
                let name = HeaderName::try_from(name).unwrap();
                let value = HeaderValue::try_from(value).unwrap();
                req.headers_mut().append(name, value);
            }
            let response = chain.call(req).await;
            let wanted: u16 = case.get("status").unwrap().parse().unwrap();
            assert_eq!(response.status(), wanted, "{about}");
            let judge = |headers: &HeaderMap, there: &str, absent: &str| {
                for (name, value) in case.fields(there) {
                    let values = texts(headers, name);
                    assert!(
                        values.contains(&value),
                        "{about}: {there} {name}: {values:?}"
                    );
                }
                for name in case.each(absent) {
                    assert!(!headers.contains_key(name), "{about}: {absent} {name}");
                }
            };
            judge(response.headers(), "seen", "unseen");
            let asked = lock(&asked).take().unwrap();
            let line = format!("{} {}", asked.method, asked.uri);
            assert_eq!(
                line,
                case.get("service").unwrap_or("GET /verify?rule=shop"),
                "{about}"
            );
            judge(&asked.headers, "asked", "unasked");
            let told = lock(&told).take();
            assert_eq!(told.is_some(), wanted == 200, "{about}");
            if let Some(told) = told {
                judge(&told.headers, "upstream", "untold");
            } else if wanted == status && status != 503 {
                let body = response.into_body().bytes(LARGEST).await.unwrap();
                assert_eq!(body, text, "{about}");
            }
        }
        assert!(run > 25, "{run}");
    }

    async fn ask(auth: &ForwardAuth, grpc: bool) -> Response {
        let inside = handler(async |req: Request| {
            let who = req.extensions().get::<Principal>().unwrap();
            let claims: Vec<String> = who
                .claims()
                .map(|(name, claim)| format!("{name}={}", claim.to_json()))
                .collect();
            format!("{} {} {}", who.scheme(), who.subject(), claims.join(" "))
        });
        let chain = auth.clone().into_layer().wrap(BoxHandler::new(inside));
        let mut req = Request::new(Body::empty());
        if grpc {
            let kind = HeaderValue::from_static("application/grpc");
            req.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        chain.call(req).await
    }

    #[tokio::test]
    async fn what_is_copied_is_known_of_the_caller_and_credentials_are_not() {
        let service = handler(async |_: Request| {
            let mut answer = Response::new(Body::empty());
            for (name, value) in [
                ("remote-user", "ada"),
                ("remote-groups", "dev"),
                ("remote-groups", "ops"),
                ("authorization", "Bearer secret"),
            ] {
                answer
                    .headers_mut()
                    .append(name, HeaderValue::from_static(value));
            }
            answer
        });
        let auth = ForwardAuth::new(service).copy([
            "remote-user",
            "remote-groups",
            "authorization",
            "absent",
        ]);
        let named = auth.clone().subject("remote-user");
        for (auth, subject) in [(auth, NAMELESS), (named, "ada")] {
            let text = ask(&auth, false)
                .await
                .into_body()
                .bytes(999)
                .await
                .unwrap();
            let wanted =
                format!(r#"forward-auth {subject} remote-groups=["dev","ops"] remote-user="ada""#);
            assert_eq!(text, wanted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_gets_in_while_the_service_is_down_slow_or_wordy() {
        let hangs = handler(async |_: Request| std::future::pending::<&str>().await);
        let down = handler(async |_: Request| Failure::Connect);
        let wordy = handler(async |_: Request| "x".repeat(LARGEST + 1));
        let began = tokio::time::Instant::now();
        for auth in [
            ForwardAuth::new(hangs),
            ForwardAuth::new(down),
            ForwardAuth::new(wordy),
        ] {
            let response = ask(&auth, false).await;
            assert_eq!(
                (
                    response.status().as_u16(),
                    &response.headers()["retry-after"]
                ),
                (503, &HeaderValue::from(1))
            );
            assert_eq!(response.extensions().get(), Some(&Failure::AuthUnavailable));
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        let hangs = handler(async |_: Request| std::future::pending::<&str>().await);
        let hurried = ForwardAuth::new(hangs).timeout(Duration::from_millis(300));
        assert_eq!(ask(&hurried, true).await.headers()["grpc-status"], "14");
        assert_eq!(began.elapsed(), Duration::from_millis(2300));
    }

    #[tokio::test]
    async fn a_grpc_call_is_refused_in_its_way() {
        for (status, code) in [
            (302, "16"),
            (400, "13"),
            (401, "16"),
            (403, "7"),
            (429, "8"),
            (500, "14"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let service = handler(move |_: Request| async move { status });
            let response = ask(&ForwardAuth::new(service), true).await;
            assert_eq!(
                (
                    response.status().as_u16(),
                    &response.headers()["grpc-status"]
                ),
                (200, &HeaderValue::from_static(code)),
                "{status}"
            );
        }
    }

    fn authenticates<L: Declares<Role = role::Authenticates>>(_: &L) {}

    #[test]
    fn names_that_cannot_be_are_problems_and_the_others_are_guarded() {
        let about = |auth: ForwardAuth| auth.into_layer().about();
        let service = || ForwardAuth::new("http://127.0.0.1:9");
        authenticates(&service());
        let right = about(service().uri("/a?b").copy(["X-User", "authorization"]));
        assert_eq!(right.the_role(), Role::Authenticates);
        assert!(right.problems().is_empty());
        assert_eq!(right.names_set(), ["x-user"]);
        for wrong in [
            ForwardAuth::new("127.0.0.1"),
            service().uri("verify"),
            service().uri("http://127.0.0.1/verify"),
            service().copy(["a b"]),
            service().headers([""]),
            service().expect_header("a:"),
            service().subject("\u{e4}"),
        ] {
            let shown = format!("{wrong:?}");
            assert_eq!(about(wrong).problems().len(), 1, "{shown}");
        }
    }
}
