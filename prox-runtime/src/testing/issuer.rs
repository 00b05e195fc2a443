//! An identity provider for tests and demos.

use std::{
    fmt, io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode, Uri, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::{
    body::Body,
    error::Failure,
    handler::{Handler, IntoResponse, Request, Response},
    identity::Claim,
    sync::lock,
};

/// An identity provider in the process of a test or of a demo: a discovery document, a set of keys, and signed tokens (ES256).
///
/// It is a [`Handler`](crate::Handler), so it can be a target, and a test without sockets gives it to `.fetch_by(..)`.
/// [`start`](Self::start) serves it at a port of this machine. Clones are the same issuer.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod middleware { pub use prox_runtime::{auth::*, middleware::*}; } }
/// use prox::{Body, Middleware, Request, middleware::{IntoLayer, Jwt}, testing::Issuer};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let issuer = Issuer::new("https://id.example.com/");
/// let auth = Jwt::issuer(issuer.url()).fetch_by(issuer.clone()).audience("shop");
/// let chain = auth.into_layer().wrap(prox::BoxHandler::new(prox::handler(async |_| "inside")));
///
/// let token = issuer.token("ada").audience("shop").sign();
/// let mut req = Request::new(Body::empty());
/// req.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
/// assert_eq!(chain.call(req).await.status(), 200);
/// assert_eq!(issuer.fetches(), 1);
/// # });
/// ```
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// What serves it, if it is served.
    task: Option<AbortHandle>,
}

struct Shared {
    url: String,
    keys: Mutex<Keys>,
    answers: Mutex<Answers>,
    down: AtomicBool,
    discoveries: AtomicU64,
    fetches: AtomicU64,
}

struct Keys {
    pair: EcdsaKeyPair,
    /// How many keys there were.
    number: u32,
}

type Instead = Arc<dyn Fn(&Request) -> Option<Response> + Send + Sync>;

#[derive(Default)]
struct Answers {
    delay: Duration,
    max_age: Option<Duration>,
    instead: Option<Instead>,
}

impl Issuer {
    /// An issuer with this URL, which is not served.
    ///
    /// # Panics
    ///
    /// When the system has no random numbers for a key.
    pub fn new(url: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            shared: Arc::new(Shared::new(url.into())),
            task: None,
        }))
    }

    /// An issuer that is served at `http://127.0.0.1:port/`, with a port that is free, until its last clone is dropped.
    ///
    /// # Errors
    ///
    /// When no port can be listened at.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new), and outside of a tokio runtime.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let shared = Arc::new(Shared::new(url));
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self(Arc::new(Inner {
            shared,
            task: Some(task.abort_handle()),
        })))
    }

    /// Its URL, which is the `iss` of its tokens.
    pub fn url(&self) -> &str {
        &self.0.shared.url
    }

    /// A token for this subject, which lasts for 5 minutes. Say the audience: [`Token::audience`].
    pub fn token(&self, subject: impl Into<String>) -> Token {
        let now = now();
        Token {
            issuer: self.clone(),
            claims: Vec::new(),
        }
        .claim("iss", self.url())
        .claim("sub", subject.into())
        .claim("iat", now)
        .claim("exp", now + 300)
    }

    /// A token of these parts, which are JSON and may be anything, signed with the key that is in use.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        self.0.shared.sign(header, claims)
    }

    /// A token of these parts, signed with a secret by HMAC and SHA-256, for tests of who believes that.
    pub fn sign_by_secret(&self, header: &str, claims: &str, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        signed(header, claims, |message| {
            hmac::sign(&key, message).as_ref().to_vec()
        })
    }

    /// The name of the key that is in use.
    pub fn kid(&self) -> String {
        format!("key-{}", lock(&self.0.shared.keys).number)
    }

    /// The set of keys as it is shown now.
    pub fn key_set(&self) -> String {
        self.0.shared.key_set()
    }

    /// Signs with a new key from now on, which takes the place of the old one in the set.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn rotate(&self) {
        let mut keys = lock(&self.0.shared.keys);
        let number = keys.number + 1;
        *keys = Keys::new(number);
    }

    /// Gives no answers from now on: connections are closed.
    pub fn down(&self) {
        self.0.shared.down.store(true, SeqCst);
    }

    /// Gives answers again.
    pub fn up(&self) {
        self.0.shared.down.store(false, SeqCst);
    }

    /// Answers after so long.
    pub fn slow(&self, delay: Duration) {
        lock(&self.0.shared.answers).delay = delay;
    }

    /// Says in its answers that they last so long, as `max-age`.
    pub fn max_age(&self, age: Duration) {
        lock(&self.0.shared.answers).max_age = Some(age);
    }

    /// Asks `answer` first, which may lie: with another document, a redirect, or anything else. `None` leaves the answer as it is.
    pub fn instead(&self, answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) {
        lock(&self.0.shared.answers).instead = Some(Arc::new(answer));
    }

    /// Does not lie any more.
    pub fn honest(&self) {
        lock(&self.0.shared.answers).instead = None;
    }

    /// How often its discovery document was asked for, whatever the answer was.
    pub fn discoveries(&self) -> u64 {
        self.0.shared.discoveries.load(SeqCst)
    }

    /// How often its set of keys was asked for, whatever the answer was.
    pub fn fetches(&self) -> u64 {
        self.0.shared.fetches.load(SeqCst)
    }
}

/// A token that is being made: [`Issuer::token`].
#[derive(Clone, Debug)]
#[must_use = "a token is made by `.sign()`"]
pub struct Token {
    issuer: Issuer,
    claims: Vec<(String, Claim)>,
}

impl Token {
    /// For this audience.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.claim("aud", audience.into())
    }

    /// With these scopes, with spaces between them.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.claim("scope", scope.into())
    }

    /// With this end, in seconds from now; it may be in the past.
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// With this claim, which replaces one of the same name.
    pub fn claim(mut self, name: impl Into<String>, claim: impl Into<Claim>) -> Self {
        let (name, claim) = (name.into(), claim.into());
        self.claims.retain(|(own, _)| *own != name);
        self.claims.push((name, claim));
        self
    }

    /// Without this claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.retain(|(own, _)| own != name);
        self
    }

    /// The token, signed with the key that is in use.
    pub fn sign(self) -> String {
        let claims = Claim::Object(self.claims.into_iter().collect()).to_json();
        let kid = self.issuer.kid();
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#);
        self.issuer.sign(&header, &claims)
    }
}

/// The three parts of a token.
fn signed(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encoded = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = encoded.join(".");
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

impl Keys {
    fn new(number: u32) -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(kind, &random);
        let pair = pair.and_then(|pkcs8| {
            EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random)
                .map_err(|_| ring::error::Unspecified)
        });
        Self {
            pair: pair.expect("the system has random numbers"),
            number,
        }
    }
}

impl Shared {
    fn new(url: String) -> Self {
        Self {
            url,
            keys: Mutex::new(Keys::new(1)),
            answers: Mutex::default(),
            down: AtomicBool::new(false),
            discoveries: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
        }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let keys = lock(&self.keys);
        signed(header, claims, |message| {
            let signature = keys.pair.sign(&SystemRandom::new(), message);
            let signature = signature.expect("the system has random numbers");
            signature.as_ref().to_vec()
        })
    }

    fn key_set(&self) -> String {
        let keys = lock(&self.keys);
        // An uncompressed point: 4, then both coordinates.
        let point = keys.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        let kid = keys.number;
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"key-{kid}","x":"{x}","y":"{y}"}}]}}"#
        )
    }

    /// Nothing if it is down.
    async fn answer(&self, req: Request) -> Option<Response> {
        let uri = req.uri().clone();
        let path = self.below(&uri);
        match path {
            ".well-known/openid-configuration" => drop(self.discoveries.fetch_add(1, SeqCst)),
            "jwks.json" => drop(self.fetches.fetch_add(1, SeqCst)),
            _ => {}
        }
        let (delay, max_age, instead) = {
            let answers = lock(&self.answers);
            (answers.delay, answers.max_age, answers.instead.clone())
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if self.down.load(SeqCst) {
            return None;
        }
        if let Some(lie) = instead.and_then(|instead| instead(&req)) {
            return Some(lie);
        }
        let text = match path {
            ".well-known/openid-configuration" => {
                let (issuer, base) = (&self.url, self.url.trim_end_matches('/'));
                format!(r#"{{"issuer":"{issuer}","jwks_uri":"{base}/jwks.json"}}"#)
            }
            "jwks.json" => self.key_set(),
            _ => return Some(StatusCode::NOT_FOUND.into_response()),
        };
        let mut response = text.into_response();
        let fields = response.headers_mut();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let value = max_age.map(|age| format!("max-age={}", age.as_secs()));
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            fields.insert(header::CACHE_CONTROL, value);
        }
        Some(response)
    }

    /// What a path has below that of the issuer.
    fn below<'u>(&self, uri: &'u Uri) -> &'u str {
        let own = self
            .url
            .parse::<Uri>()
            .map(|own| own.path().trim_end_matches('/').to_owned());
        let own = own.unwrap_or_default();
        let below = uri.path().strip_prefix(&own).unwrap_or_default();
        below.trim_start_matches('/')
    }
}

impl Handler for Issuer {
    async fn call(&self, req: Request) -> Response {
        let answer = self.0.shared.answer(req).await;
        answer.unwrap_or_else(|| Failure::Connect.into_response())
    }
}

/// Serves an issuer. Where it is down, connections are closed without an answer.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |req: http::Request<Incoming>| {
            let shared = Arc::clone(&shared);
            async move {
                let answer = shared.answer(req.map(Body::new)).await;
                answer.ok_or_else(|| io::Error::other("the issuer is down"))
            }
        });
        tokio::spawn(async move {
            // A client that leaves, or an issuer that is down.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.url()).finish()
    }
}
