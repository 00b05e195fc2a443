//! One place that does the work: its address, and what is known of it at run time.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::Path,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderValue, Uri, uri::PathAndQuery};
use tokio::time::Instant;

use super::{
    QueueOptions,
    balance::{Load, Seat, Total, key_of, sticky::Affinity},
    credentials::{Kept, Source},
    events::Counts,
    health::passive::Ejections,
    queue::Queue,
    state::State,
    way::Way,
};
use crate::{
    connect::{Opened, Protocol},
    error::Error,
    metrics::EndpointTries,
    pool::{Pool, PoolOptions},
    tls::{self, Connector},
};

/// The URL of an upstream: `http://host[:port][/base]`, or `https://` with the feature `tls`, with a weight.
///
/// An upstream on a Unix socket is `unix:/run/app.sock`, or `unix:/run/app.sock:/base`. It gets the `Host` `localhost`.
///
/// A base path is put before the path of every request. An `Endpoint` cannot hold a bad value: what is no upstream is
/// refused when it is parsed.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::Endpoint;
///
/// let endpoint: Endpoint = "http://10.0.0.1:8080".parse()?;
/// assert_eq!(endpoint.weight(3).to_string(), "http://10.0.0.1:8080");
/// assert!("ftp://10.0.0.1".parse::<Endpoint>().is_err());
/// # Ok::<(), prox::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    inner: Arc<Inner>,
    weight: u32,
    priority: u8,
}

/// Where an endpoint is, and what it is called there; two that are equal are the same place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Inner {
    secure: bool,
    socket: Option<Box<Path>>,
    host: String,
    port: u16,
    authority: HeaderValue,
    /// What it is called, if not by its address.
    name: Option<Name>,
    base: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Name {
    host: String,
    authority: HeaderValue,
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointError(&'static str);

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// Sets the share of requests, relative to the weights of the other endpoints; 1 by default.
    ///
    /// A weight of 0 is an error when the gateway starts.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the failover group: it is used when no endpoint with a lower number may be; 0 by default.
    ///
    /// The groups that are not in use get no requests at all, and their endpoints are there at once when it is their turn.
    #[must_use]
    pub fn priority(mut self, number: u8) -> Self {
        self.priority = number;
        self
    }

    /// Calls it by a name: `Host` says the name, and over `https://` the certificate has to be for it. The address stays.
    ///
    /// For endpoints that somebody finds by their addresses, and that know themselves by a name; those that
    /// [`dns`](crate::dns()) finds have theirs already. The port of the URL stands behind the name in `Host`, but for 80, or 443
    /// for `https://`.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::Endpoint;
    ///
    /// let endpoint: Endpoint = "http://10.0.0.7:8080".parse()?;
    /// let endpoint = endpoint.named("users.internal")?;
    /// assert_eq!((endpoint.host(), endpoint.name()), ("10.0.0.7", "users.internal"));
    /// # Ok::<(), prox::EndpointError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When this is no name of a host.
    pub fn named(mut self, name: &str) -> Result<Self, EndpointError> {
        let named: Self = format!("http://{name}").parse()?;
        if named.has_port() || !named.base().is_empty() || name.ends_with('/') {
            return Err(EndpointError("a name has neither a port nor a path"));
        }
        let inner = Arc::make_mut(&mut self.inner);
        inner.name = Some(inner.called(name));
        Ok(self)
    }

    /// What it is called: the name that it was [given](Self::named), or its host.
    pub fn name(&self) -> &str {
        match &self.inner.name {
            Some(name) => &name.host,
            None => &self.inner.host,
        }
    }

    /// The same, at this address, and called by its own name.
    pub(crate) fn located(&self, address: IpAddr, port: u16) -> Self {
        let mut inner = Inner {
            host: address.to_string(),
            port,
            authority: text(&SocketAddr::new(address, port).to_string()),
            ..Inner::clone(&self.inner)
        };
        inner.name = Some(inner.called(self.name()));
        Self {
            inner: Arc::new(inner),
            ..*self
        }
    }

    /// The path of the Unix socket, when it is one.
    pub fn socket(&self) -> Option<&Path> {
        self.inner.socket.as_deref()
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without brackets; `localhost` for a Unix socket.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// Whether it is spoken to over TLS: `https://`.
    pub fn is_secure(&self) -> bool {
        self.inner.secure
    }

    /// The port; 80, or 443 for `https://`, when the URL names none.
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The share of requests, relative to the weights of the other endpoints.
    pub fn share(&self) -> u32 {
        self.weight
    }

    /// The failover group.
    pub fn group(&self) -> u8 {
        self.priority
    }

    /// Whether an operator who writes this means it: the URL, the path of the socket, or `host:port`.
    pub(crate) fn is_called(&self, address: &str) -> bool {
        let port = || {
            let (host, port) = address.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some(host.eq_ignore_ascii_case(self.host()) && port.parse() == Ok(self.port()))
        };
        match self.socket() {
            Some(path) => address == self.to_string() || path == Path::new(address),
            None => address == self.to_string() || port() == Some(true),
        }
    }

    /// What `Host` says to this upstream.
    pub(crate) fn authority(&self) -> HeaderValue {
        match &self.inner.name {
            Some(name) => name.authority.clone(),
            None => self.inner.authority.clone(),
        }
    }

    /// The scheme, the name and the port as a browser has them (RFC 6454, 6.2): in lower case, without the port that goes without saying.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.is_secure() { "https" } else { "http" };
        let host = self.name().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let (open, close) = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        if self.inner.has_default_port() {
            format!("{scheme}://{open}{host}{close}")
        } else {
            format!("{scheme}://{open}{host}{close}:{}", self.port())
        }
    }

    /// Whether a port was written.
    pub(super) fn has_port(&self) -> bool {
        // That of an IPv6 address is not in brackets here.
        let authority = self.inner.authority.as_bytes();
        authority.len() > self.host().len() + 2 * usize::from(authority.starts_with(b"["))
    }

    /// What is put before every path; empty or without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.inner.base
    }

    /// Where it is, which two can be compared by.
    pub(super) fn place(&self) -> &Inner {
        &self.inner
    }

    /// Whether both are the same place, however it is written: with the default port or without, in upper or lower case.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        self.inner.place() == other.inner.place()
    }
}

impl Inner {
    /// Everything but how it is written.
    fn place(&self) -> impl Eq {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        let host = match host.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => host.to_ascii_lowercase(),
        };
        (
            self.secure,
            &self.socket,
            host,
            self.port,
            &self.name,
            &self.base,
        )
    }

    /// A name, with the port as it stands in `Host`.
    fn called(&self, name: &str) -> Name {
        let host = name.strip_suffix('.').unwrap_or(name).to_owned();
        let authority = if self.has_default_port() {
            text(&host)
        } else {
            text(&format!("{host}:{}", self.port))
        };
        Name { host, authority }
    }

    fn has_default_port(&self) -> bool {
        self.port == if self.secure { 443 } else { 80 }
    }
}

/// An address, or a host that is in a header's value already, perhaps with a port.
fn text(authority: &str) -> HeaderValue {
    HeaderValue::from_str(authority).expect("digits, colons, and what is in a header's value")
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some(place) = text.strip_prefix("unix:") {
            return on_socket(place);
        }
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) if cfg!(feature = "tls") => (true, rest),
            Some(("https", _)) => return Err(EndpointError(tls::WITHOUT_FEATURE)),
            Some(_) => return Err(EndpointError("the scheme must be http:// or https://")),
            None => {
                return Err(EndpointError(
                    "the scheme is missing; write http://host:port",
                ));
            }
        };
        if rest.contains('#') {
            return Err(EndpointError("a fragment has no place in an upstream"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| EndpointError("this is no URL; write http://host:port"))?;
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty())
            .ok_or(EndpointError("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(EndpointError(
                "user information has no place in an upstream",
            ));
        }
        if uri.query().is_some() {
            return Err(EndpointError("a query has no place in an upstream"));
        }
        let written = authority.as_str();
        let port = match written.strip_prefix(authority.host()) {
            Some("") if secure => 443,
            Some("") => 80,
            Some(port) => port
                .strip_prefix(':')
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|&port| port != 0)
                .ok_or(EndpointError("the port must be a number from 1 to 65535"))?,
            None => return Err(EndpointError("this is no URL; write http://host:port")),
        };
        let base = base_of(uri.path())?;
        Ok(Self {
            inner: Arc::new(Inner {
                secure,
                socket: None,
                host: authority
                    .host()
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned(),
                port,
                authority: HeaderValue::from_str(written)
                    .map_err(|_| EndpointError("the host has a character that no host has"))?,
                name: None,
                base,
            }),
            weight: 1,
            priority: 0,
        })
    }
}

/// The most bytes in the path of a Unix socket; one more ends it.
const MAX_SOCKET: usize = 107;

/// Reads what follows `unix:`. A colon ends the path of the socket, as it does for nginx.
fn on_socket(place: &str) -> Result<Endpoint, EndpointError> {
    let (socket, base) = place.split_once(':').unwrap_or((place, ""));
    if !socket.starts_with('/') || socket.starts_with("//") || socket.ends_with('/') {
        return Err(EndpointError(
            "this is no path of a Unix socket; write unix:/run/app.sock",
        ));
    }
    if socket.len() > MAX_SOCKET {
        return Err(EndpointError(
            "the path of a Unix socket has at most 107 bytes",
        ));
    }
    let fits = |byte: u8| byte.is_ascii_graphic() && !br"?#\{}".contains(&byte);
    if !place.bytes().all(fits) {
        return Err(EndpointError(
            "a Unix socket is written in letters, digits and signs other than `?`, `#`, `\\`, `{` and `}`",
        ));
    }
    if place.len() > socket.len() && !base.starts_with('/') {
        return Err(EndpointError(
            "behind the second colon stands a base path; write unix:/run/app.sock:/base",
        ));
    }
    let base = base_of(base)?;
    if PathAndQuery::try_from(if base.is_empty() { "/" } else { &base }).is_err() {
        return Err(EndpointError("the base path is no path of a URL"));
    }
    Ok(Endpoint {
        inner: Arc::new(Inner {
            secure: false,
            socket: Some(Path::new(socket).into()),
            host: "localhost".into(),
            port: 80,
            authority: HeaderValue::from_static("localhost"),
            name: None,
            base,
        }),
        weight: 1,
        priority: 0,
    })
}

fn base_of(path: &str) -> Result<String, EndpointError> {
    let base = path.trim_end_matches('/');
    if base.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(EndpointError("`.` and `..` have no place in the base path"));
    }
    Ok(base.to_owned())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.inner.socket {
            let colon = if self.inner.base.is_empty() { "" } else { ":" };
            return write!(f, "unix:{}{colon}{}", socket.display(), self.inner.base);
        }
        let authority = self.inner.authority.to_str().unwrap_or_default();
        let s = if self.inner.secure { "s" } else { "" };
        write!(f, "http{s}://{authority}{}", self.inner.base)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An endpoint at run time.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) endpoint: Endpoint,
    pub(crate) pool: Arc<Pool>,
    pub(crate) load: Arc<Load>,
    pub(super) state: State,
    index: usize,
    queue: Option<Arc<Queue>>,
    /// How connections to it are opened.
    pub(super) way: Way,
    /// What stands for it in the cookie of a client that sticks to it.
    cookie: Option<u64>,
    /// The text of its URL.
    label: Arc<str>,
    /// What it is shown, if it is shown anything.
    token: Option<Arc<Kept>>,
    pub(super) tries: EndpointTries,
}

/// What all endpoints of a cluster are made with.
#[derive(Debug)]
pub(super) struct Blueprint {
    pub(super) backend: Arc<str>,
    pub(super) counts: Arc<Counts>,
    pub(super) pool: PoolOptions,
    /// Over HTTP/2, where a connection must be there within this time.
    pub(super) http2: Option<Duration>,
    pub(super) total: Arc<Total>,
    /// None where nothing is ever ejected.
    pub(super) ejections: Option<Arc<Ejections>>,
    pub(super) max_connections: Option<usize>,
    pub(super) queue: QueueOptions,
    /// Made with the first `https://` endpoint, where endpoints are found.
    pub(super) connector: OnceLock<Arc<Connector>>,
    pub(super) affinity: Option<Affinity>,
    pub(super) credentials: Option<Source>,
    /// The fake in the place of the endpoints, in a test.
    #[cfg(feature = "testing")]
    pub(super) peer: Option<Arc<dyn super::pretend::Peer>>,
}

impl Blueprint {
    /// Gets ready to make these endpoints.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken with one of them.
    pub(super) fn prepare(&self, endpoints: &[Endpoint]) -> Result<(), String> {
        let credentials = self.credentials.iter();
        let mut refused =
            credentials.flat_map(|source| endpoints.iter().filter_map(|one| source.refuses(one)));
        if let Some(problem) = refused.next() {
            return Err(problem);
        }
        let mut secure = endpoints.iter().filter(|one| one.is_secure()).peekable();
        if secure.peek().is_none() {
            return Ok(());
        }
        let connector = if let Some(connector) = self.connector.get() {
            connector
        } else {
            let made = tls::connector(None, self.http2.is_some())
                .map_err(|problems| problems.join("; "))?;
            self.connector.get_or_init(|| Arc::new(made))
        };
        match secure.find_map(|endpoint| connector.refuses(endpoint.name())) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// The endpoint with this number.
    pub(super) fn make(&self, index: usize, endpoint: Endpoint, now: Instant) -> Upstream {
        let pool = Pool::new(self.pool.clone());
        let pool = match self.http2 {
            Some(connect_timeout) => {
                let (backend, counts) = (Arc::clone(&self.backend), Arc::clone(&self.counts));
                let endpoint = endpoint.clone();
                let flooded = move |frames| counts.tell_flood(&backend, &endpoint, frames);
                pool.http2(connect_timeout, Arc::new(flooded))
            }
            None => pool,
        };
        let connector = self.connector.get().filter(|_| endpoint.is_secure());
        let way = Way {
            connector: connector.cloned(),
            protocol: match pool.streams() {
                Some(_) => Protocol::Http2,
                None => Protocol::Http1,
            },
            #[cfg(feature = "testing")]
            peer: self.peer.clone(),
        };
        let queue = |limit| Arc::new(Queue::new(limit, self.queue.clone()));
        let label: Arc<str> = endpoint.to_string().into();
        let cookie = |affinity: &Affinity| affinity.value(&label);
        Upstream {
            state: State::new(&endpoint, self.ejections.as_ref(), now),
            pool: Arc::new(pool),
            load: Arc::new(Load::new(&self.total, now)),
            index,
            queue: self.max_connections.map(queue),
            way,
            cookie: self.affinity.as_ref().map(cookie),
            label,
            token: self
                .credentials
                .as_ref()
                .map(|source| source.token(&self.backend, &endpoint)),
            tries: EndpointTries::default(),
            endpoint,
        }
    }
}

impl Upstream {
    /// Its number in the cluster, which it keeps for as long as it is there.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The text of its URL, for who keeps it.
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Where a request gets its place; `None` without a limit.
    pub(crate) fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.as_ref()
    }

    /// The token that it is shown; `None` without credentials.
    pub(crate) fn token(&self) -> Option<&Arc<Kept>> {
        self.token.as_ref()
    }

    /// Opens a connection to it within `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`Way::open`]. Nothing was sent.
    pub(crate) async fn open(&self, limit: Duration) -> Result<Opened, Error> {
        self.way.open(&self.endpoint, limit).await
    }

    /// Whether it is no longer in the cluster.
    pub(crate) fn has_left(&self) -> bool {
        self.state.has_left()
    }

    /// What stands for it in the cookie of a client that sticks to it, if clients do.
    pub(super) fn cookie(&self) -> Option<u64> {
        self.cookie
    }

    /// What a balancer sees of it; the weight is in thousandths.
    pub(super) fn seat(&self, weight: u64) -> Seat {
        let identity = key_of(self.label.as_bytes());
        Seat::new(self.index, weight, identity, Arc::clone(&self.load))
    }

    /// The target of a request to this endpoint: its base path, then the path and the query. Where `is_base` says so, the path
    /// is that of the endpoint alone.
    pub(crate) fn target(
        &self,
        path: &PathAndQuery,
        is_base: impl FnOnce() -> bool,
    ) -> Result<PathAndQuery, http::Error> {
        let base = self.endpoint.base();
        if base.is_empty() {
            return Ok(path.clone());
        }
        let joined = match (is_base(), path.query()) {
            (false, _) => format!("{base}{path}"),
            (true, Some(query)) => format!("{base}?{query}"),
            (true, None) => base.to_owned(),
        };
        Ok(PathAndQuery::try_from(joined)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_endpoint_are_told_apart() {
        let endpoint: Endpoint = "http://[::1]:8080/base/".parse().unwrap();
        assert_eq!(endpoint.host(), "::1");
        assert_eq!(endpoint.port(), 8080);
        assert_eq!(endpoint.base(), "/base");
        assert_eq!(endpoint.authority(), "[::1]:8080");
        assert_eq!("http://a".parse::<Endpoint>().unwrap().port(), 80);
    }

    #[test]
    fn https_is_there_with_its_feature_and_refused_by_its_name_without() {
        let endpoint = "https://a/b".parse::<Endpoint>();
        if cfg!(feature = "tls") {
            let endpoint = endpoint.unwrap();
            assert!(endpoint.is_secure());
            assert_eq!(endpoint.port(), 443);
            assert_eq!(endpoint.to_string(), "https://a/b");
            assert!(!endpoint.is_same_place(&"http://a/b".parse().unwrap()));
        } else {
            assert!(
                endpoint
                    .unwrap_err()
                    .to_string()
                    .contains("features = [\"tls\"]")
            );
        }
    }

    #[test]
    fn an_origin_is_written_in_one_way() {
        for (url, origin) in [
            ("http://A.test/base", "http://a.test"),
            ("http://a.test:80", "http://a.test"),
            ("http://a.test.:8080", "http://a.test:8080"),
            ("http://[::1]:443", "http://[::1]:443"),
        ] {
            assert_eq!(url.parse::<Endpoint>().unwrap().origin(), origin);
        }
        let named: Endpoint = "http://10.0.0.7:8080".parse().unwrap();
        let named = named.named("users.test").unwrap();
        assert_eq!(named.origin(), "http://users.test:8080");
        if cfg!(feature = "tls") {
            for url in ["https://a.test", "https://a.test:443/x"] {
                assert_eq!(url.parse::<Endpoint>().unwrap().origin(), "https://a.test");
            }
        }
    }

    #[test]
    fn a_unix_socket_may_have_a_base_path() {
        let endpoint: Endpoint = "unix:/run/app.sock".parse().unwrap();
        assert_eq!(endpoint.socket(), Some(Path::new("/run/app.sock")));
        assert_eq!(
            (endpoint.base(), endpoint.to_string().as_str()),
            ("", "unix:/run/app.sock")
        );
        assert_eq!(endpoint.authority(), "localhost");
        let based: Endpoint = "unix:/run/app.sock:/base/".parse().unwrap();
        assert_eq!(
            (based.base(), based.to_string().as_str()),
            ("/base", "unix:/run/app.sock:/base")
        );
        assert!(!endpoint.is_same_place(&based));
        assert!(!endpoint.is_same_place(&"http://localhost".parse().unwrap()));
    }

    /// The same table is held against what compiles.
    #[test]
    fn one_place_has_many_spellings() {
        for line in include_str!("../../../tests/data/places.txt").lines() {
            let Some((verdict @ ("same" | "apart"), urls)) = line.split_once(' ') else {
                continue;
            };
            let (one, other) = urls.split_once(' ').unwrap();
            let [one, other]: [Endpoint; 2] = [one, other].map(|url| url.parse().unwrap());
            assert_eq!(one.is_same_place(&other), verdict == "same", "{urls}");
        }
    }

    /// The same table is held against what compiles.
    #[test]
    fn what_is_no_upstream_does_not_compile_either() {
        for line in include_str!("../../../tests/data/upstreams.txt").lines() {
            let Some((verdict, url)) = line.split_once(' ').filter(|(word, _)| *word != "#") else {
                continue;
            };
            assert_eq!(url.parse::<Endpoint>().is_ok(), verdict == "yes", "{url}");
        }
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        for text in [
            "",
            "a",
            "10.0.0.1:80",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://u:p@a",
            "http://a?x=1",
            "http://a#x",
            "http://a/../b",
            "http://a b",
            "unix:",
            "unix:app.sock",
            "unix:run/app.sock",
            "unix:///run/app.sock",
            "unix:/run/",
            "unix:/run/a b",
            "unix:/run/a?b",
            "unix:/run/{a}",
            "unix:/run/a.sock:",
            "unix:/run/a.sock:b",
            "unix:/run/a.sock:/b/../c",
            "unix:/run/\u{e9}.sock",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        let longest = format!("unix:/{}", "x".repeat(MAX_SOCKET - 1));
        assert!(longest.parse::<Endpoint>().is_ok());
        assert!(format!("{longest}x").parse::<Endpoint>().is_err());
    }
}
