//! Callers with tokens that their issuer is asked about (RFC 7662).

mod kept;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Method, header, uri::PathAndQuery};
use serde_core::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use self::kept::Kept;
use super::{
    Authenticate, Denied, IntoRemote, Remote, Verdict,
    claims::{self, Rules, Typed, Verified, bearer},
    credentials::Place,
    json,
    jwt::{Audience, NoAudience},
    outage::Outage,
};
use crate::{
    body::Body,
    coding::form,
    error::Failure,
    handler::{Parts, Request},
    identity::{Claim, Principal},
    middleware::About,
    secret::Secret,
};

/// The longest token that is asked about, and the most bytes of an answer.
const LONGEST: usize = 16 * 1024;
const LARGEST: usize = 256 * 1024;

/// How long a `Retry-After` says to wait.
const WAIT: Duration = Duration::from_secs(1);

/// Lets in callers with an opaque token that its issuer says is active (RFC 7662).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{Body, BoxHandler, Request, Secret, dsl::handler, middleware::{IntoLayer, Introspect}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// // A test plays the issuer by a function. In a gateway this is a backend, or a URL such as "https://id.example.com".
/// let issuer = handler(async |req: Request| {
///     let question = req.into_body().bytes(1024).await.unwrap_or_default();
///     match &*question {
///         b"token=opaque&token_type_hint=access_token" => {
///             r#"{"active":true,"sub":"ada","aud":"shop","scope":"orders"}"#
///         }
///         _ => r#"{"active":false}"#,
///     }
/// });
/// let secret: Secret = "hunter2".parse()?;
/// let auth = Introspect::new(issuer).uri("/oauth2/introspect").client("shop", secret).audience("shop");
///
/// let chain = auth.into_layer().wrap(BoxHandler::new(handler(async |_| "inside")));
/// for (token, status) in [("Bearer opaque", 200), ("Bearer made-up", 401)] {
///     let mut req = Request::new(Body::empty());
///     req.headers_mut().insert("authorization", token.parse()?);
///     assert_eq!(chain.call(req).await.status(), status);
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// | builder | default | |
/// |---|---|---|
/// | [`uri`](Self::uri) | `/introspect` | the path of the endpoint at the backend |
/// | [`client`](Self::client) | | the name and the secret of the gateway at the issuer, as `Authorization: Basic` |
/// | [`audience`](Self::audience) | must be said | `aud` of the answer: this text, or a list that has it. [`any_audience`](Self::any_audience) takes all, also without `aud` |
/// | [`issued_by`](Self::issued_by) | any | `iss` of the answer, to the letter |
/// | [`cache`](Self::cache) | 30 s | how long an active token is kept, until its `exp` at most |
/// | [`timeout`](Self::timeout) | 5 s | for the whole answer |
/// | [`leeway`](Self::leeway) | 60 s | how far clocks may differ |
/// | [`header`](Self::header), [`cookie`](Self::cookie), [`query`](Self::query) | `Authorization: Bearer` | what carries the token instead |
/// | [`strip`](Self::strip) | off | takes the token out of the request |
///
/// The answer must have `active: true`. `exp`, `nbf` and `iat` are judged if they are there, each time that the token is used. The subject
/// of the [`Principal`] is `sub`, without it `client_id`, then `username`; one of them must be there. `scope` are its scopes, and all members
/// its claims.
///
/// A token that is not active is remembered for 10 s. 4 096 of each are kept, by the SHA-256 of the token. The issuer is asked once for a token,
/// however many requests wait for the answer.
///
/// # Answers
///
/// As [`Jwt`](super::Jwt): `401` with `WWW-Authenticate: Bearer`, `error="invalid_token"` if there was a token, and `400` for tokens in two places.
/// Where the issuer does not answer with `200` and JSON in time, it is `503` (`auth_unavailable`) with `Retry-After`, and an event of the
/// target `prox` tells of it once.
///
/// Each made-up token is a question to the issuer. [`RateLimit`](crate::middleware::RateLimit) by address before this layer bounds them, and
/// `.max_connections(n)` of the backend how many are under way.
pub struct Introspect<A = Audience> {
    inner: Arc<Inner>,
    audience: PhantomData<fn() -> A>,
}

#[derive(Clone)]
struct Inner {
    remote: Remote,
    uri: PathAndQuery,
    /// `Authorization` for the issuer.
    credentials: Option<HeaderValue>,
    rules: Rules,
    place: Place,
    strip: bool,
    timeout: Duration,
    cache: Duration,
    kept: Arc<Kept>,
    outage: Arc<Outage>,
    problems: Vec<String>,
}

impl Introspect<NoAudience> {
    /// Asks this backend.
    pub fn new(remote: impl IntoRemote) -> Self {
        let remote = remote.into_remote("introspection");
        let problem = remote.problem();
        let problems = problem.map(|problem| format!("`Introspect::new`: {problem}"));
        Self {
            inner: Arc::new(Inner {
                problems: problems.into_iter().collect(),
                remote,
                uri: PathAndQuery::from_static("/introspect"),
                credentials: None,
                rules: Rules {
                    subjects: &["sub", "client_id", "username"],
                    unbounded: true,
                    ..Rules::default()
                },
                place: Place::Bearer,
                strip: false,
                timeout: Duration::from_secs(5),
                cache: Duration::from_secs(30),
                kept: Arc::default(),
                outage: Arc::new(Outage::of("Introspect")),
            }),
            audience: PhantomData,
        }
    }

    /// Takes tokens that are for this audience, to the letter.
    pub fn audience(self, audience: impl Into<String>) -> Introspect {
        self.decided(Some(vec![audience.into()]))
    }

    /// Takes tokens that are for one of these audiences.
    pub fn audiences<S: Into<String>>(self, audiences: impl IntoIterator<Item = S>) -> Introspect {
        self.decided(Some(audiences.into_iter().map(Into::into).collect()))
    }

    /// Takes tokens whatever their audience is. A token that was made for another service of the issuer is then right.
    pub fn any_audience(self) -> Introspect {
        self.decided(None)
    }

    fn decided(self, audiences: Option<Vec<String>>) -> Introspect {
        let Self { inner, .. } = self.change(|inner| {
            let problem = inner.rules.decide(audiences);
            let problem = problem.map(|problem| format!("`Introspect::audience`: {problem}"));
            inner.problems.extend(problem);
        });
        Introspect {
            inner,
            audience: PhantomData,
        }
    }
}

impl<A> Introspect<A> {
    /// The path of the endpoint at the backend, with a query if need be; `/introspect` by default.
    pub fn uri(self, uri: impl AsRef<str>) -> Self {
        let uri = uri.as_ref();
        self.change(|inner| match path(uri) {
            Some(path) => inner.uri = path,
            None => inner.problems.push(format!(
                "`Introspect::uri`: {uri:?} is not a path: write \"/introspect\""
            )),
        })
    }

    /// How the issuer knows the gateway: `Authorization: Basic`, both texts form-encoded (RFC 6749, 2.3.1).
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a variable of the type `Secret` is written as it is"
    )]
    pub fn client(self, id: impl AsRef<str>, secret: Secret) -> Self {
        let both = format!("{}:{}", form(id.as_ref()), form(secret.expose()));
        let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both))).ok();
        let value = value.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self.change(|inner| inner.credentials = value)
    }

    /// Takes tokens of this issuer alone: `iss` of the answer, to the letter.
    pub fn issued_by(self, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        self.change(|inner| inner.rules.issuer = Some(issuer))
    }

    /// How long an active token is kept; 30 s by default. With zero, the issuer is asked each time.
    ///
    /// A token that is revoked counts until then.
    pub fn cache(self, time: Duration) -> Self {
        self.change(|inner| {
            if time > Duration::from_mins(5) {
                let problem = format!("`Introspect::cache` of {time:?}: write at most 5 min");
                inner.problems.push(problem);
            }
            inner.cache = time;
        })
    }

    /// How long the issuer may take for its whole answer; 5 s by default.
    pub fn timeout(self, limit: Duration) -> Self {
        self.change(|inner| inner.timeout = limit)
    }

    /// How far clocks may differ; 60 s by default, and at most an hour.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.change(|inner| {
            inner
                .problems
                .extend(inner.rules.set_leeway("Introspect::leeway", leeway));
        })
    }

    /// Reads the claims as a value of this type too, which [`RequestExt::claims`](crate::RequestExt::claims) gives. A token whose claims are
    /// not one is `401`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
    /// use std::collections::HashMap;
    /// use prox::{Request, RequestExt, middleware::Introspect};
    ///
    /// // As a rule a struct with `#[derive(serde::Deserialize)]`.
    /// type Mine = HashMap<String, serde_json::Value>;
    ///
    /// async fn tenant(req: Request) -> String {
    ///     let claims: Option<&Mine> = req.claims();
    ///     claims.map(|claims| claims["tenant"].to_string()).unwrap_or_default()
    /// }
    ///
    /// let auth = Introspect::new("http://127.0.0.1:9").audience("shop").claims::<Mine>();
    /// ```
    pub fn claims<T: DeserializeOwned + Send + Sync + 'static>(self) -> Self {
        self.change(|inner| inner.rules.typed = Some(Typed::of::<T>()))
    }

    /// The field that carries the token, in place of `Authorization`.
    pub fn header(self, name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        self.change(|inner| match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => inner.place = Place::Header(name),
            Err(_) => inner.problems.push(format!(
                "`Introspect::header`: {name:?} is not the name of a field"
            )),
        })
    }

    /// The cookie that carries the token, in place of `Authorization`.
    pub fn cookie(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.change(|inner| inner.place = Place::Cookie(name))
    }

    /// The parameter of the query that carries the token, in place of `Authorization`. It is taken out.
    pub fn query(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.change(|inner| inner.place = Place::Query(name))
    }

    /// Takes the token out of the request, so that no upstream sees it.
    pub fn strip(self) -> Self {
        self.change(|inner| inner.strip = true)
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        // What was found out by other rules does not count.
        inner.kept = Arc::default();
        inner.outage = Arc::new(Outage::of("Introspect"));
        change(inner);
        self
    }
}

/// A path that begins with a slash.
pub(super) fn path(text: &str) -> Option<PathAndQuery> {
    let path = PathAndQuery::try_from(text).ok()?;
    text.starts_with('/').then_some(path)
}

/// Why nobody can tell what a token is worth.
struct Unavailable;

impl Inner {
    async fn judge(&self, parts: &mut Parts, now: f64) -> Result<Option<Principal>, Denied> {
        let Some(token) = self.place.token(parts)? else {
            return Ok(None);
        };
        if self.strip || matches!(self.place, Place::Query(_)) {
            self.place.remove(parts);
        }
        let invalid = || bearer(Some("invalid_token"), None);
        // All else is not a token (RFC 6750, 2.1), or not worth a question.
        let is_token = (1..=LONGEST).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(Denied::challenged(invalid()));
        }
        let verified = self.find(&token).await;
        let verified = verified
            .map_err(|Unavailable| Denied::new(Failure::AuthUnavailable).retry_after(WAIT))?;
        let verified = verified.filter(|verified| verified.times.hold(now, &self.rules));
        let verified = verified.ok_or_else(|| Denied::challenged(invalid()))?;
        Ok(Some(verified.principal.clone()))
    }

    /// What the issuer says of a token, or has said a moment ago; nothing if it does not count.
    async fn find(&self, token: &str) -> Result<Option<Arc<Verified>>, Unavailable> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.kept.known(&digest) {
            return Ok(known);
        }
        let turn = self.kept.asking.queue(digest);
        let mut failed = turn.begin().await;
        if let Some(known) = self.kept.known(&digest) {
            return Ok(known);
        }
        // One that was before this one has found that out for all that wait.
        if *failed {
            return Err(Unavailable);
        }
        match self.ask(token).await {
            Ok(answer) => {
                self.outage.answered();
                let answer = answer.map(Arc::new);
                self.kept.keep(digest, answer.clone(), self.cache);
                Ok(answer)
            }
            Err(reason) => {
                self.outage.failed(&reason);
                *failed = true;
                Err(Unavailable)
            }
        }
    }

    /// Asks the issuer.
    ///
    /// # Errors
    ///
    /// Why there is no answer that counts, in words for logs.
    async fn ask(&self, token: &str) -> Result<Option<Verified>, String> {
        let question = format!("token={}&token_type_hint=access_token", form(token));
        let mut req = Request::new(Body::from(question));
        *req.method_mut() = Method::POST;
        *req.uri_mut() = self.uri.clone().into();
        let fields = req.headers_mut();
        let of_form = HeaderValue::from_static("application/x-www-form-urlencoded");
        fields.insert(header::CONTENT_TYPE, of_form);
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(header::USER_AGENT, HeaderValue::from_static("prox"));
        if let Some(credentials) = &self.credentials {
            fields.insert(header::AUTHORIZATION, credentials.clone());
        }
        let answer = self.remote.ask(req, self.timeout, LARGEST).await?;
        if answer.status() != 200 {
            return Err(format!("status {}", answer.status().as_u16()));
        }
        let object = json::object(answer.body());
        let object = object.ok_or("the answer is not a JSON object without duplicate names")?;
        match object.get("active") {
            Some(Claim::Bool(true)) => {
                let answer = answer.body();
                Ok(claims::read("introspect", object, answer, &self.rules))
            }
            Some(Claim::Bool(false)) => Ok(None),
            _ => Err("the answer does not say whether the token is `active`".to_owned()),
        }
    }
}

impl Authenticate for Introspect {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs_f64();
        self.inner.judge(parts, now).await.into()
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(bearer(None, None))
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.inner.problems);
        if let Some(name) = self.inner.place.field() {
            about.reads(name);
        }
        self.inner.remote.follow(about);
    }
}

impl<A> Clone for Introspect<A> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            audience: PhantomData,
        }
    }
}

impl<A> fmt::Debug for Introspect<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspect")
            .field("uri", &self.inner.uri)
            .field("rules", &self.inner.rules)
            .field("place", &self.inner.place)
            .finish_non_exhaustive()
    }
}
