//! A gateway under test: how it is made, and what can be done with it.

use std::{
    fmt,
    future::Future,
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Method;

use super::{
    call::{self, Call},
    fake::{Fake, Net},
    metric,
    switch::Bytestream,
};
use crate::{
    client::Client,
    cluster::{Rng, pretend},
    error::{Error, Failure},
    gateway::{Gateway, Handles},
    handler::{Dispatch, Request, Response},
    observe::Refused,
    server::{
        Server,
        pretend::{Arrival, Front},
    },
    sync::lock,
    vars::Env,
    watch::Tally,
};

/// A gateway that can be tested: `Shop::test()` for one with a name, and `prox::Gateway::test()` for one without.
pub trait Testable: Handles {
    /// A test of this gateway: say what is special about it, then [start](Setup::start) it.
    fn test() -> Setup<Self> {
        Setup {
            env: Env::empty(),
            seed: 0,
            lenient: false,
            server: None,
            gateway: std::marker::PhantomData,
        }
    }
}

impl<G: Handles> Testable for G {}

/// Sets options of the server.
type ServerOptions = dyn FnOnce(Server<Gateway>) -> Server<Gateway>;

/// A gateway that is about to be tested; made by [`Testable::test`].
#[must_use = "nothing is tested until it is started"]
pub struct Setup<G> {
    env: Env,
    seed: u64,
    lenient: bool,
    server: Option<Box<ServerOptions>>,
    gateway: std::marker::PhantomData<fn() -> G>,
}

impl<G> fmt::Debug for Setup<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("env", &self.env)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl<G: Handles> Setup<G> {
    /// Sets a variable. The gateway and its server read these, and none of the process.
    pub fn env(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.env = self.env.set(name, value);
        self
    }

    /// Has all chance follow from this number: the choice of endpoints, the shares of a split, the length of pauses. 0 by default, so that
    /// a test gives the same result each time.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Takes requests that no rule of a fake takes for no failure of the test. They are answered with `501` all the same.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Sets options of the server: `.server(|server| server.trusted_proxies(["10.0.0.0/8"]))`. It listens on nothing.
    pub fn server(
        mut self,
        options: impl FnOnce(Server<Gateway>) -> Server<Gateway> + 'static,
    ) -> Self {
        self.server = Some(Box::new(options));
        self
    }

    /// Makes the gateway, and starts it. Backends that are built by `make` have fakes behind them, and no network.
    ///
    /// # Panics
    ///
    /// When the gateway or its server cannot start, with all that is wrong; and without a runtime of one thread around it:
    /// `#[tokio::test(start_paused = true)]`.
    #[track_caller]
    pub fn start(self, make: impl FnOnce() -> Result<G, Error>) -> Harness<G::Of<Fake>> {
        assert!(
            tokio::runtime::Handle::try_current().is_ok(),
            "a gateway is tested on a runtime: write `#[tokio::test(start_paused = true)]`"
        );
        Rng::seed_local(self.seed);
        let net = Arc::<Net>::default();
        let built = pretend::within(Arc::clone(&net) as Arc<dyn pretend::Network>, || {
            self.env.within_strictly(make)
        });
        let started = built.and_then(|gateway| {
            let backends = gateway.each(|cluster| {
                net.of(cluster)
                    .expect("a backend that is built with the gateway has a fake behind it")
            });
            let mut server = Server::new(gateway);
            if let Some(options) = self.server {
                server = options(server);
            }
            let (gateway, front) = server.pretended()?;
            Ok((backends, gateway, front))
        });
        let (backends, gateway, front) = match started {
            Ok(started) => started,
            Err(error) => panic!("the gateway cannot start: {error:?}"),
        };
        Harness {
            backends,
            ended: Ended(Arc::new(Core {
                gateway,
                front,
                net,
                lenient: self.lenient,
                port: AtomicU16::new(50_000),
            })),
        }
    }
}

/// Starts a gateway without a name, with fakes behind its backends: `harness(|| prox::gateway! { .. })`.
///
/// # Panics
///
/// As [`Setup::start`].
#[track_caller]
pub fn harness(make: impl FnOnce() -> Result<Gateway, Error>) -> Harness {
    Gateway::test().start(make)
}

/// A gateway under test. The fields are its backends, each of them a [`Fake`].
///
/// Clients have pipes in memory to it. The server, the routes, the layers, the pools, HTTP/1.1 and HTTP/2 are those that serve in
/// production; there are no sockets, no TLS, and no look-ups of names. With `start_paused = true`, time moves when all wait.
///
/// When it is dropped, the test fails if a fake was asked what [no rule](Fake::on) takes, or less often than a rule
/// [says](super::Rule::times).
pub struct Harness<B = ()> {
    backends: B,
    ended: Ended,
}

/// What all requests of a gateway under test share.
pub(super) struct Core {
    pub(super) gateway: Gateway,
    pub(super) front: Front,
    net: Arc<Net>,
    lenient: bool,
    port: AtomicU16,
}

impl Core {
    /// A port for one more connection of a client.
    pub(super) fn port(&self) -> u16 {
        self.port.fetch_add(1, Relaxed).max(1024)
    }
}

/// Looks at the end of a test whether it has gone as it should.
struct Ended(Arc<Core>);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let problems = self.0.net.problems(self.0.lenient);
        assert!(
            problems.is_empty(),
            "the upstreams were not asked as expected:\n  {}",
            problems.join("\n  ")
        );
    }
}

impl<B> fmt::Debug for Harness<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("gateway", &self.ended.0.gateway)
            .finish_non_exhaustive()
    }
}

impl<B> Deref for Harness<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.backends
    }
}

impl<B> Harness<B> {
    fn core(&self) -> &Arc<Core> {
        &self.ended.0
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.core().gateway
    }

    /// A `GET` of a URL; see [`request`](Self::request).
    #[track_caller]
    pub fn get(&self, url: &str) -> Call {
        self.request("GET", url)
    }

    /// A `POST` to a URL with this body; see [`request`](Self::request).
    #[track_caller]
    pub fn post(&self, url: &str, body: impl Into<bytes::Bytes>) -> Call {
        self.request("POST", url).body(body)
    }

    /// A request of a client: say what is special about it, then await it. Nothing is sent before.
    ///
    /// The URL is absolute, `https://api.example.com/v1`, or a path for the host `localhost`. With `https`, the client counts as one over
    /// TLS.
    ///
    /// # Panics
    ///
    /// When this is not a method, or not a URL.
    #[track_caller]
    pub fn request(&self, method: &str, url: &str) -> Call {
        let Ok(method) = Method::from_bytes(method.as_bytes()) else {
            panic!("{method:?} is not a method: expected one such as `GET`");
        };
        Call::new(Arc::clone(self.core()), method, url)
    }

    /// A connection of a client at `192.0.2.1`, on which nothing is spoken yet: for bytes that no client should send.
    pub fn connect(&self) -> Bytestream {
        call::connect(self.core())
    }

    /// The fake behind a backend, by its name, or by the URL of an endpoint of one that is written in a route.
    ///
    /// # Panics
    ///
    /// When there is no such backend, or there are several.
    #[track_caller]
    pub fn upstream(&self, name: &str) -> Fake {
        let all = self.core().net.fakes();
        let mut found: Vec<_> = all.iter().filter(|fake| fake.backend == name).collect();
        if found.is_empty() {
            found = all.iter().filter(|fake| fake.has(name)).collect();
        }
        let [only] = found[..] else {
            let names: Vec<&str> = all.iter().map(|fake| fake.backend.as_str()).collect();
            let count = if found.is_empty() {
                "no"
            } else {
                "more than one"
            };
            panic!(
                "there is {count} upstream {name:?} among: {}",
                names.join(", ")
            );
        };
        Fake {
            inner: Arc::clone(only),
            cluster: None,
        }
    }

    /// The sum of all samples of a metric that have these labels: `prox_backend_retried_total{backend="users"}`.
    ///
    /// # Panics
    ///
    /// When there is no such metric, or it has no such label.
    #[track_caller]
    pub fn metric(&self, wanted: &str) -> f64 {
        match metric::read(&self.gateway().metrics(), wanted) {
            Ok(value) => value,
            Err(problem) => panic!("{problem}"),
        }
    }

    /// Lets so much time pass, timer by timer. It waits that long where the clock of tokio is not paused.
    pub fn advance(&self, time: Duration) -> impl Future<Output = ()> + use<B> {
        tokio::time::sleep(time)
    }

    /// Ends the server as SIGTERM does, and waits until all connections have ended; says how many were cut off.
    ///
    /// The future borrows nothing, so that it can run beside requests.
    pub fn drain(&self) -> impl Future<Output = usize> + Send + use<B> {
        let core = Arc::clone(self.core());
        async move {
            Dispatch::drain(&core.gateway);
            tokio::time::sleep(core.front.shutdown_delay()).await;
            core.front.drain().await
        }
    }
}

/// The gateway for one connection: the tallies of its requests are kept.
#[derive(Clone)]
pub(super) struct Recorded {
    gateway: Gateway,
    tallies: Arc<Mutex<Vec<Tally>>>,
}

impl Recorded {
    pub(super) fn new(gateway: &Gateway) -> Self {
        Self {
            gateway: gateway.clone(),
            tallies: Arc::default(),
        }
    }

    /// What is known of the first request.
    pub(super) fn first(&self) -> Option<Tally> {
        lock(&self.tallies).first().cloned()
    }

    fn records(&self, tally: &Tally) {
        tally.detail();
        lock(&self.tallies).push(tally.clone());
    }
}

impl Dispatch for Recorded {
    async fn dispatch(&self, req: &mut Request, client: &Arc<Client>, tally: &Tally) -> Response {
        self.records(tally);
        self.gateway.dispatch(req, client, tally).await
    }

    async fn refuse(
        &self,
        req: Request,
        failure: Failure,
        client: &Arc<Client>,
        tally: &Tally,
    ) -> Response {
        self.records(tally);
        self.gateway.refuse(req, failure, client, tally).await
    }

    fn refused(&self, refused: &Refused) {
        Dispatch::refused(&self.gateway, refused);
    }

    fn summary(&self) -> String {
        self.gateway.summary()
    }
}

/// A client at this address.
pub(super) fn arrival(core: &Core, ip: std::net::IpAddr) -> Arrival {
    Arrival {
        peer: (ip, core.port()).into(),
        secure: false,
        listener: None,
    }
}
