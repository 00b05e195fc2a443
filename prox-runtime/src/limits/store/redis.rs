//! A store in Redis or Valkey: one script call for each decision.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, RedisError, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use tokio::{sync::watch, time::timeout};

use super::{Answer, Ask, LimitStore, StoreGuard};
#[cfg(feature = "tls")]
use crate::tls::Pem;
use crate::{
    error::BoxError,
    limits::gcra::{Fill, Slot, Slots},
    secret::Secret,
    sync::Sharded,
};

const SCRIPT: &str = include_str!("limit.lua");

/// How long opening a connection may take. Requests do not wait for all of it.
const CONNECT: Duration = Duration::from_secs(1);

/// A connection on which so many requests in a row had no answer is replaced.
const UNANSWERED: u32 = 8;

/// Shared limits in Redis (6.2 or newer) or Valkey (7.2 or newer).
///
/// Each decision is one call of a script, so that gateways never allow more than the limit together, and the time is that of the
/// server. A key is `prox:{name:hash}`, with the name of the limit and 128 bits of SHA-256, and lives until its bucket is full.
///
/// Each worker has one connection. A request waits for at most 50 ms ([`timeout`](Self::timeout)), whatever happens to the connection
/// or the server. After 5 failures in a row the server is asked once in a second until it answers. Until then the limits do
/// what their [`WhenDown`](super::WhenDown) says.
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Secret, middleware::{RateLimit, Redis, WhenDown}};
///
/// # fn limits(redis_url: Secret) {
/// let store = Redis::url(redis_url);
/// let limit = RateLimit::per_minute(100).name("api").shared(&store, WhenDown::Local);
/// # }
/// ```
///
/// # TLS
///
/// A URL of `rediss://` needs the feature `tls`. The certificate of the server must name the host of the URL, and its issuer must be a root
/// of this machine or one of [`roots`](Self::roots). A server that asks for a certificate of its clients gets
/// [`client_certificate`](Self::client_certificate).
///
/// # Clusters
///
/// A Redis Cluster of several shards is not supported. A node of one counts as a store that does not answer, and the event that says so
/// names the reason. Write the URL of a server that has all keys, or of a proxy in front of the cluster. One shard with replicas
/// works. Each call has one key, so a proxy can route it.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
    guard: StoreGuard,
}

/// How the server is reached.
#[derive(Clone)]
struct Place {
    url: Secret,
    #[cfg(feature = "tls")]
    tls: tls::Options,
}

struct Inner {
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "it is read to change the options of TLS")
    )]
    place: Place,
    client: Result<Client, String>,
    connections: Sharded<Connection>,
}

#[derive(Default)]
enum Connection {
    #[default]
    None,
    /// It is being opened; what is sent is why that has failed, or nothing.
    Opening(watch::Receiver<Option<String>>),
    Open(Open),
}

#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    unanswered: Arc<AtomicU32>,
}

impl Redis {
    /// The server of this URL: `redis://user:password@host:6379/0`, `rediss://..` with TLS, or `redis+unix:///path`.
    ///
    /// A malformed URL is an error when the gateway starts. A server that cannot be reached then is not.
    pub fn url(url: Secret) -> Self {
        let place = Place {
            url,
            #[cfg(feature = "tls")]
            tls: tls::Options::default(),
        };
        Self {
            inner: Arc::new(Inner::new(place)),
            guard: StoreGuard::new(),
        }
    }

    /// Trusts these roots for `rediss://`, and no others: certificates in PEM. A further call adds its roots.
    ///
    /// The file is read when this is called. A file without certificates is an error when the gateway starts, and so are roots for a URL
    /// without TLS.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::{Secret, middleware::Redis};
    ///
    /// # fn limits(redis_url: Secret) {
    /// let store = Redis::url(redis_url)
    ///     .roots("/tls/internal-ca.pem")
    ///     .client_certificate("/tls/gateway.pem", "/tls/gateway.key");
    /// # let _ = store;
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn roots(self, roots: impl Into<Pem>) -> Self {
        self.secure(|tls| tls.roots.push(roots.into()))
    }

    /// Shows this certificate to a server that asks for one, as Redis does unless it has `tls-auth-clients no`.
    ///
    /// The files are read as those of [`roots`](Self::roots).
    #[cfg(feature = "tls")]
    pub fn client_certificate(self, certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.secure(|tls| tls.identity = Some((certificate.into(), key.into())))
    }

    #[cfg(feature = "tls")]
    fn secure(self, change: impl FnOnce(&mut tls::Options)) -> Self {
        let mut place = self.inner.place.clone();
        change(&mut place.tls);
        Self {
            inner: Arc::new(Inner::new(place)),
            guard: self.guard,
        }
    }

    /// How long a request waits for the server at most; 50 ms by default.
    ///
    /// It is for this handle, and for the clones that are made of it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.guard = self.guard.timeout(limit);
        self
    }
}

impl Place {
    fn client(&self) -> Result<Client, String> {
        let url = self.url.expose();
        // Not with the URL: it has a password in it.
        let client = Client::open(url).map_err(|_| {
            if cfg!(not(feature = "tls")) && url.starts_with("rediss:") {
                return "a URL of `Redis` with `rediss` needs the feature `tls` of `prox`".into();
            }
            "the URL of `Redis` is malformed: write one such as `redis://:password@10.0.0.1:6379/0`"
                .to_owned()
        })?;
        #[cfg(feature = "tls")]
        if !self.tls.is_empty() {
            return self.tls.client(client.get_connection_info());
        }
        Ok(client)
    }
}

impl Inner {
    fn new(place: Place) -> Self {
        Self {
            client: place.client(),
            place,
            connections: Sharded::default(),
        }
    }

    /// The connection of this worker, once it is open.
    async fn connection(self: &Arc<Self>, place: usize) -> Result<Open, BoxError> {
        loop {
            let mut opening = match &mut *self.connections.at(place) {
                Connection::Open(open) => return Ok(open.clone()),
                // The runtime that was to open it may have ended.
                Connection::Opening(opening) if opening.has_changed().is_ok() => opening.clone(),
                none => {
                    let (tell, told) = watch::channel(None);
                    tokio::spawn(Arc::clone(self).open(place, tell));
                    *none = Connection::Opening(told.clone());
                    told
                }
            };
            // It is dropped when it is open.
            if let Ok(reason) = opening.wait_for(Option::is_some).await {
                return Err(reason.clone().unwrap_or_default().into());
            }
        }
    }

    async fn open(self: Arc<Self>, place: usize, tell: watch::Sender<Option<String>>) {
        let opened = timeout(CONNECT, self.connect()).await;
        let reason = match opened {
            Ok(Ok(connection)) => {
                let open = Open {
                    connection,
                    unanswered: Arc::default(),
                };
                *self.connections.at(place) = Connection::Open(open);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {} ms", CONNECT.as_millis()),
        };
        *self.connections.at(place) = Connection::None;
        let _ = tell.send(Some(reason));
    }

    async fn connect(&self) -> Result<MultiplexedConnection, BoxError> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        // The library takes the provider of the process, and panics where it cannot tell which.
        #[cfg(feature = "tls")]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        // Limits of time are ours.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await?;
        // A server without clusters answers with an error, and so does one whose user may not ask.
        let info: Result<String, RedisError> = redis::cmd("CLUSTER")
            .arg("INFO")
            .query_async(&mut connection)
            .await;
        match info.as_deref().map(shards) {
            Ok(Some(shards)) if shards > 1 => Err(format!(
                "the server is a node of a Redis Cluster of {shards} shards, which `Redis` does not support: write the URL of a server with all keys, or of a proxy in front of the cluster"
            )
            .into()),
            _ => Ok(connection),
        }
    }

    /// Has the next request open a new connection, unless another one has done so already.
    fn replace(&self, place: usize, old: &Open) {
        let mut connection = self.connections.at(place);
        if let Connection::Open(open) = &*connection
            && Arc::ptr_eq(&open.unanswered, &old.unanswered)
        {
            *connection = Connection::None;
        }
    }
}

/// How many servers have keys of a cluster of their own, by `CLUSTER INFO`.
fn shards(info: &str) -> Option<u64> {
    let mut lines = info.lines();
    lines.find_map(|line| line.trim().strip_prefix("cluster_size:")?.parse().ok())
}

/// A request that has no answer yet, or never gets one.
struct Waiting<'a> {
    inner: &'a Arc<Inner>,
    place: usize,
    open: &'a Open,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.answered {
            if self.open.unanswered.load(Relaxed) != 0 {
                self.open.unanswered.store(0, Relaxed);
            }
        } else if self.open.unanswered.fetch_add(1, Relaxed) + 1 >= UNANSWERED {
            self.inner.replace(self.place, self.open);
        }
    }
}

impl LimitStore for Redis {
    async fn ask(&self, ask: &Ask) -> Result<Answer, BoxError> {
        let place = self.inner.connections.place();
        let open = self.inner.connection(place).await?;
        let mut waiting = Waiting {
            inner: &self.inner,
            place,
            open: &open,
            answered: false,
        };
        let mut connection = open.connection.clone();
        let answer = call(&mut connection, ask).await;
        waiting.answered = true;
        drop(waiting);
        match answer.and_then(|value| answer_of(&value, ask.windows.len())) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                // A server that says no may not be the right one any more.
                self.inner.replace(place, &open);
                Err(error)
            }
        }
    }

    fn guard(&self) -> &StoreGuard {
        &self.guard
    }

    fn problem(&self) -> Option<String> {
        self.inner.client.as_ref().err().cloned()
    }
}

async fn call(connection: &mut MultiplexedConnection, ask: &Ask) -> Result<Value, BoxError> {
    static SHA: OnceLock<String> = OnceLock::new();
    let sha = SHA.get_or_init(|| sha1_smol::Sha1::from(SCRIPT).digest().to_string());
    let by_hash = command("EVALSHA", sha, ask).query_async(connection).await;
    let is_unknown =
        |error: &RedisError| error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript);
    match by_hash {
        Err(error) if is_unknown(&error) => {
            Ok(command("EVAL", SCRIPT, ask).query_async(connection).await?)
        }
        answer => Ok(answer?),
    }
}

fn command(name: &str, script: &str, ask: &Ask) -> redis::Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(1).arg(&ask.key);
    command.arg(if ask.charge { "charge" } else { "take" });
    for window in ask.windows.iter() {
        let fill = match window.fill {
            Fill::Evenly => 0,
            Fill::Daily => 1,
            Fill::Monthly => 2,
        };
        command
            .arg(fill)
            .arg(window.price)
            .arg(window.capacity)
            .arg(window.deepest);
    }
    command
}

/// What the script has returned: whether it is allowed, and two numbers for each window.
fn answer_of(value: &Value, windows: usize) -> Result<Answer, BoxError> {
    let malformed = || BoxError::from("the answer of the script is malformed");
    let Value::Array(values) = value else {
        return Err(malformed());
    };
    let numbers: Option<Vec<u64>> = values
        .iter()
        .map(|value| match value {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        })
        .collect();
    let numbers = numbers.ok_or_else(malformed)?;
    let (allowed, rest) = numbers.split_first().ok_or_else(malformed)?;
    if rest.len() != windows * 2 {
        return Err(malformed());
    }
    let slots: Slots = rest
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [until, used] => Some(Slot {
                until: *until,
                used: *used,
            }),
            _ => None,
        })
        .collect();
    Ok(Answer {
        allowed: *allowed == 1,
        slots,
    })
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
