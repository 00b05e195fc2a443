//! Callers that are known by a JSON Web Token (RFC 7519).

mod fetched;
mod kept;
mod key;
mod source;
#[cfg(test)]
mod tests;
mod token;

use std::{fmt, marker::PhantomData, path::Path, sync::Arc, time::Duration};

use http::HeaderValue;
use serde_core::de::DeserializeOwned;

pub use self::fetched::KeyFetches;
use self::{
    fetched::{Fetching, Newer},
    kept::Kept,
    key::Key,
    source::Keys,
};
use super::{
    Authenticate, Denied, IntoRemote, Verdict,
    bearer::{self, Bearer},
    claims::{Rules, Typed, Verified},
    credentials::Place,
    watched::Source,
};
use crate::{
    error::Failure,
    handler::Parts,
    identity::Principal,
    middleware::{About, steps::Head},
    secret::Secret,
};

/// Lets in callers with a signed JSON Web Token (RFC 7519) that counts now, and is for this service.
///
/// ```
/// # mod prox { pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::middleware::Jwt;
///
/// let auth = Jwt::issuer("https://id.example.com/").audience("shop");
/// ```
///
/// # Keys
///
/// | builder | keys |
/// |---|---|
/// | [`issuer`](Self::issuer) | those that an issuer says are its own (`OpenID` Connect Discovery, RFC 8414), fetched again and again |
/// | [`jwks`](Self::jwks) | those of a set at a URL, fetched again and again |
/// | [`jwks_file`](Self::jwks_file) | those of a set (RFC 7517), read again every 10 s |
/// | [`pem`](Self::pem) | one public key: RSA of 2048 bits or more, P-256, P-384, Ed25519 |
/// | [`secret`](Self::secret) | a secret that is shared with the issuer, for HS256, HS384, HS512 |
///
/// A set has at most 100 keys and 256 KiB. The key decides for which algorithms it is, never the token. Of a set, `use` must be absent or `sig`, and `key_ops` absent or have
/// `verify`; secrets in it are ignored, as are RSA keys below 2048 bits. The fields `jwk`, `jku`, `x5u` and `x5c` of a token
/// are never looked at. A token with `crit`, `b64` or `zip`, an encrypted one and `none` are wrong.
///
/// # Keys that are fetched
///
/// | | |
/// |---|---|
/// | URLs | `https`; `http` on this machine (`localhost`, loopback addresses), or with [`allow_http`](Self::allow_http) |
/// | an answer | status 200 within 5 s, without a redirect, with at least one usable key. All else is a failure |
/// | `issuer` of the discovery | the URL of the issuer, to the letter |
/// | again | after `max-age` of the answer, within 1 to 15 min (5 min without it), ± 10 %; at the start of the gateway, beside the requests, and by a request that finds the keys old |
/// | a `kid` that is not known | one fetch, for which all such tokens wait; then none for 10 s, in which they are `401` at once |
/// | no keys yet | the gateway is [not ready](crate::Gateway::is_ready). A token waits 2 s at most for the fetch under way, then `503` (`auth_unavailable`) with `Retry-After` |
/// | failures | the keys before stay for 24 h ([`max_stale`](Self::max_stale)). The next try comes after 1 s, then 2, 4 .. up to 60 s |
///
/// An event of the target `prox` tells of each failure, of the first success after it, and of keys that have changed.
/// [`key_fetches`](Self::key_fetches) counts them.
///
/// # Claims
///
/// | claim | |
/// |---|---|
/// | `aud` | a text, or a list that has it, to the letter: [`audience`](Self::audience), or [`any_audience`](Self::any_audience) |
/// | `iss` | to the letter, with [`issuer`](Self::issuer) or [`issued_by`](Self::issued_by) |
/// | `exp` | must be there, unless [`allow_unbounded`](Self::allow_unbounded); in the future |
/// | `nbf`, `iat` | in the past, if they are there |
/// | `sub` | the subject of the [`Principal`]; without it `client_id`, then `azp`. One of them must be there |
/// | `scope`, `scp` | its scopes |
///
/// Clocks may differ by 60 s, see [`leeway`](Self::leeway). Duplicate names, times that are not numbers, tokens of over 16 KiB
/// and values that are nested more than 32 deep are wrong.
///
/// A token that was verified is kept by its SHA-256 until it runs out, and for 5 minutes at most; 4 096 of them. Its times are judged each
/// time. New keys drop all of them.
///
/// # Place
///
/// `Authorization: Bearer`, or [`header`](Self::header), [`cookie`](Self::cookie), [`query`](Self::query) instead. The token stays in the
/// request, because upstreams verify it too, unless [`strip`](Self::strip) is there. From the query it is always taken out.
///
/// # Answers
///
/// `401` with `WWW-Authenticate: Bearer`, and `error="invalid_token"` if there was a token (RFC 6750, 3). A token in two places is
/// `400`. Where it cannot be found out now, because keys cannot be fetched, it is `503` with `Retry-After`.
pub struct Jwt<A = Audience> {
    inner: Arc<Inner>,
    audience: PhantomData<fn() -> A>,
}

/// Marks a [`Jwt`] of which the audience is decided.
#[derive(Clone, Copy, Debug)]
pub struct Audience(());

/// Marks a [`Jwt`] that lacks its audience, and so is not a layer: a token for another service would be right.
#[derive(Clone, Copy, Debug)]
pub struct NoAudience(());

#[derive(Clone)]
struct Inner {
    keys: Keys,
    bearer: Bearer,
    kept: Arc<Kept>,
}

impl Jwt<NoAudience> {
    /// The keys of this issuer, as its discovery document says: `/.well-known/openid-configuration`, or else
    /// `/.well-known/oauth-authorization-server` (RFC 8414). The `iss` of tokens must be this URL, to the letter.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
    /// use prox::{IntoResponse, Request, Response, middleware::Jwt};
    ///
    /// // A test plays the issuer by a function; without `fetch_by` its host is asked.
    /// async fn issuer(req: Request) -> Response {
    ///     match req.uri().path() {
    ///         "/.well-known/openid-configuration" => {
    ///             r#"{"issuer":"https://id.example.com/","jwks_uri":"https://id.example.com/keys"}"#.into_response()
    ///         }
    ///         _ => r#"{"keys":[]}"#.into_response(),
    ///     }
    /// }
    ///
    /// let auth = Jwt::issuer("https://id.example.com/")
    ///     .fetch_by(prox::handler(issuer))
    ///     .audience("shop");
    /// assert_eq!(auth.key_fetches().fetched, 0);
    /// ```
    pub fn issuer(url: impl Into<String>) -> Self {
        let url = url.into();
        let fetching = Fetching::new(fetched::Place::Issuer(url.clone()));
        Self::of(Keys::Fetched(fetching), Vec::new()).issued_by(url)
    }

    /// The keys of a set (RFC 7517) at this URL. Write [`issued_by`](Self::issued_by) too, unless the set has the keys of one issuer
    /// alone.
    pub fn jwks(url: impl Into<String>) -> Self {
        let fetching = Fetching::new(fetched::Place::Jwks(url.into()));
        Self::of(Keys::Fetched(fetching), Vec::new())
    }

    /// The keys of a file with a set of them (RFC 7517). A file that cannot be read, or has no usable key, is an error when the gateway
    /// starts; if it is broken later, the keys before it stay.
    pub fn jwks_file(path: impl AsRef<Path>) -> Self {
        let (source, problems) = Source::open("Jwt::jwks_file", path.as_ref(), |text| {
            key::set(text.as_bytes()).map_err(|problem| vec![problem])
        });
        Self::of(Keys::Here(source), problems)
    }

    /// One public key in PEM.
    pub fn pem(pem: impl AsRef<[u8]>) -> Self {
        Self::single("pem", Key::pem(pem.as_ref()))
    }

    /// A secret that is shared with the issuer, of at least 32 bytes for HS256, 48 for HS384 and 64 for HS512 (RFC 7518, 3.2).
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a variable of the type `Secret` is written as it is"
    )]
    pub fn secret(secret: Secret) -> Self {
        Self::single("secret", Key::secret(&secret))
    }

    fn single(what: &str, key: Result<Key, String>) -> Self {
        let (keys, problems) = match key {
            Ok(key) => (vec![key], Vec::new()),
            Err(problem) => (Vec::new(), vec![format!("`Jwt::{what}`: {problem}")]),
        };
        Self::of(Keys::Here(Source::Fixed(Arc::new(keys))), problems)
    }

    fn of(keys: Keys, problems: Vec<String>) -> Self {
        let mut bearer = Bearer::new("Jwt", Rules::default());
        bearer.problems = problems;
        Self {
            inner: Arc::new(Inner {
                keys,
                bearer,
                kept: Arc::default(),
            }),
            audience: PhantomData,
        }
    }

    /// Takes tokens that are for this audience, to the letter.
    pub fn audience(self, audience: impl Into<String>) -> Jwt {
        self.decided(Some(vec![audience.into()]))
    }

    /// Takes tokens that are for one of these audiences.
    pub fn audiences<S: Into<String>>(self, audiences: impl IntoIterator<Item = S>) -> Jwt {
        self.decided(Some(audiences.into_iter().map(Into::into).collect()))
    }

    /// Takes tokens whatever their audience is. A token that was made for another service of the issuer is then right.
    pub fn any_audience(self) -> Jwt {
        self.decided(None)
    }

    fn decided(self, audiences: Option<Vec<String>>) -> Jwt {
        let Self { inner, .. } = self.change(|inner| inner.bearer.audiences(audiences));
        Jwt {
            inner,
            audience: PhantomData,
        }
    }
}

impl<A> Jwt<A> {
    /// Takes tokens of this issuer alone: `iss`, to the letter.
    pub fn issued_by(self, issuer: impl Into<String>) -> Self {
        self.change(|inner| inner.bearer.rules.issuer = Some(issuer.into()))
    }

    /// Fetches the keys from this backend, whatever the hosts of the URLs are, such as an address of the issuer inside of a network.
    /// Without it the hosts of the URLs are asked, over TLS with the roots of this machine.
    ///
    /// The transport to the backend is that of the backend: TLS with a private authority is `.fetch_by("https://id.internal".tls(..))`.
    pub fn fetch_by(self, remote: impl IntoRemote) -> Self {
        let remote = remote.into_remote("the issuer of tokens");
        self.change_fetching("fetch_by", |fetching| fetching.by(remote))
    }

    /// Takes URLs with `http` of any host. Anyone on the way can then replace the keys.
    pub fn allow_http(self) -> Self {
        self.change_fetching("allow_http", Fetching::allow_http)
    }

    /// How long old keys hold while no new ones can be fetched; 24 h by default.
    pub fn max_stale(self, limit: Duration) -> Self {
        self.change_fetching("max_stale", |fetching| fetching.max_stale(limit))
    }

    fn change_fetching(
        self,
        option: &str,
        change: impl FnOnce(&Fetching) -> Arc<Fetching>,
    ) -> Self {
        self.change(|inner| {
            if !inner.keys.change(change) {
                inner.bearer.problems.push(format!(
                    "`Jwt::{option}` changes nothing for keys that are not fetched: remove it, or write `Jwt::issuer(..)` or `Jwt::jwks(..)`"
                ));
            }
        })
    }

    /// How often the keys were fetched, for metrics; all zero where they are not. Clones share them.
    pub fn key_fetches(&self) -> KeyFetches {
        match &self.inner.keys {
            Keys::Here(_) => KeyFetches::default(),
            Keys::Fetched(fetching) => fetching.counts(),
        }
    }

    /// How far clocks may differ; 60 s by default, and at most an hour.
    pub fn leeway(self, leeway: Duration) -> Self {
        self.change(|inner| inner.bearer.leeway(leeway))
    }

    /// Takes tokens that were made at most this long ago, by `iat`, which must be there.
    pub fn max_age(self, age: Duration) -> Self {
        self.change(|inner| inner.bearer.rules.max_age = Some(age))
    }

    /// Takes tokens of this type alone, such as `at+jwt` (RFC 9068): `typ`, without regard to case.
    pub fn token_type(self, kind: impl AsRef<str>) -> Self {
        let kind = kind.as_ref().to_ascii_lowercase();
        self.change(|inner| inner.bearer.rules.token_type = Some(kind))
    }

    /// Takes tokens without `exp`, which count forever.
    pub fn allow_unbounded(self) -> Self {
        self.change(|inner| inner.bearer.rules.unbounded = true)
    }

    /// Reads the claims as a value of this type too, which [`RequestExt::claims`](crate::RequestExt::claims) gives. A token whose claims are
    /// not one is `401`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
    /// use std::collections::HashMap;
    /// use prox::{Request, RequestExt, middleware::Jwt};
    ///
    /// // As a rule a struct with `#[derive(serde::Deserialize)]`.
    /// type Mine = HashMap<String, serde_json::Value>;
    ///
    /// async fn tenant(req: Request) -> String {
    ///     let claims: Option<&Mine> = req.claims();
    ///     claims.map(|claims| claims["tenant"].to_string()).unwrap_or_default()
    /// }
    ///
    /// let auth = Jwt::jwks_file("jwks.json").audience("shop").claims::<Mine>();
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

    /// The parameter of the query that carries the token, in place of `Authorization`: for WebSockets of browsers. It is taken out.
    pub fn query(self, name: impl Into<String>) -> Self {
        self.change(|inner| inner.bearer.place = Place::Query(name.into()))
    }

    /// Takes the token out of the request, so that no upstream sees it.
    pub fn strip(self) -> Self {
        self.change(|inner| inner.bearer.strip = true)
    }

    /// Where a client finds how to get a token (RFC 9728), which the challenge says: for clients of MCP.
    pub fn resource_metadata(self, url: impl AsRef<str>) -> Self {
        let url = url.as_ref();
        self.change(|inner| {
            let value = HeaderValue::try_from(url).ok();
            let plain = !url.contains(['"', '\\', ' ']) && url.starts_with("http");
            match value.filter(|_| plain) {
                Some(value) => inner.bearer.metadata = Some(value),
                None => inner
                    .bearer
                    .problems
                    .push(format!("`Jwt::resource_metadata`: {url:?} is not a URL")),
            }
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        // What was verified by other rules does not count.
        inner.kept = Arc::default();
        change(inner);
        self
    }
}

impl Inner {
    /// Who has this token, at this time.
    fn who(&self, token: &str, keys: &Arc<Vec<Key>>, now: f64) -> Option<Principal> {
        let rules = &self.bearer.rules;
        let verified = self
            .kept
            .get(token, keys, now, || token::verify(token, keys, rules))?;
        let Verified { principal, times } = &*verified;
        times.hold(now, rules).then(|| principal.clone())
    }

    /// Who has the token of a request, if it was verified a moment ago. `None` tells nothing.
    fn known(&self, head: &mut Head<'_>, now: f64) -> Option<Principal> {
        let token = self
            .bearer
            .place
            .token_of_field(head.headers(), head.uri())?;
        let keys = self.keys.at_hand()?;
        let verified = self.kept.known(token, &keys, now)?;
        if !verified.times.hold(now, &self.bearer.rules) {
            return None;
        }
        if self.bearer.takes_out() {
            self.bearer.place.remove(head.parts());
        }
        Some(verified.principal.clone())
    }

    async fn judge(&self, parts: &mut Parts, now: f64) -> Result<Option<Principal>, Denied> {
        let Some(token) = self.bearer.take(parts)? else {
            return Ok(None);
        };
        let keys = self.keys.get().await.map_err(unavailable)?;
        if let Some(who) = self.who(&token, &keys, now) {
            return Ok(Some(who));
        }
        if !token::names_another_key(&token, &keys) {
            return Err(self.bearer.invalid());
        }
        let keys = match self.keys.newer(&keys).await {
            Newer::Keys(keys) => keys,
            Newer::None => return Err(self.bearer.invalid()),
            Newer::Unavailable(wait) => return Err(unavailable(wait)),
        };
        let who = self.who(&token, &keys, now);
        who.map(Some).ok_or_else(|| self.bearer.invalid())
    }
}

/// It cannot be found out now.
fn unavailable(wait: Duration) -> Denied {
    Denied::new(Failure::AuthUnavailable).retry_after(wait)
}

impl Authenticate for Jwt {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        self.inner.judge(parts, bearer::now()).await.into()
    }

    #[expect(private_interfaces, reason = "as in the trait")]
    fn __at_once(&self, head: &mut Head<'_>) -> Option<Verdict> {
        let who = self.inner.known(head, bearer::now())?;
        Some(Verdict::Admitted(who))
    }

    fn __is_plain(&self) -> bool {
        true
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(self.inner.bearer.challenge(None))
    }

    fn about(&self, about: &mut About) {
        self.inner.bearer.about(about);
        self.inner.keys.follow(about);
    }
}

impl<A> Clone for Jwt<A> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            audience: PhantomData,
        }
    }
}

impl<A> fmt::Debug for Jwt<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("rules", &self.inner.bearer.rules)
            .field("place", &self.inner.bearer.place)
            .finish_non_exhaustive()
    }
}
