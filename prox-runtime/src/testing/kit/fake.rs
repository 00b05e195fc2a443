//! The fakes that stand behind the backends of a gateway.

use std::{
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::watch;

use super::{
    fault::Fault,
    reply::{IntoReply, Reply},
    rule::Rule,
    seen::Seen,
    serve::{self, Connection},
};
use crate::{
    cluster::{
        Cluster, Endpoint,
        pretend::{Network, Opening, Peer},
    },
    connect::{Opened, Protocol},
    error::{Error, Failure},
    sync::lock,
};

/// All fakes of one gateway.
#[derive(Debug, Default)]
pub(super) struct Net {
    fakes: Mutex<Vec<Arc<Inner>>>,
    unexpected: Arc<Mutex<Vec<String>>>,
}

impl Net {
    pub(super) fn fakes(&self) -> Vec<Arc<Inner>> {
        lock(&self.fakes).clone()
    }

    /// The fake behind a cluster that was built within this network.
    pub(super) fn of(&self, cluster: &Cluster) -> Option<Fake> {
        let number = cluster.peer()?.number();
        let inner = Arc::clone(lock(&self.fakes).get(number)?);
        Some(Fake {
            inner,
            cluster: Some(cluster.clone()),
        })
    }

    /// What a test has to fail for: requests that nobody expected, unless it is `lenient`, and some that never came.
    pub(super) fn problems(&self, lenient: bool) -> Vec<String> {
        let mut problems = Vec::new();
        if !lenient {
            problems.append(&mut lock(&self.unexpected));
        }
        for fake in self.fakes() {
            let rules = lock(&fake.rules).clone();
            let missing = rules.iter().filter_map(Rule::missing);
            problems.extend(missing.map(|missing| format!("{}: {missing}", fake.backend)));
        }
        problems
    }
}

impl Network for Net {
    fn peer(
        &self,
        backend: &str,
        endpoints: &[Endpoint],
        name: Option<&Endpoint>,
    ) -> Arc<dyn Peer> {
        let mut fakes = lock(&self.fakes);
        let sets = name.map_or_else(Vec::new, |name| vec![name.clone()]);
        let fake = Arc::new(Inner {
            number: fakes.len(),
            backend: backend.to_owned(),
            fixed: endpoints.to_vec(),
            name: name.cloned(),
            sets: watch::Sender::new(sets),
            rules: Mutex::default(),
            faults: Mutex::default(),
            seen: Mutex::default(),
            checks: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            open: Mutex::default(),
            unexpected: Arc::clone(&self.unexpected),
        });
        fakes.push(Arc::clone(&fake));
        Arc::new(Behind(fake))
    }
}

/// What stands behind one cluster.
pub(super) struct Inner {
    number: usize,
    pub(super) backend: String,
    /// The endpoints of a list.
    fixed: Vec<Endpoint>,
    /// The URL whose name is looked up.
    name: Option<Endpoint>,
    sets: watch::Sender<Vec<Endpoint>>,
    rules: Mutex<Vec<Rule>>,
    faults: Mutex<Vec<Placed>>,
    seen: Mutex<Vec<Seen>>,
    pub(super) checks: AtomicUsize,
    opened: AtomicUsize,
    open: Mutex<Vec<(Endpoint, Weak<Connection>)>>,
    unexpected: Arc<Mutex<Vec<String>>>,
}

/// A fault at one endpoint, or at all.
#[derive(Clone, Debug)]
struct Placed {
    at: Option<String>,
    fault: Fault,
    left: Arc<Mutex<Option<usize>>>,
}

impl Placed {
    fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.at.as_ref().is_none_or(|at| endpoint.is_called(at))
    }

    /// Whether it happens once more.
    fn happens(&self) -> bool {
        match &mut *lock(&self.left) {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fake({})", self.backend)
    }
}

impl Inner {
    /// The fault that happens now, of those that are about connections, or of the others.
    pub(super) fn fault(&self, endpoint: &Endpoint, of_connections: bool) -> Option<Fault> {
        let faults = lock(&self.faults);
        let mut placed = faults.iter().rev();
        let placed = placed.find(|placed| {
            placed.fault.failure().is_some() == of_connections
                && placed.is_at(endpoint)
                && placed.happens()
        });
        placed.map(|placed| placed.fault.clone())
    }

    /// Writes a request down, and says its number.
    pub(super) fn sees(&self, seen: Seen) -> usize {
        let mut all = lock(&self.seen);
        all.push(seen);
        all.len() - 1
    }

    /// More is known of a request.
    pub(super) fn knows(&self, number: usize, seen: &Seen) {
        if let Some(known) = lock(&self.seen).get_mut(number) {
            known.clone_from(seen);
        }
    }

    /// The rules, the last one first.
    pub(super) fn rules(&self) -> Vec<Rule> {
        lock(&self.rules).iter().rev().cloned().collect()
    }

    /// No rule takes a request.
    pub(super) fn expected_not(&self, seen: &Seen) -> String {
        let rules: Vec<String> = self
            .rules()
            .iter()
            .map(|rule| format!("{rule:?}"))
            .collect();
        let known = match &rules[..] {
            [] => "no rule".to_owned(),
            rules => format!("rules for {}", rules.join(", ")),
        };
        let said = format!(
            "{}: {} {} came to {}, and there are {known}",
            self.backend,
            seen.method(),
            seen.uri,
            seen.endpoint
        );
        lock(&self.unexpected).push(said.clone());
        said
    }

    /// The endpoints that it has now, as far as they are known here.
    fn endpoints(&self) -> Vec<Endpoint> {
        let found = self.sets.borrow();
        self.fixed.iter().chain(&*found).cloned().collect()
    }

    /// Whether one of its endpoints is called so.
    pub(super) fn has(&self, address: &str) -> bool {
        self.endpoints().iter().any(|one| one.is_called(address))
    }

    fn place(&self, placed: Placed) {
        if placed.fault.failure().is_some() {
            let mut open = lock(&self.open);
            open.retain(|(endpoint, connection)| {
                let is_hit = placed.is_at(endpoint);
                if is_hit && let Some(connection) = connection.upgrade() {
                    connection.close();
                }
                !is_hit
            });
        }
        lock(&self.faults).push(placed);
    }
}

/// Opens connections to a fake.
#[derive(Debug)]
struct Behind(Arc<Inner>);

impl Peer for Behind {
    fn number(&self) -> usize {
        self.0.number
    }

    fn open<'a>(&'a self, endpoint: &'a Endpoint, protocol: Protocol) -> Opening<'a> {
        Box::pin(async move {
            match self.0.fault(endpoint, true).map(|fault| fault.failure()) {
                Some(Some(Failure::ConnectTimeout)) => std::future::pending().await,
                Some(Some(failure)) => return Err(Error::failure(failure)),
                Some(None) | None => {}
            }
            self.0.opened.fetch_add(1, Relaxed);
            let (stream, connection) = serve::begin(&self.0, endpoint, protocol);
            let mut open = lock(&self.0.open);
            open.retain(|(_, connection)| connection.strong_count() > 0);
            open.push((endpoint.clone(), connection));
            Ok(Opened { stream, protocol })
        })
    }

    fn sets(&self) -> watch::Receiver<Vec<Endpoint>> {
        self.0.sets.subscribe()
    }
}

/// What stands behind one backend of a gateway under test: a field of the [`Harness`](super::Harness) for each `backend`.
///
/// It answers for all endpoints of the backend. A request that no [rule](Self::on) takes is answered with `501`, and fails the test at
/// its end. The requests of health checks are [`checks`](Self::checks), and pass unless a rule takes them.
#[derive(Clone)]
pub struct Fake {
    pub(super) inner: Arc<Inner>,
    pub(super) cluster: Option<Cluster>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Fake {
    /// The name of the backend.
    pub fn name(&self) -> &str {
        &self.inner.backend
    }

    /// The handle of the backend; `None` if it is one of a route alone.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Answers requests of this method, or `*` for all, whose path is like the pattern: `/people/{id}`, or `/files/*` for all that is below.
    ///
    /// The path is that which comes to the endpoint, behind all rewrites. Of several rules that take a request, the last one counts.
    ///
    /// # Panics
    ///
    /// When this is not a method, or not a pattern.
    #[track_caller]
    pub fn on(&self, method: &str, pattern: &str) -> Rule {
        self.add(Rule::new(Some((method, pattern))))
    }

    /// Answers all requests with what the function returns, as [`Rule::reply`] does.
    pub fn reply<F, R, M>(&self, answer: F) -> Rule
    where
        F: Fn(Seen) -> R + Send + Sync + 'static,
        R: IntoReply<M>,
    {
        self.add(Rule::new(None)).reply(answer)
    }

    /// Answers all requests with this.
    #[track_caller]
    pub fn reply_with(&self, reply: impl Into<Reply>) -> Rule {
        self.add(Rule::new(None)).reply_with(reply)
    }

    fn add(&self, rule: Rule) -> Rule {
        lock(&self.inner.rules).push(rule.clone());
        rule
    }

    /// One of the endpoints, by its URL or by `host:port`.
    ///
    /// # Panics
    ///
    /// When the backend has no such endpoint. One that a [`Discover`](crate::Discover) of one's own finds is not known ahead, and taken
    /// as it is written.
    #[track_caller]
    pub fn endpoint(&self, address: &str) -> FakeEndpoint {
        let known = self.inner.endpoints();
        assert!(
            known.is_empty() || known.iter().any(|one| one.is_called(address)),
            "the backend `{}` has no endpoint {address:?}: it has {known:?}",
            self.name(),
        );
        FakeEndpoint {
            fake: self.clone(),
            address: address.to_owned(),
        }
    }

    /// Has this go wrong at all endpoints from now on; see [`FakeEndpoint::fault`].
    ///
    /// # Panics
    ///
    /// When the fault is for TLS or for HTTP/2, and that is not spoken here.
    #[track_caller]
    pub fn fault(&self, fault: Fault) -> Faulty {
        self.goes_wrong(None, fault)
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        lock(&self.inner.faults).clear();
    }

    #[track_caller]
    fn goes_wrong(&self, at: Option<String>, fault: Fault) -> Faulty {
        let is_hit = |endpoint: &&Endpoint| at.as_ref().is_none_or(|at| endpoint.is_called(at));
        let known = self.inner.endpoints();
        let mut hit = known.iter().filter(is_hit);
        assert!(
            fault != Fault::TlsFails || known.is_empty() || hit.any(Endpoint::is_secure),
            "`TlsFails` is for https:// endpoints: the backend `{}` has {known:?}",
            self.name(),
        );
        let left = Arc::<Mutex<Option<usize>>>::default();
        self.inner.place(Placed {
            at,
            fault,
            left: Arc::clone(&left),
        });
        Faulty(left)
    }

    /// Says which endpoints the look-up of the name finds from now on, for a backend with `dns(..)` or `srv(..)`: addresses with a port,
    /// or URLs. Until then it is the URL itself.
    ///
    /// # Panics
    ///
    /// When the backend has a list of endpoints, or this is not one.
    #[track_caller]
    pub fn set_endpoints<E: AsRef<str>>(&self, endpoints: impl IntoIterator<Item = E>) {
        let Some(name) = &self.inner.name else {
            panic!(
                "the endpoints of the backend `{}` are not looked up: expected `dns(..)` or `srv(..)`",
                self.name()
            );
        };
        let read = |text: &str| {
            if let Ok(address) = text.parse::<std::net::SocketAddr>() {
                return name.located(address.ip(), address.port());
            }
            match text.parse::<Endpoint>() {
                Ok(endpoint) => endpoint,
                Err(error) => panic!("{text:?} is not an endpoint: {error}"),
            }
        };
        let set = endpoints.into_iter().map(|text| read(text.as_ref()));
        self.inner.sets.send_replace(set.collect());
    }

    /// The requests that came, one for each try, in their order. Those of health checks are not among them.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.inner.seen).clone()
    }

    /// How many requests of health checks came.
    pub fn checks(&self) -> usize {
        self.inner.checks.load(Relaxed)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.inner.opened.load(Relaxed)
    }

    /// Forgets the requests that came. They are not among [`requests`](Self::requests) then, and count for no assertion.
    pub fn forget(&self) {
        lock(&self.inner.seen).clear();
    }

    /// Panics if a request came.
    #[track_caller]
    pub fn was_never_asked(&self) {
        self.was_asked(0);
    }

    /// Panics unless so many requests came, one for each try.
    #[track_caller]
    pub fn was_asked(&self, times: usize) {
        let seen = self.requests();
        let list = seen.iter().map(|seen| {
            let (method, endpoint) = (seen.method(), seen.endpoint());
            format!("\n  {method} {} at {endpoint}", seen.uri)
        });
        assert!(
            seen.len() == times,
            "{}: expected {times} requests, found {}{}",
            self.name(),
            seen.len(),
            list.collect::<String>(),
        );
    }
}

/// One endpoint of a backend under test; made by [`Fake::endpoint`].
#[derive(Clone, Debug)]
pub struct FakeEndpoint {
    fake: Fake,
    address: String,
}

impl FakeEndpoint {
    /// Has this go wrong here from now on. Of several faults, the last one counts; one of connections and one of requests hold beside each
    /// other.
    ///
    /// # Panics
    ///
    /// When the fault is for TLS or for HTTP/2, and that is not spoken here.
    #[track_caller]
    pub fn fault(&self, fault: Fault) -> Faulty {
        self.fake.goes_wrong(Some(self.address.clone()), fault)
    }

    /// Takes the faults of this endpoint away.
    pub fn heal(&self) {
        let mut faults = lock(&self.fake.inner.faults);
        faults.retain(|placed| placed.at.as_ref() != Some(&self.address));
    }

    /// The requests that came here, one for each try.
    pub fn requests(&self) -> Vec<Seen> {
        let mut seen = self.fake.requests();
        seen.retain(|seen| seen.place.is_called(&self.address));
        seen
    }
}

/// A fault that was placed; made by [`FakeEndpoint::fault`].
#[derive(Debug)]
pub struct Faulty(Arc<Mutex<Option<usize>>>);

impl Faulty {
    /// Has it go wrong so many times, and no more.
    pub fn times(self, count: usize) {
        *lock(&self.0) = Some(count);
    }
}
