//! Callers with tokens that their issuer is asked about (RFC 7662).

#[cfg(test)]
mod tests;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method, header, uri::PathAndQuery};
use serde_core::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    Authenticate, Denied, IntoRemote, Remote, Verdict,
    answers::{Answers, Unanswered},
    bearer::{self, Bearer},
    claims::{self, Rules, Typed, Verified},
    credentials::Place,
    json,
    jwt::{Audience, NoAudience},
    outage::Outage,
    remote,
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

/// The most tokens that are kept, and the most of which it is remembered that they are not active.
const MOST: usize = 4096;

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

type TokenDigest = [u8; 32];

#[derive(Clone)]
struct Inner {
    remote: Remote,
    uri: PathAndQuery,
    /// `Authorization` for the issuer.
    credentials: Option<HeaderValue>,
    bearer: Bearer,
    timeout: Duration,
    cache: Duration,
    kept: Arc<Answers<TokenDigest, Verified>>,
    outage: Arc<Outage>,
}

impl Introspect<NoAudience> {
    /// Asks this backend.
    pub fn new(remote: impl IntoRemote) -> Self {
        let remote = remote.into_remote("introspection");
        let rules = Rules {
            subjects: &["sub", "client_id", "username"],
            unbounded: true,
            ..Rules::default()
        };
        let mut bearer = Bearer::new("Introspect", rules);
        let problem = remote.problem();
        let problem = problem.map(|problem| format!("`Introspect::new`: {problem}"));
        bearer.problems.extend(problem);
        Self {
            inner: Arc::new(Inner {
                remote,
                uri: PathAndQuery::from_static("/introspect"),
                credentials: None,
                bearer,
                timeout: Duration::from_secs(5),
                cache: Duration::from_secs(30),
                kept: Arc::new(Answers::new(MOST)),
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
        let Self { inner, .. } = self.change(|inner| inner.bearer.audiences(audiences));
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
        self.change(|inner| match remote::path(uri) {
            Some(path) => inner.uri = path,
            None => inner.bearer.problems.push(format!(
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
        self.change(|inner| inner.bearer.rules.issuer = Some(issuer.into()))
    }

    /// How long an active token is kept; 30 s by default. With zero, the issuer is asked each time.
    ///
    /// A token that is revoked counts until then.
    pub fn cache(self, time: Duration) -> Self {
        self.change(|inner| {
            if time > Duration::from_mins(5) {
                let problem = format!("`Introspect::cache` of {time:?}: write at most 5 min");
                inner.bearer.problems.push(problem);
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
        self.change(|inner| inner.bearer.leeway(leeway))
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
        self.change(|inner| inner.bearer.rules.typed = Some(Typed::of::<T>()))
    }

    /// The field that carries the token, in place of `Authorization`.
    pub fn header(self, name: impl AsRef<str>) -> Self {
        self.change(|inner| inner.bearer.header(name.as_ref()))
    }

    /// The cookie that carries the token, in place of `Authorization`.
    pub fn cookie(self, name: impl Into<String>) -> Self {
        self.change(|inner| inner.bearer.place = Place::Cookie(name.into()))
    }

    /// The parameter of the query that carries the token, in place of `Authorization`. It is taken out.
    pub fn query(self, name: impl Into<String>) -> Self {
        self.change(|inner| inner.bearer.place = Place::Query(name.into()))
    }

    /// Takes the token out of the request, so that no upstream sees it.
    pub fn strip(self) -> Self {
        self.change(|inner| inner.bearer.strip = true)
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        // What was found out by other rules does not count.
        inner.kept = Arc::new(Answers::new(MOST));
        inner.outage = Arc::new(Outage::of("Introspect"));
        change(inner);
        self
    }
}

impl Inner {
    async fn judge(&self, parts: &mut Parts, now: f64) -> Result<Option<Principal>, Denied> {
        let Some(token) = self.bearer.take(parts)? else {
            return Ok(None);
        };
        // All else is not a token (RFC 6750, 2.1), or not worth a question.
        let is_token = (1..=LONGEST).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(self.bearer.invalid());
        }
        let verified = self.find(&token).await;
        let verified = verified
            .map_err(|Unanswered| Denied::new(Failure::AuthUnavailable).retry_after(WAIT))?;
        let rules = &self.bearer.rules;
        let verified = verified.filter(|verified| verified.times.hold(now, rules));
        let verified = verified.ok_or_else(|| self.bearer.invalid())?;
        Ok(Some(verified.principal.clone()))
    }

    /// What the issuer says of a token, or has said a moment ago; nothing if it does not count.
    async fn find(&self, token: &str) -> Result<Option<Arc<Verified>>, Unanswered> {
        let digest = Sha256::digest(token.as_bytes()).into();
        let ask = || async {
            let answer = self.ask(token).await;
            match &answer {
                Ok(_) => self.outage.answered(),
                Err(reason) => self.outage.failed(reason),
            }
            answer.map_err(|_| Unanswered)
        };
        self.kept.find(digest, self.cache, ask).await
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
                let (answer, rules) = (answer.body(), &self.bearer.rules);
                Ok(claims::read("introspect", object, answer, rules))
            }
            Some(Claim::Bool(false)) => Ok(None),
            _ => Err("the answer does not say whether the token is `active`".to_owned()),
        }
    }
}

impl Authenticate for Introspect {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        self.inner.judge(parts, bearer::now()).await.into()
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(self.inner.bearer.challenge(None))
    }

    fn about(&self, about: &mut About) {
        self.inner.bearer.about(about);
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
            .field("rules", &self.inner.bearer.rules)
            .field("place", &self.inner.bearer.place)
            .finish_non_exhaustive()
    }
}
