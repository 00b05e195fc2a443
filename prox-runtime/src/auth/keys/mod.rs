//! Callers that are known by a key.

mod file;
mod kept;

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use self::{file::Keys, kept::Kept};
use super::{
    Authenticate, Denied, Verdict, answers::Unanswered, credentials::Place, watched::Watched,
};
use crate::{
    coding::{Hex, base64url},
    error::Failure,
    handler::Parts,
    identity::{Claim, Principal},
    middleware::{About, steps::Head},
};

/// The longest key that is looked at.
const LONGEST: usize = 512;

/// Lets in callers with an API key. Stored are only the SHA-256 digests of keys.
///
/// `ApiKeys::file(path)` reads one key a line:
///
/// ```text
/// # name, digest, and what is known of the caller
/// acme   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 scopes=orders,stock plan=gold
/// globex sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 until=2027-01-01
/// ```
///
/// The binary's `key NAME` makes a key of 256 random bits, prints it once, and its line for the file. The file is read again
/// every 10 s. If it is broken then, the keys before it stay.
///
/// | builder | default | |
/// |---|---|---|
/// | [`header`](Self::header) | `x-api-key` | the field that carries the key |
/// | [`bearer`](Self::bearer) | | `Authorization: Bearer` instead |
/// | [`query`](Self::query), [`cookie`](Self::cookie) | | a parameter of the query, or a cookie, instead |
/// | [`keep`](Self::keep) | off | leaves the key in the request for upstreams |
///
/// The [`Principal`] has the scheme `api-key`, the name as its subject, the scopes, and all other words of the line as claims.
///
/// Without a key the answer is `401` with `WWW-Authenticate: ApiKey`, or `Bearer`. A wrong key, one that has run out and one that is
/// too long are the same. A key that is there twice is `400`.
pub struct ApiKeys<S = KeyFile> {
    source: Arc<Source<S>>,
    place: Place,
    keep: bool,
    problems: Vec<String>,
}

enum Source<S> {
    File(Arc<Watched<Keys>>),
    Store(Box<Kept<S>>),
}

/// Marks keys of a file: [`ApiKeys::file`].
#[derive(Clone, Copy, Debug)]
pub struct KeyFile(());

impl KeyStore for KeyFile {
    async fn find(&self, _: &KeyDigest) -> Result<Option<Key>, Box<dyn StdError + Send + Sync>> {
        Ok(None)
    }
}

impl ApiKeys<KeyFile> {
    /// The keys of a file. A file that cannot be read, or has a malformed line, is an error when the gateway starts.
    pub fn file(path: impl AsRef<Path>) -> Self {
        let (watched, problems) = Watched::open("ApiKeys::file", path.as_ref(), file::parse);
        Self {
            source: Arc::new(Source::File(watched)),
            place: Place::Header(HeaderName::from_static("x-api-key")),
            keep: false,
            problems,
        }
    }
}

impl<S: KeyStore> ApiKeys<S> {
    /// The keys of a store, such as a database.
    ///
    /// What it finds is kept for 60 s, and that it found nothing for 10 s, 10 000 of each. One call for a digest serves all requests
    /// that wait for it. If it fails, they are answered `503` ([`Failure::AuthUnavailable`]).
    pub fn store(store: S) -> Self {
        Self {
            source: Arc::new(Source::Store(Box::new(Kept::new(store)))),
            place: Place::Header(HeaderName::from_static("x-api-key")),
            keep: false,
            problems: Vec::new(),
        }
    }

    /// The field that carries the key.
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        match Place::header(name.as_ref()) {
            Ok(place) => self.place = place,
            Err(problem) => self.problems.push(format!("`ApiKeys::header`: {problem}")),
        }
        self
    }

    /// The key is a bearer token: `Authorization: Bearer ..`.
    pub fn bearer(mut self) -> Self {
        self.place = Place::Bearer;
        self
    }

    /// The key is a parameter of the query. Such keys are easily found in logs and histories.
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.place = Place::Query(name.into());
        self
    }

    /// The key is a cookie.
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.place = Place::Cookie(name.into());
        self
    }

    /// Leaves the key in the request, for upstreams that verify it too.
    pub fn keep(mut self) -> Self {
        self.keep = true;
        self
    }

    async fn judge(&self, parts: &mut Parts) -> Result<Option<Principal>, Denied> {
        let Some(digest) = self.take(parts)? else {
            return Ok(None);
        };
        let key = match &*self.source {
            Source::File(keys) => keys.get().find(&digest),
            Source::Store(store) => store.find(&digest).await.map_err(|Unanswered| {
                Denied::new(Failure::AuthUnavailable).retry_after(Duration::from_secs(1))
            })?,
        };
        holder(key)
    }

    /// As [`judge`](Self::judge), for keys that are in a file.
    fn judge_by(&self, keys: &file::Keys, parts: &mut Parts) -> Result<Option<Principal>, Denied> {
        match self.take(parts)? {
            Some(digest) => holder(keys.find(&digest)),
            None => Ok(None),
        }
    }

    /// The digest of the key of a request, which is taken out of it.
    fn take(&self, parts: &mut Parts) -> Result<Option<KeyDigest>, Denied> {
        let Some(text) = self.place.find(parts)? else {
            return Ok(None);
        };
        if !self.keep {
            self.place.remove(parts);
        }
        if text.is_empty() || text.len() > LONGEST {
            return Err(Denied::new(Failure::Unauthenticated));
        }
        Ok(Some(KeyDigest::of(&text)))
    }
}

/// Who has a key, if it counts now.
fn holder(key: Option<Arc<Key>>) -> Result<Option<Principal>, Denied> {
    match key {
        Some(key) if key.is_valid(SystemTime::now()) => Ok(Some(key.principal.clone())),
        _ => Err(Denied::new(Failure::Unauthenticated)),
    }
}

impl<S> Clone for ApiKeys<S> {
    fn clone(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            place: self.place.clone(),
            keep: self.keep,
            problems: self.problems.clone(),
        }
    }
}

impl<S> fmt::Debug for ApiKeys<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys")
            .field("place", &self.place)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

impl<S: KeyStore> Authenticate for ApiKeys<S> {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        self.judge(parts).await.into()
    }

    #[expect(private_interfaces, reason = "as in the trait")]
    fn __at_once(&self, head: &mut Head<'_>) -> Option<Verdict> {
        match &*self.source {
            Source::File(keys) => Some(self.judge_by(&keys.get(), head.parts()).into()),
            Source::Store(_) => None,
        }
    }

    fn __is_plain(&self) -> bool {
        true
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(match self.place {
            Place::Bearer => "Bearer",
            _ => "ApiKey",
        }))
    }

    fn about(&self, about: &mut About) {
        about.add_problems(&self.problems);
        if let Some(name) = self.place.field() {
            about.reads(name);
        }
        if let Source::File(keys) = &*self.source {
            keys.follow(about);
        }
    }
}

/// Knows keys by their digests, such as a table of a database.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::{auth::*, *}; } pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{BoxError, middleware::{Key, KeyDigest, KeyStore}};
///
/// struct Table;
///
/// impl KeyStore for Table {
///     async fn find(&self, digest: &KeyDigest) -> Result<Option<Key>, BoxError> {
///         // select name from keys where digest = $1
///         let known = digest.to_string().starts_with("9f86d081");
///         Ok(known.then(|| Key::new("acme").scopes(["orders"])))
///     }
/// }
/// ```
pub trait KeyStore: Send + Sync + 'static {
    /// The key of this digest, if there is one.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client leaves.
    fn find(
        &self,
        digest: &KeyDigest,
    ) -> impl Future<Output = Result<Option<Key>, Box<dyn StdError + Send + Sync>>> + Send;
}

/// The SHA-256 of a key; it prints as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

/// What is known of the caller with a key.
#[derive(Clone, Debug)]
pub struct Key {
    principal: Principal,
    until: Option<SystemTime>,
}

impl Key {
    /// A key of the caller with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            principal: Principal::new("api-key", name),
            until: None,
        }
    }

    /// What the caller may do.
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.principal = self.principal.with_scopes(scopes);
        self
    }

    /// What else is known of the caller.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Claim>) -> Self {
        self.principal = self.principal.with_claim(name, value);
        self
    }

    /// When the key runs out; never by default.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A new key of 256 random bits, and its line for the file of [`ApiKeys::file`].
///
/// # Errors
///
/// A name that cannot stand in the file, or a system that has no random numbers.
pub(crate) fn new_key(name: &str) -> Result<(String, String), String> {
    if name.is_empty()
        || name.starts_with('#')
        || name.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(format!("{name:?} is not the name of a key: write one word"));
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
    let key = base64url(&random);
    let line = format!("{name} sha256:{}", KeyDigest::of(&key));
    Ok((key, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_found_by_its_line() {
        let (key, line) = new_key("acme").unwrap();
        assert_eq!(key.len(), 43);
        assert_ne!(new_key("acme").unwrap().0, key);
        let keys = file::parse(&line).unwrap();
        let found = keys.find(&KeyDigest::of(&key)).unwrap();
        assert_eq!(found.principal.subject(), "acme");
        assert!(keys.find(&KeyDigest::of("")).is_none());
        for wrong in ["", "a b", "#a", "a\n"] {
            assert!(new_key(wrong).is_err(), "{wrong:?}");
        }
    }
}
