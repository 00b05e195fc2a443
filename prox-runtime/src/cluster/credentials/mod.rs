//! What the gateway shows to an endpoint so that it is let in: a token for its origin.

mod google;
mod kept;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use self::google::{GoogleIdToken, google_id_token};
pub(crate) use self::kept::Kept;
use super::Endpoint;
use crate::{network, secret::Secret, sync::lock, time::FOREVER};

/// How long a token is used if it does not say.
const USUAL: Duration = Duration::from_mins(4);

/// For how short a time a token is used.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest value of a field: servers take 8 KiB for all of them.
const LONGEST: usize = 8 * 1024;

/// Where the token for an endpoint comes from: [`google_id_token()`], or a type of one's own.
///
/// It is an option of a cluster: `.credentials(prox::google_id_token())`. A token is for one origin, and only requests to this origin
/// carry it. Each try of a request, each hedge and each copy has the token of its own endpoint. Health checks by
/// [`http`](crate::HttpCheck) and [`grpc`](crate::GrpcCheck) carry it too.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Credentials, Secret, Token, dsl::upstream};
///
/// /// A token from a file that another process keeps new.
/// #[derive(Debug)]
/// struct Mounted(&'static str);
///
/// impl Credentials for Mounted {
///     async fn token(&self, _audience: &str) -> Result<Token, String> {
///         let text = tokio::fs::read_to_string(self.0).await.map_err(|error| error.to_string())?;
///         let Ok(secret) = text.trim_end().parse::<Secret>();
///         Token::bearer(&secret)
///     }
/// }
///
/// let users = upstream("http://127.0.0.1:8080").credentials(Mounted("/run/secrets/token"));
/// # let _ = users;
/// ```
///
/// # When it is asked
///
/// By the first request to an origin, which waits for it, up to the
/// [connect timeout](crate::ClusterBuilder::connect_timeout). All other requests to this origin wait for the same answer. When three quarters
/// of the time of a token are over, give or take 10 %, the next request asks for another one beside. No request waits while there is a
/// token whose time is not over.
///
/// A request for which there is no token is `503` ([`Failure::NoCredentials`](crate::Failure::NoCredentials)). After a failure nothing is asked for
/// 1 s, then for twice the time of before, up to 30 s, give or take 10 %. An event says when this begins, with the reason, and when
/// it is over.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of credentials",
    label = "expected `prox::google_id_token()`, or a type that makes tokens",
    note = "write `.credentials(prox::google_id_token())`, or implement `prox::Credentials`"
)]
pub trait Credentials: Send + Sync + fmt::Debug + 'static {
    /// A token for an origin, such as `https://users-1234.a.run.app`.
    ///
    /// It runs in a task of its own, on a worker, so it must not block. It has 5 s; one that takes longer, or that panics, has failed.
    ///
    /// # Errors
    ///
    /// Why there is no token, in a few words for an event. The reason must not contain a secret.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when its time is over, and when the gateway ends.
    fn token(&self, audience: &str) -> impl Future<Output = Result<Token, String>> + Send;

    /// The field for the token where the client sent `Authorization`; by default the token replaces what the client sent.
    ///
    /// What a client itself sends in this field is dropped.
    fn beside_authorization(&self) -> Option<HeaderName> {
        None
    }

    /// Whether a token may go to an `http://` endpoint that is not this machine, where it can be read on the way; not by default.
    fn allows_http(&self) -> bool {
        false
    }

    /// What is wrong with it as it is written, said when the gateway starts.
    fn problem(&self) -> Option<String> {
        None
    }
}

/// A token for an endpoint, as the value of `Authorization`; made by [`Credentials`].
///
/// `Debug` does not show it.
#[derive(Clone)]
pub struct Token {
    value: HeaderValue,
    lasts: Duration,
}

impl Token {
    /// `Authorization: Bearer ..` (RFC 6750). It is used for 4 min.
    ///
    /// # Errors
    ///
    /// When the token is empty, has over 8 KiB, or has a character that a field cannot have.
    pub fn bearer(token: &Secret) -> Result<Self, String> {
        Self::new("Bearer", token)
    }

    /// `Authorization` with this scheme, such as `Basic`, and these credentials behind it. It is used for 4 min.
    ///
    /// # Errors
    ///
    /// As [`bearer`](Self::bearer).
    pub fn new(scheme: &str, credentials: &Secret) -> Result<Self, String> {
        let text = credentials.expose();
        if text.is_empty() {
            return Err("the token is empty".into());
        }
        if text.len() > LONGEST {
            return Err(format!("the token has over {LONGEST} bytes"));
        }
        let is_fit = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if !text.bytes().all(is_fit) || scheme.is_empty() || !scheme.bytes().all(is_fit) {
            return Err("the token is malformed".into());
        }
        let value = HeaderValue::try_from(format!("{scheme} {text}"));
        let mut value = value.map_err(|_| "the token is malformed")?;
        value.set_sensitive(true);
        let lasts = USUAL;
        Ok(Self { value, lasts })
    }

    /// Uses it for so long from the time at which it was asked for; 4 min by default, at least 1 s. It is never used longer.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasts = time.clamp(SHORTEST, FOREVER);
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("lasts", &self.lasts)
            .finish_non_exhaustive()
    }
}

/// Credentials behind a pointer.
trait Erased: Send + Sync + fmt::Debug {
    fn erased<'a>(
        &'a self,
        audience: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Token, String>> + Send + 'a>>;
}

impl<C: Credentials> Erased for C {
    fn erased<'a>(
        &'a self,
        audience: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Token, String>> + Send + 'a>> {
        Box::pin(self.token(audience))
    }
}

/// The credentials of a cluster, and the tokens that it has.
#[derive(Debug)]
pub(crate) struct Source {
    credentials: Arc<dyn Erased>,
    beside: Option<HeaderName>,
    allows_http: bool,
    problem: Option<String>,
    /// By their audience. Two endpoints that have the same name share a token.
    tokens: Mutex<HashMap<Arc<str>, Weak<Kept>>>,
}

impl Source {
    pub(super) fn new(credentials: impl Credentials) -> Self {
        Self {
            beside: credentials.beside_authorization(),
            allows_http: credentials.allows_http(),
            problem: credentials.problem(),
            credentials: Arc::new(credentials),
            tokens: Mutex::default(),
        }
    }

    /// What is wrong with them as they are written.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Why an endpoint gets no token.
    pub(super) fn refuses(&self, endpoint: &Endpoint) -> Option<String> {
        if endpoint.socket().is_some() {
            return Some(format!(
                "{endpoint} has no origin that a token can be for: remove `.credentials(..)`"
            ));
        }
        let is_safe =
            endpoint.is_secure() || self.allows_http || network::is_this_machine(endpoint.host());
        (!is_safe)
            .then(|| format!("a token for {endpoint} can be read on the way: write `https://`"))
    }

    /// The token for an endpoint.
    pub(super) fn token(&self, backend: &Arc<str>, endpoint: &Endpoint) -> Arc<Kept> {
        let audience: Arc<str> = endpoint.origin().into();
        let mut tokens = lock(&self.tokens);
        if let Some(known) = tokens.get(&audience).and_then(Weak::upgrade) {
            return known;
        }
        // Those of endpoints that have left.
        tokens.retain(|_, kept| kept.strong_count() > 0);
        let (backend, credentials) = (Arc::clone(backend), Arc::clone(&self.credentials));
        let made = Kept::new(backend, Arc::clone(&audience), credentials);
        tokens.insert(audience, Arc::downgrade(&made));
        made
    }

    /// The field that the token of each try goes into. What a client has sent there is removed.
    pub(crate) fn field(&self, headers: &mut HeaderMap) -> HeaderName {
        if let Some(beside) = &self.beside {
            headers.remove(beside);
            if headers.contains_key(header::AUTHORIZATION) {
                return beside.clone();
            }
        }
        header::AUTHORIZATION
    }
}
