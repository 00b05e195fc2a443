//! Accepts connections, speaks HTTP, and ends in good order.

mod accept;
mod acceptors;
mod admin;
mod certificates;
mod checked;
#[cfg(feature = "http2")]
mod connect;
mod connection;
mod connections;
mod crew;
mod drain;
mod edge;
mod ending;
mod handover;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod limits;
mod listener;
mod logs;
mod notify;
mod open;
mod ops;
mod place;
#[cfg(feature = "testing")]
pub(crate) mod pretend;
mod proxy_protocol;
mod refusals;
mod rest;
mod socket;
mod start;
mod traces;
mod unix;
mod variables;
mod workers;

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use http::HeaderName;
use tokio::task::JoinSet;

#[cfg(feature = "handover")]
pub use self::handover::Handover;
#[cfg(feature = "otel")]
pub(crate) use self::traces::{Traced, beside};
use self::{
    accept::Source,
    acceptors::Worker,
    certificates::Certificates,
    crew::Crew,
    drain::Shutdown,
    ending::Ending,
    listener::{Line, Where},
    ops::Ops,
    start::{Start, takes_systemds},
    traces::Named,
};
pub use self::{admin::Admin, connections::Connections, listener::Listener};
pub(crate) use self::{
    edge::{Edge, dispatch},
    listener::is_variable,
    place::Place,
    variables::{ALL, Listed, ServerVariables, is_listed, is_of_traces, is_optional},
};
use crate::{
    client::Trust,
    error::{Error, Result},
    forward::{claims, via::Via},
    framing::{HeadLimits, Leniency},
    handler::Dispatch,
    metrics::{Foreign, Measured, MetricsOptions},
    observe::{outputs, traces::Tracer},
    time::FOREVER,
    tls::{Termination, Tls, Watching},
};

/// What a connection of HTTP/2 may have sent on all of its streams before somebody reads it.
const WINDOW: u32 = 4 * 1024 * 1024;

/// The least that a window may have, which is also what it has before it is told more (RFC 9113, 6.9.2).
#[cfg(feature = "http2")]
const LEAST_WINDOW: u32 = 65_535;

/// The largest window that there is (RFC 9113, 6.9.1).
#[cfg(feature = "http2")]
const MOST_WINDOW: u32 = (1 << 31) - 1;

type ShutdownFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves a gateway: on worker threads of its own with [`run`](Self::run), or on the caller's runtime with
/// [`serve`](Self::serve).
///
/// ```no_run
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # async fn doc(gateway: prox::Gateway) -> prox::Result {
/// use prox::Server;
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// Server::new(gateway)
///     .listener(listener)
///     .shutdown(async { tokio::time::sleep(std::time::Duration::from_secs(60)).await })
///     .serve()
///     .await
/// # }
/// ```
#[must_use = "a server does nothing until it is run or served"]
pub struct Server<G> {
    gateway: Result<G>,
    address: Option<SocketAddr>,
    unix: Option<PathBuf>,
    workers: Option<usize>,
    listeners: Vec<Listener>,
    shutdown: Option<ShutdownFuture>,
    tls: Option<Tls>,
    edge: Edge,
    ending: Ending,
    admin: Option<Admin>,
    metrics: Option<MetricsOptions>,
    traces: traces::Said,
    handover: Option<handover::Handover>,
    variables: ServerVariables,
    options: Options,
}

/// The limits of client connections.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) header_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) shutdown_delay: Duration,
    /// How long idle connections wait for their next request in a drain.
    pub(crate) drain_idle: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) max_header_size: usize,
    pub(crate) max_headers: usize,
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "only HTTP/2 has streams")
    )]
    pub(crate) max_streams: u32,
    pub(crate) tls_handshake_timeout: Duration,
    /// Nothing until the server starts.
    pub(crate) tls: Option<Arc<Termination>>,
    /// The name of the listener that these are for, if it has one.
    pub(crate) listener: Option<Arc<str>>,
    pub(crate) half_close: bool,
    pub(crate) unix_mode: u32,
    pub(crate) trusted: Option<Trust>,
    pub(crate) proxy_protocol: Option<Trust>,
    pub(crate) via: Option<Via>,
    /// The claims that any client may make.
    pub(crate) passing: Option<Arc<[HeaderName]>>,
    pub(crate) connections: Connections,
    pub(crate) max_connections: Option<usize>,
    /// Metrics of the user's own, which the gateway shows as long as the server is there.
    pub(crate) foreign: Vec<Arc<Foreign>>,
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "only HTTP/2 has windows")
    )]
    pub(crate) window: u32,
    /// Decides about the traces of requests, if there are any.
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// Whether a client counts as one over TLS that speaks in clear text, in a test.
    #[cfg(feature = "testing")]
    pub(crate) pretends_tls: bool,
}

impl Options {
    /// Bounds the connections, and has the gateway show what is counted of the server.
    fn count_in(&self, gateway: &impl Dispatch) {
        self.connections.bound(self.max_connections);
        gateway.attach(&self.connections.measured());
        for foreign in &self.foreign {
            gateway.attach_foreign(foreign);
        }
    }

    /// How large the head of a request may be.
    fn heads(&self) -> HeadLimits {
        HeadLimits {
            fields: self.max_headers,
            bytes: self.max_header_size,
            lenient: Leniency::default(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            shutdown_delay: Duration::ZERO,
            drain_idle: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            max_header_size: 64 * 1024,
            max_headers: 100,
            max_streams: 100,
            tls_handshake_timeout: Duration::from_secs(10),
            tls: None,
            listener: None,
            half_close: false,
            unix_mode: place::MODE,
            trusted: None,
            proxy_protocol: None,
            via: None,
            passing: None,
            connections: Connections::default(),
            max_connections: None,
            foreign: Vec::new(),
            window: WINDOW,
            tracer: None,
            #[cfg(feature = "testing")]
            pretends_tls: false,
        }
    }
}

impl<G: Dispatch> Server<G> {
    pub(crate) fn of(gateway: Result<G>, variables: ServerVariables) -> Self {
        Self {
            gateway,
            address: None,
            unix: None,
            workers: None,
            listeners: Vec::new(),
            shutdown: None,
            tls: None,
            edge: Edge::default(),
            ending: Ending::default(),
            admin: None,
            metrics: None,
            traces: traces::Said::default(),
            handover: None,
            variables,
            options: Options::default(),
        }
    }

    /// Listens on this address instead of the one that `HOST` and `PORT` name. There is one; a later call replaces it. For several
    /// there is [`listener`](Self::listener).
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Listens on a Unix socket at this path: instead of `HOST` and `PORT`, or beside an [`address`](Self::address) or a
    /// [`listener`](Self::listener).
    ///
    /// The file is made when the server starts, and removed when it stops accepting. One that a dead process has left behind is
    /// replaced; one on which somebody listens is an error. `HOST=unix:/run/prox.sock` says the same from outside.
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix = Some(path.into());
        self
    }

    /// Sets who may connect to the Unix socket, as `chmod` has it; `0o660` by default, the owner and the group.
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.options.unix_mode = mode;
        self
    }

    /// Sets the number of worker threads for [`run`](Self::run), at least one; without this call it is the variable `WORKERS`, or one a
    /// core. A limit of the cgroup on CPU time counts.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count.max(1));
        self
    }

    /// Listens here as well: on a [`Listener`] with a name and options of its own, or on a socket that is bound already.
    ///
    /// Each call adds one. A server with listeners listens on these, on its [`address`](Self::address) and its
    /// [`unix`](Self::unix) socket if it has them, and nowhere else: `HOST` and `PORT` are for a listener that does not say where.
    ///
    /// Everything that comes in clear text is sent to `https` by the same process so:
    ///
    /// ```no_run
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # #[cfg(feature = "tls")]
    /// # fn doc(gateway: prox::Gateway) -> prox::Result {
    /// use prox::{Listener, Server, Tls};
    ///
    /// // In the gateway: on "http" { "/" => redirect(308, "https://{host}{path}{query}") }
    /// Server::new(gateway)
    ///     .listener(Listener::new("http").bind(":80"))
    ///     .listener(Listener::new("https").bind(":443").tls(Tls::pem("cert.pem", "key.pem")))
    ///     .run()
    /// # }
    /// ```
    pub fn listener(mut self, listener: impl Into<Listener>) -> Self {
        self.listeners.push(listener.into());
        self
    }

    /// Listens for operators here: [`Admin`], or a place such as `"127.0.0.1:9901"` or `"unix:/run/admin.sock"`.
    ///
    /// It answers `/healthz`, `/readyz` and `/metrics` to all that reach it, and to the inside the routes, the endpoints and why the
    /// gateway is not ready. It has a thread of its own, listens before the server does, and ends after the drain. Without this call
    /// the variable `ADMIN` says where; without that, there is none. The guide
    /// [`admin`](https://docs.rs/prox/latest/prox/docs/admin/) has it all.
    ///
    /// ```no_run
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: prox::Gateway) -> prox::Result {
    /// prox::Server::new(gateway).admin("127.0.0.1:9901").run()
    /// # }
    /// ```
    pub fn admin(mut self, admin: impl Into<Admin>) -> Self {
        self.admin = Some(admin.into());
        self
    }

    /// Sets how the gateway counts: the buckets of its histograms, and their labels. See [`MetricsOptions`].
    ///
    /// The gateway counts, and shows what it has counted, without this call.
    pub fn metrics(mut self, options: MetricsOptions) -> Self {
        self.metrics = Some(options);
        self
    }

    /// Adds metrics of your own to those of the gateway: `write` appends text in Prometheus' format or in `OpenMetrics`, as most
    /// libraries for metrics make it. Each call adds one.
    ///
    /// It is called for each scrape, on the thread that answers it, and must not wait. A family is left out if a metric of its name
    /// is there already, if it does not parse, or if its samples have times of their own. An event of the target `prox` tells that
    /// once. Both formats of the exposition have it.
    ///
    /// ```no_run
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: prox::Gateway) -> prox::Result {
    /// use std::{
    ///     fmt::Write,
    ///     sync::atomic::{AtomicU64, Ordering::Relaxed},
    /// };
    ///
    /// static ORDERS: AtomicU64 = AtomicU64::new(0);
    ///
    /// prox::Server::new(gateway)
    ///     .metrics_from(|out: &mut String| {
    ///         let orders = ORDERS.load(Relaxed);
    ///         let _ = writeln!(out, "# TYPE shop_orders_total counter\nshop_orders_total {orders}");
    ///     })
    ///     .run()
    /// # }
    /// ```
    pub fn metrics_from(mut self, write: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        self.options.foreign.push(Arc::new(Foreign::new(write)));
        self
    }

    /// Says what the spans of requests have beyond the conventions, and how many there may be. It changes nothing while traces are off.
    ///
    /// They are on when `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, or with a
    /// [`tracer_provider`](Self::tracer_provider), and `OTEL_SDK_DISABLED` is not `true`. The guide
    /// [`tracing`](https://docs.rs/prox/latest/prox/docs/tracing/) has all variables.
    #[cfg(feature = "otel")]
    pub fn traces(mut self, options: crate::otel::TraceOptions) -> Self {
        self.traces.options = options;
        self
    }

    /// Gives the spans of requests to this provider, instead of the collector that the variables name.
    ///
    /// Its processors and exporters get them, with its resource, on a thread beside the workers. `OTEL_TRACES_SAMPLER` and the limit of
    /// [`TraceOptions`](crate::TraceOptions::limit) decide first which requests are recorded; the sampler of the provider can only leave
    /// spans out after that, when the upstream was told already that there is a trace. The server has the provider export what it has
    /// when it ends, but does not shut it down.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: prox::Gateway, exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static) {
    /// use prox::{Server, opentelemetry_sdk::trace::SdkTracerProvider};
    ///
    /// let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    /// let server = Server::new(gateway).tracer_provider(provider);
    /// # }
    /// ```
    #[cfg(feature = "otel")]
    pub fn tracer_provider(
        mut self,
        provider: opentelemetry_sdk::trace::SdkTracerProvider,
    ) -> Self {
        self.traces.provider = Some(provider);
        self
    }

    /// Takes the sockets of a running process at its start, and gives them to the next process: a [`Handover`], or the path of its
    /// socket, such as `"/run/shop.sock"`. Without this call it is the variable `HANDOVER`; without that, there is no hand-over.
    ///
    /// A new process of the same user connects to the path, and takes the listening sockets once its gateway is made. It accepts when
    /// the gateway is ready, and the old process drains. No request fails. If there is no process, the new one binds its addresses as
    /// ever. Linux only. The guide [`handover`](https://docs.rs/prox/latest/prox/docs/handover/) has the steps.
    ///
    /// ```no_run
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: prox::Gateway) -> prox::Result {
    /// prox::Server::new(gateway).handover("/run/shop.sock").run()
    /// # }
    /// ```
    #[cfg(feature = "handover")]
    pub fn handover(mut self, handover: impl Into<Handover>) -> Self {
        self.handover = Some(handover.into());
        self
    }

    /// Ends the server when `shutdown` is done, instead of on SIGTERM or Ctrl-C.
    pub fn shutdown(mut self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Some(Box::pin(shutdown));
        self
    }

    /// Bounds the time from the first byte of a request's head to its last; 10 s by default, then `408`.
    pub fn header_timeout(mut self, limit: Duration) -> Self {
        self.options.header_timeout = limit.min(FOREVER);
        self
    }

    /// Closes a client's connection that was idle between requests for so long; 60 s by default.
    pub fn keep_alive(mut self, limit: Duration) -> Self {
        self.options.keep_alive = limit.min(FOREVER);
        self
    }

    /// Bounds each wait for a client in mid-message, while it sends a body or takes a response; 60 s by default.
    ///
    /// Every byte that moves starts it anew.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.idle_timeout = limit.min(FOREVER);
        self
    }

    /// Serves on for so long when it is to end, before the drain begins; without this call it is the variable `SHUTDOWN_DELAY`, or
    /// 0 s.
    ///
    /// From the signal, or the [`shutdown`](Self::shutdown) future, on the gateway is [not ready](crate::Gateway::is_ready), but
    /// connections are still accepted and requests answered as before. It is for load balancers that learn from the
    /// [readiness](crate::readiness()), or from whoever ends the process, that they should send nobody here any more, and need a
    /// while for it: the time between their checks, or some seconds in Kubernetes. A second signal ends the wait, unless there is
    /// a shutdown future and [`serve`](Self::serve) leaves the signals to its caller. The
    /// [`drain_timeout`](Self::drain_timeout) begins after it.
    pub fn shutdown_delay(mut self, delay: Duration) -> Self {
        self.ending.delay = Some(delay);
        self
    }

    /// Lets idle connections wait for their next request for so long when the drain begins; without this call it is the variable
    /// `DRAIN_IDLE`, or 5 s. At SIGINT, which a person sends who waits, it is 500 ms at most.
    ///
    /// A client that keeps a connection alive may be sending its next request when it is closed, and cannot know whether the request
    /// was heard. So an idle connection is closed late: a request that comes in this time is answered, with `Connection: close`.
    /// The connections that are still idle then are closed one by one within a second, at the latest at half of the
    /// [`drain_timeout`](Self::drain_timeout). Behind a load balancer that keeps its connections for 60 s, 60 s lose no request; give
    /// the `drain_timeout` more than twice of it. Connections of HTTP/2 do not wait: `GOAWAY` tells their clients.
    pub fn drain_idle(mut self, limit: Duration) -> Self {
        self.ending.idle = Some(limit);
        self
    }

    /// Bounds the drain: after so long, what is still under way is cut off; without this call it is the variable `DRAIN_TIMEOUT`, or
    /// 10 s.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.ending.timeout = Some(limit);
        self
    }

    /// Bounds the head of a request, in bytes; 64 KiB by default (and at least 8 KiB), then `431`.
    ///
    /// They are counted as HTTP/1.1 writes them, also over HTTP/2. Cookies that a client of HTTP/2 sends one by one are joined
    /// first. An event of the target `prox` tells once for each connection which limit a request was over.
    /// [`ClusterBuilder::max_response_header_size`](crate::ClusterBuilder::max_response_header_size) is for responses.
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.options.max_header_size = bytes.max(8 * 1024);
        self
    }

    /// Bounds the number of header fields of a request; 100 by default, then `431`.
    ///
    /// Each line is a field, `Host` (or `:authority`) among them; else as [`max_header_size`](Self::max_header_size).
    pub fn max_headers(mut self, count: usize) -> Self {
        self.options.max_headers = count;
        self
    }

    /// Bounds the requests that are under way on one HTTP/2 connection at a time; 100 by default.
    #[cfg(feature = "http2")]
    pub fn max_concurrent_streams(mut self, count: u32) -> Self {
        self.options.max_streams = count.max(1);
        self
    }

    /// Bounds what a client may have sent on all streams of one HTTP/2 connection before the gateway takes it; 4 MiB by default,
    /// and from 65 535 bytes to 2 GiB - 1.
    ///
    /// One stream may have 128 KiB of it. Requests whose upstreams read nothing keep their share until they end: with the
    /// default 32 of them, 128 KiB each, leave no room for the bodies of other requests on the same connection. The limit of
    /// an upload that stands still is [`ClusterBuilder::idle_timeout`](crate::ClusterBuilder::idle_timeout).
    ///
    /// A client that sends many small pieces is limited by their number too, as long as nobody reads them: with the default
    /// to about 10 000 pieces of 50 bytes. A connection with more of them is closed with `ENHANCE_YOUR_CALM`.
    #[cfg(feature = "http2")]
    pub fn connection_window(mut self, bytes: u32) -> Self {
        self.options.window = bytes.clamp(LEAST_WINDOW, MOST_WINDOW);
        self
    }

    /// Bounds the connections of clients that are open at a time, on all workers together. By default it is half of the
    /// descriptors that the process may have open (`ulimit -n`), less 32; there is no limit where the system does not say
    /// in `/proc/self/limits` how many that are.
    ///
    /// At the limit no further connection is served until another one has ended. One for each worker is accepted and waits; the
    /// others wait in the queue of the kernel. Meanwhile connections without a request under way are closed, those first that
    /// have been idle for longest, up to 320 a second. It is an event of `tracing` with the target `prox`, `clients have to wait for a connection`, once in
    /// 10 s, and [`Connections::waited`] counts it.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.options.max_connections = Some(count.max(1));
        self
    }

    /// What is known of the connections of its clients, also while it runs.
    pub fn connections(&self) -> Connections {
        self.options.connections.clone()
    }

    /// Starts a new process of this program, which reads these files of variables, and takes over from the running one; what is said of
    /// it.
    ///
    /// # Errors
    ///
    /// When there is no hand-over, or it fails. The running process serves on then.
    pub(crate) fn reload(self, files: &[&str]) -> Result<String> {
        match handover::settle(self.handover, &self.variables)? {
            Some(handover) => handover.reload(files),
            None => Err(Error::config(
                "HANDOVER is not set: set it to the path at which the running process hands over, such as /run/shop.sock",
            )),
        }
    }

    /// Whether it reads this variable of the environment.
    pub(crate) fn reads(&self, variable: &str) -> bool {
        match variable {
            "HOST" | "PORT" => {
                let elsewhere = self.address.is_some() || self.unix.is_some();
                let one = self.listeners.iter().any(|one| one.variable().is_some());
                one || (self.listeners.is_empty() && !elsewhere)
            }
            "TRUSTED_PROXIES" => self.edge.trusted.is_none(),
            "WORKERS" => self.workers.is_none(),
            "SHUTDOWN_DELAY" => self.ending.delay.is_none(),
            "DRAIN_IDLE" => self.ending.idle.is_none(),
            "DRAIN_TIMEOUT" => self.ending.timeout.is_none(),
            "HANDOVER" => cfg!(feature = "handover") && self.handover.is_none(),
            "ADMIN" => self.admin.is_none(),
            "ADMIN_TOKEN" => {
                let admin = self.admin.as_ref();
                admin.is_none_or(|admin| admin.is_on() && !admin.has_token())
            }
            "LOG" | "LOG_FORMAT" => true,
            #[cfg(feature = "lambda")]
            "LAMBDA_STREAMING" => true,
            _ => is_of_traces(variable),
        }
    }

    /// Where a process that runs this server is asked how it is: at its admin listener, or else where clients connect.
    ///
    /// # Errors
    ///
    /// What is wrong with the place.
    pub(crate) fn reached(self) -> Result<Reached> {
        let place = |at| match at {
            Where::Place(place, _) => Ok(place),
            Where::Bound(socket) => socket
                .local_addr()
                .map(Place::Tcp)
                .map_err(|error| Error::io("cannot tell the address of the listener", error)),
        };
        if let Some(admin) = admin::settle(self.admin, &self.variables)? {
            return place(admin.at).map(Reached::Admin);
        }
        let has_listeners = !self.listeners.is_empty();
        let places = places(self.address, self.unix, has_listeners, &self.variables)?;
        let place = match (places.into_iter().next(), self.listeners.into_iter().next()) {
            (Some((place, _)), _) => Ok(place),
            (None, Some(listener)) => {
                let line = listener.line(&self.options, &self.variables, |_| Ok(None))?;
                place(line.at)
            }
            (None, None) => Err(Error::config("the server listens nowhere")),
        };
        place.map(Reached::Public)
    }

    /// The variables of its listeners, each with the name of the listener.
    pub(crate) fn of_listeners(&self) -> impl Iterator<Item = (String, &str)> {
        let listeners = self.listeners.iter();
        listeners.filter_map(|one| Some((one.variable()?, one.name()?)))
    }

    /// Speaks TLS with clients, and with them only: `https`. See [`Tls`] for certificates, names and reloading. A
    /// [`Listener`] can have its own, or speak [clear text](Listener::clear_text).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Bounds the TLS handshake of a client; 10 s by default, then the connection is closed.
    #[cfg(feature = "tls")]
    pub fn tls_handshake_timeout(mut self, limit: Duration) -> Self {
        self.options.tls_handshake_timeout = limit.min(FOREVER);
        self
    }

    /// Goes on answering a client that has shut its sending side down, as `nc` and some health checkers do.
    ///
    /// By default such a client counts as gone, and its request is cancelled at once: the end of its stream is all that is ever
    /// seen of a client that really leaves, until the answer is written. With this option such a request runs to its end.
    /// Only for HTTP/1.1.
    pub fn half_close(mut self) -> Self {
        self.options.half_close = true;
        self
    }

    /// Believes what these proxies say of the client: addresses, networks, `private` for all that the internet does not
    /// route, and `unix:` for whoever comes through a [Unix socket](Self::unix).
    ///
    /// For a request that comes from one of them, `X-Forwarded-For` is walked from the right, and the first address that is not
    /// trusted is the [client](crate::Client::ip), for guards, limits and logs; `X-Forwarded-Proto` and `X-Forwarded-Host` are
    /// kept. `Forwarded` (RFC 7239) is read instead where no `X-Forwarded-` field is. What stands left of the client is not
    /// believed, and dropped; what is no address ends the walk, and so does the 32nd entry. Routes are matched by `Host` all the
    /// same.
    ///
    /// Without this call it is the variable `TRUSTED_PROXIES`, a list with commas; without that, nobody is trusted, and all these
    /// fields are replaced.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: prox::Gateway) {
    /// # use prox::Server;
    /// let server = Server::new(gateway).trusted_proxies(["10.0.0.0/8", "2001:db8::/32"]);
    /// # }
    /// ```
    pub fn trusted_proxies<E: AsRef<str>>(mut self, from: impl IntoIterator<Item = E>) -> Self {
        self.edge.trusted = Some(Trust::read(from));
        self
    }

    /// Passes these claims on whoever makes them, such as `["x-real-ip"]`; none by default.
    ///
    /// A field that says who the client is, how it came here, or what it asked for at first is removed from the request of
    /// a client that is not a [trusted proxy](Self::trusted_proxies), in every spelling. The guide to
    /// [clients](https://docs.rs/prox/latest/prox/docs/clients/) lists them all. A name is written with hyphens, and only that
    /// spelling passes. `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` are written by the gateway, and cannot be among the
    /// names. The server does not start with a name that is not a claim.
    ///
    /// An upstream must not believe what passes so.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(gateway: prox::Gateway) {
    /// # use prox::Server;
    /// let server = Server::new(gateway).pass_claims(["x-real-ip", "x-forwarded-prefix"]);
    /// # }
    /// ```
    pub fn pass_claims<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.edge.passing = Some(claims::read(names));
        self
    }

    /// Expects a PROXY protocol header (version 1 or 2) at the begin of each connection from these addresses, before TLS.
    ///
    /// The entries are those of [`trusted_proxies`](Self::trusted_proxies). The address in the header is that of the
    /// [peer](crate::Client::peer) then. A connection from one of them without a header is closed; one from elsewhere is taken
    /// as it is, so that nobody else can choose an address.
    pub fn proxy_protocol<E: AsRef<str>>(mut self, from: impl IntoIterator<Item = E>) -> Self {
        self.edge.proxy_protocol = Some(Trust::read(from));
        self
    }

    /// Adds `Via` with this name to requests and responses, and refuses a request that has come through here before: `508`.
    ///
    /// Off by default. Gateways before one another need names that differ; replicas of one gateway share theirs.
    pub fn via(mut self, name: impl AsRef<str>) -> Self {
        self.edge.via = Some(Via::new(name.as_ref()));
        self
    }

    /// Serves on threads of its own, one single-threaded runtime each, until SIGTERM or Ctrl-C, and drains.
    ///
    /// It listens on `HOST` and `PORT` from the environment, by default `0.0.0.0:8080` (or `HOST=unix:/run/prox.sock`). Events of
    /// `tracing` are written to stderr as the variables `LOG` and `LOG_FORMAT` say, unless the program has installed a subscriber:
    /// see the guide to [logs](https://docs.rs/prox/latest/prox/docs/logging/). A signal during the drain ends it at once, with exit code 130.
    ///
    /// # Errors
    ///
    /// When the gateway cannot start as it is configured, the address cannot be listened on, or it is called in an async function:
    /// await [`serve`](Self::serve) there. Nothing is served then.
    pub fn run(self) -> Result
    where
        G: Serve,
    {
        G::run(self)
    }

    /// What [`run`](Self::run) does, compiled where it is called from.
    pub(crate) fn run_here(self) -> Result {
        if is_in_a_task() {
            return Err(Error::config(
                "`run` blocks its thread, and was called in an async function\n  \
                 help: await `prox::Server::new(gateway).serve()` there, or call `run` in a `fn main()` that is not async",
            ));
        }
        let workers = match self.workers {
            Some(count) => Ok(Some(count)),
            None => self.variables.count("WORKERS").map_err(Error::config),
        };
        let logs = logs::begin(&self.variables);
        let done = both(self.prepare(start, logs), workers)
            .and_then(|(prepared, workers)| workers::run(prepared, workers));
        if done.is_err() {
            // What was told before goes out before the program ends.
            outputs::flush_now();
        }
        done
    }

    /// The gateway, what holds for its requests, and whether responses are streamed, for AWS Lambda: nothing is listened on.
    ///
    /// # Errors
    ///
    /// All that is wrong, in one error.
    #[cfg(feature = "lambda")]
    pub(crate) fn without_sockets(self) -> Result<(G, Options, bool)> {
        let logs = logs::begin(&self.variables);
        let streams = match self.variables.text("LAMBDA_STREAMING") {
            Ok(Some(text)) if text == "on" => Ok(true),
            Ok(None) => Ok(false),
            Ok(Some(text)) if text == "off" => Ok(false),
            Ok(Some(text)) => Err(Error::config(format!(
                "LAMBDA_STREAMING is {text:?}: expected `on` or `off`"
            ))),
            Err(problem) => Err(Error::config(problem)),
        };
        let options = self.edge.settle(self.options, &self.variables);
        let rest = both(options, both(streams, logs));
        let (gateway, (options, (streams, ()))) = both(self.gateway, rest)?;
        Ok((gateway, options, streams))
    }

    /// Reads all that it is made of; `start` reads certificates, and `logs` is what became of the logs.
    ///
    /// # Errors
    ///
    /// All that is wrong, in one error.
    fn prepare(
        self,
        start: fn(&Tls) -> Result<Option<Arc<Termination>>>,
        logs: Result,
    ) -> Result<Prepared<G>> {
        let reads = ALL
            .iter()
            .map(|one| one.name)
            .filter(|name| self.reads(name));
        let reads: Vec<&str> = reads.collect();
        let mut options = self.options;
        let ending = self.ending.settle(&mut options, &self.variables);
        let options = self.edge.settle(options, &self.variables);
        let options = both(options, ending).map(|(options, ())| options);
        let tls = self.tls.as_ref().map_or(Ok(None), start);
        let named = self.gateway.as_ref().map(Named::of).unwrap_or_default();
        let traces = traces::settle(self.traces, &self.variables, &named);
        // What is wrong with the listeners does not depend on what is wrong with the server.
        let mut own = options.as_ref().ok().cloned().unwrap_or_default();
        own.tls = tls.as_ref().ok().cloned().flatten();
        let decides = traces.as_ref().ok().and_then(Option::as_ref);
        own.tracer = decides.map(traces::Settled::tracer);
        let own = Arc::new(own);
        let has_listeners = !self.listeners.is_empty();
        let mut lines = places(self.address, self.unix, has_listeners, &self.variables)
            .map(|places| unnamed(places, &own));
        for listener in self.listeners {
            let line = listener.line(&own, &self.variables, start);
            lines = both(lines, line).map(|(mut lines, line)| {
                lines.push(line);
                lines
            });
        }
        let wanted = self.gateway.as_ref();
        let wanted = wanted.map_or(Vec::new(), Dispatch::listeners);
        let lines = lines.and_then(|lines| listener::together(&lines, &wanted).map(|()| lines));
        let admin = admin::settle(self.admin, &self.variables);
        let metrics = self
            .metrics
            .as_ref()
            .map(MetricsOptions::settle)
            .transpose();
        let handover = handover::settle(self.handover, &self.variables);
        let options = both(both(options, tls), both(logs, both(metrics, handover)));
        let beside = both(admin, traces);
        let ((gateway, lines), ((_, ((), (metrics, handover))), (admin, traces))) =
            both(both(self.gateway, lines), both(options, beside))?;
        if let Some(settings) = metrics {
            gateway.count_as(&settings)?;
        }
        if let Some(admin) = &admin {
            admin.check_apart(&lines)?;
        }
        own.count_in(&gateway);
        if let Some(traces) = &traces {
            gateway.attach(&traces.measured());
        }
        let admin = admin.map(|admin| {
            let config =
                admin::Config::new(&lines, &own, &self.variables, &reads, admin.has_token());
            (admin, config)
        });
        Ok(Prepared {
            gateway,
            lines,
            options: own,
            admin,
            traces,
            handover,
            shutdown: self.shutdown,
        })
    }

    /// Says what [`run`](Self::run) would refuse, but does not listen. It also refuses a TLS certificate that is out of date,
    /// of which `run` only tells.
    ///
    /// # Errors
    ///
    /// When the gateway cannot start as it is configured, or `HOST` and `PORT` name no address.
    pub fn check(self) -> Result {
        self.checked().map(|_| ())
    }

    /// The same, with what would have been served.
    pub(crate) fn checked(self) -> Result<G> {
        let check = |tls: &Tls| tls.check().map(|()| None);
        let logs = logs::check(&self.variables);
        self.prepare(check, logs).map(|prepared| prepared.gateway)
    }

    /// Serves on the caller's tokio runtime until the [`shutdown`](Self::shutdown) future is done, and drains.
    ///
    /// Without a shutdown future it is SIGTERM and Ctrl-C that end it. It listens where [`run`](Self::run) does.
    ///
    /// # Errors
    ///
    /// When the gateway cannot start as it is configured, or the address cannot be listened on.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, it stops accepting; connections that are open go on until they end by themselves.
    pub async fn serve(self) -> Result
    where
        G: Serve,
    {
        G::serve(self).await
    }

    /// What [`serve`](Self::serve) does, compiled where it is called from.
    pub(crate) async fn serve_here(self) -> Result {
        // The runtime, and with it what becomes of events, is the caller's.
        let logs = logs::check(&self.variables);
        let Prepared {
            gateway,
            mut lines,
            options,
            admin,
            traces,
            handover,
            shutdown,
        } = self.prepare(start, logs)?;
        let mut start = started(handover, takes_systemds(&lines)).await?;
        let begin = start.begin();
        let ops = Ops::start(admin, traces, &gateway, 1, &mut start.sockets, &begin)?;
        let _watching = watch(&lines);
        let common = acceptors::common(&lines, &mut start.sockets, false)?;
        let worker = Worker {
            number: 0,
            count: 1,
            shares: false,
        };
        let open = acceptors::of_worker(&mut lines, &common, worker, &mut start.sockets)?;
        drop(common);
        start.sockets.check_activated()?;
        logs::tell_start(&lines, &gateway, ops.admin());
        let crew = Arc::<Crew>::default();
        gateway.attach(&(Arc::clone(&crew) as Arc<dyn Measured>));
        gateway.attach(&Certificates::of(&lines));
        let _member = crew.join(0);
        // A socket that was bound before is closed with the last handle on it.
        drop(lines);
        let signals = shutdown.is_none();
        let shutdown = Shutdown::new(shutdown)?;
        let stops = start.stops(shutdown.clone());
        let due = drain::due(gateway.clone(), stops, &options, signals);
        let beats = start.workers(ops.admin(), 1);
        let beating = beats.as_ref().map(|workers| workers.join(0));
        let due = start.serves(&gateway, due, ops.admin(), beats);
        // What goes on in the drain, and ends with it.
        let mut beside = JoinSet::new();
        let mut watchdog = None;
        let due = async {
            let due = due.await;
            watchdog = due.watchdog;
            if let Some(hurry) = due.hurry {
                beside.spawn(hurry.at(shutdown));
            }
            due.drain
        };
        // Its logs are there until they are written.
        let _kept = gateway.clone();
        let cut = accept::serve(gateway, open, options, begin, due, beating).await;
        drain::tell_cut(cut);
        ops.end().await;
        drop((watchdog, beside));
        logs::end().await;
        Ok(())
    }
}

/// All that a server is made of, read and found good.
struct Prepared<G> {
    gateway: G,
    lines: Vec<Line>,
    /// Of the server, and of listeners that say nothing else.
    options: Arc<Options>,
    admin: Option<(admin::Settled, admin::Config)>,
    traces: Option<traces::Settled>,
    handover: Option<handover::Settled>,
    shutdown: Option<ShutdownFuture>,
}

/// Begins a server on the runtime of its caller.
async fn started(handover: Option<handover::Settled>, takes_systemds: bool) -> Result<Start> {
    if handover.is_none() {
        return Start::new(None, takes_systemds);
    }
    // To ask another process for its sockets may block.
    let taking = tokio::task::spawn_blocking(move || Start::new(handover, takes_systemds));
    taking
        .await
        .unwrap_or_else(|_| Err(Error::config("the runtime ended before the server began")))
}

/// Where a process is asked how it is.
#[derive(Debug)]
pub(crate) enum Reached {
    /// At its admin listener.
    Admin(Place),
    /// Where clients connect.
    Public(Place),
}

/// Looks after the certificates of all listeners, those that several share once. The runtime must be entered.
fn watch(lines: &[Line]) -> Vec<Watching> {
    let mut seen: Vec<&Arc<Termination>> = Vec::new();
    for tls in lines.iter().filter_map(|line| line.options.tls.as_ref()) {
        if !seen.iter().any(|seen| Arc::ptr_eq(seen, tls)) {
            seen.push(tls);
        }
    }
    seen.into_iter().filter_map(Termination::watch).collect()
}

/// Compiles the server once, in the crate of the gateway's type.
///
/// The compiler makes the code of a generic function, and of every future below it, in the crate that calls it. So a `run` of a
/// user's program would compile the whole server, the proxy and hyper anew at each release build. A method of an implementation for
/// one type is compiled in the crate of the implementation.
#[doc(hidden)]
pub trait Serve: Dispatch {
    /// Runs the server on threads of its own.
    fn run(server: Server<Self>) -> Result;

    /// Runs the server on the runtime of the caller.
    fn serve(server: Server<Self>) -> Pin<Box<dyn Future<Output = Result> + Send>>;
}

impl<G> fmt::Debug for Server<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("unix", &self.unix)
            .field("workers", &self.workers)
            .field("listeners", &self.listeners)
            .field("tls", &self.tls)
            .field("edge", &self.edge)
            .field("admin", &self.admin)
            .field("traces", &self.traces)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Whether a task of tokio calls this. A runtime cannot block in one, but can on the threads of `spawn_blocking`.
///
/// Only within a task does tokio count what is done before it yields, so only there does the budget end.
fn is_in_a_task() -> bool {
    /// More than any budget of tokio, which is 128.
    const ENOUGH: usize = 1024;
    let mut cx = Context::from_waker(Waker::noop());
    (0..ENOUGH).any(|_| {
        let spent = pin!(tokio::task::coop::consume_budget());
        spent.poll(&mut cx).is_pending()
    })
}

/// Where to listen, besides the listeners that were given: what was said, or else what the environment says.
fn places(
    address: Option<SocketAddr>,
    unix: Option<PathBuf>,
    has_listeners: bool,
    variables: &ServerVariables,
) -> Result<Vec<(Place, Source)>> {
    let said = address
        .map(Place::Tcp)
        .into_iter()
        .chain(unix.map(Place::Unix));
    let said: Vec<_> = said.map(|place| (place, Source::Code)).collect();
    if said.is_empty() && !has_listeners {
        place::from_env(variables).map(|place| vec![(place, Source::HostAndPort)])
    } else {
        Ok(said)
    }
}

/// The places that have the options of the server, and no name.
fn unnamed(places: Vec<(Place, Source)>, options: &Arc<Options>) -> Vec<Line> {
    let lines = places.into_iter().map(|(place, by)| Line {
        at: Where::Place(place, by),
        options: Arc::clone(options),
    });
    lines.collect()
}

/// Two parts of a server. What is wrong with both of them is one error.
pub(crate) fn both<A, B>(one: Result<A>, other: Result<B>) -> Result<(A, B)> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(only), Ok(_)) | (Ok(_), Err(only)) => Err(only),
        (Err(one), Err(other)) => Err(Error::config(format!("{one:?}\n{other:?}"))),
    }
}

/// All problems as one error, if there are any.
fn good(problems: &[String]) -> Result {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::config(problems.join("\n")))
    }
}

/// Reads the certificates.
fn start(tls: &Tls) -> Result<Option<Arc<Termination>>> {
    tls.start(cfg!(feature = "http2")).map(Some)
}
