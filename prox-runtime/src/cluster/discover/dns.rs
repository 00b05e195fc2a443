//! Endpoints that DNS knows: the addresses of a name, or the places of a service.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Mutex,
    time::Duration,
};

use tokio::{task::JoinSet, time};

#[cfg(not(feature = "dns"))]
use super::absent::Resolver;
#[cfg(feature = "dns")]
use super::resolver::Resolver;
use super::{Discover, EndpointSet};
use crate::{
    cluster::{Endpoint, core::MOST_ENDPOINTS, rng::Rng},
    sync::lock,
    time::standstill,
};

/// What is said when the feature is not there.
pub(super) const WITHOUT_FEATURE: &str = "`dns(..)` and `srv(..)` need the feature `dns`: write `prox = { .., features = [\"dns\"] }` in Cargo.toml";

/// How long a lookup may take as a whole.
const LIMIT: Duration = Duration::from_secs(10);

/// How long addresses of one family wait for those of the other.
const GRACE: Duration = Duration::from_millis(500);

/// How many targets of a service are looked up at a time.
const AT_A_TIME: usize = 16;

/// How much later than at the end of its time an answer may be asked for again, in percent.
const JITTER: u32 = 10;

/// All addresses of a name as the endpoints of a cluster: `cluster(rr, dns("http://users.internal:8080"))`.
///
/// The URL is that of an [`Endpoint`] whose host is a name; each IPv4 and IPv6 address that the name has is an endpoint. `Host`
/// says the name, and over `https://` the certificate has to be for the name.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{RoundRobin, dsl::{cluster, dns}};
/// use std::time::Duration;
///
/// let users = cluster(RoundRobin::new(), dns("http://users.internal:8080").max_ttl(Duration::from_secs(10)));
/// # let _ = users;
/// ```
///
/// See [`Dns`] for when it asks, and what becomes of failures. Needs the feature `dns`.
pub fn dns(url: impl Into<String>) -> Dns {
    Dns::new(url.into(), Kind::Addresses)
}

/// The places of a service as the endpoints of a cluster: `cluster(rr, srv("http://_http._tcp.users.internal"))`.
///
/// The host of the URL is the name that has the SRV records (RFC 2782), and there is no port in it. Each address of each target
/// is an endpoint, with the port and the weight of its record. A record of weight 0 has weight 1. The lowest
/// priority is the first [failover group](Endpoint::priority), the next one the second, and so on.
///
/// `Host` says the domain of the service and the port of the record, as in `users.internal:8080`, and over `https://` the
/// certificate has to be for that domain: what an answer of DNS says must not decide whom to believe (RFC 6125, 6.2.1).
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{RoundRobin, dsl::{cluster, srv}};
///
/// let users = cluster(RoundRobin::new(), srv("http://_http._tcp.users.internal"));
/// # let _ = users;
/// ```
///
/// See [`Dns`] for when it asks, and what becomes of failures. Needs the feature `dns`.
pub fn srv(url: impl Into<String>) -> Dns {
    Dns::new(url.into(), Kind::Services)
}

/// Endpoints by DNS: [`dns`](self::dns()) or [`srv`].
///
/// It asks the name servers of this machine (`/etc/resolv.conf`, its search list included, and the `hosts` file), and asks
/// again when the time of the answer (its TTL) is over, at least 1 s and at most 60 s later, plus up to 10 %, so that gateways
/// do not ask in step. A server that restarts with the same address keeps its connections; what becomes of the others is
/// said at [`Discover`].
///
/// No answer, and an answer without addresses, is a failure: the endpoints stay as they were, and it is asked again after
/// 1 s, then after twice the time of before, up to 60 s. That is an event when it begins and when it ends, and each failure
/// counts in [`Counters::discovery_failed`](crate::Counters::discovery_failed). When only one of the two families of addresses
/// fails, the addresses of that family stay, and so do those of one target of a service.
#[derive(Debug)]
pub struct Dns {
    kind: Kind,
    url: String,
    likeness: Result<Endpoint, String>,
    min_ttl: Duration,
    max_ttl: Duration,
    nameservers: Vec<SocketAddr>,
    /// What was found last, by name.
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Addresses,
    Services,
}

/// The addresses that a name had last, of each family.
type Known = [Vec<IpAddr>; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// What there is under a name, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) items: Vec<T>,
    pub(super) ttl: Duration,
}

#[cfg(any(feature = "dns", test))]
impl<T> Found<T> {
    /// It says nothing of how long that will be so.
    pub(super) fn nothing() -> Self {
        Self {
            items: Vec::new(),
            ttl: Duration::MAX,
        }
    }
}

impl Dns {
    fn new(url: String, kind: Kind) -> Self {
        Self {
            likeness: likeness(&url, kind),
            kind,
            url,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_mins(1),
            nameservers: Vec::new(),
            known: Mutex::default(),
        }
    }

    /// Asks again after at least so long, however short the time of the answer is; 1 s by default, at least 100 ms.
    #[must_use]
    pub fn min_ttl(mut self, time: Duration) -> Self {
        self.min_ttl = time.max(Duration::from_millis(100));
        self
    }

    /// Asks again after at most so long, however long the time of the answer is; 60 s by default.
    #[must_use]
    pub fn max_ttl(mut self, time: Duration) -> Self {
        self.max_ttl = time;
        self
    }

    /// Asks this name server, by UDP and TCP, instead of those of this machine; each call adds one.
    #[must_use]
    pub fn nameserver(mut self, address: SocketAddr) -> Self {
        self.nameservers.push(address);
        self
    }

    /// How long an answer is used.
    fn pause(&self, ttl: Duration) -> Duration {
        let ttl = ttl.clamp(self.min_ttl, self.max_ttl.max(self.min_ttl));
        let late = Rng::with_local(|rng| rng.up_to(ttl / 100 * JITTER));
        ttl.saturating_add(late)
    }

    async fn look_up(
        &self,
        likeness: &Endpoint,
        resolver: &Resolver,
    ) -> Result<Found<Endpoint>, String> {
        match self.kind {
            Kind::Addresses => {
                let found = self.addresses(resolver, likeness.host()).await?;
                let located = |address| likeness.located(address, likeness.port());
                Ok(Found {
                    items: found.items.into_iter().map(located).collect(),
                    ttl: found.ttl,
                })
            }
            Kind::Services => self.services(resolver, likeness).await,
        }
    }

    async fn addresses(&self, resolver: &Resolver, name: &str) -> Result<Found<IpAddr>, String> {
        let looked = families(resolver, name).await;
        let mut known = lock(&self.known);
        together(looked, known.entry(name.to_owned()).or_default())
            .map_err(|reason| format!("`{name}`: {reason}"))
    }

    async fn services(
        &self,
        resolver: &Resolver,
        likeness: &Endpoint,
    ) -> Result<Found<Endpoint>, String> {
        let name = likeness.host();
        let found = resolver
            .services(name)
            .await
            .map_err(|reason| format!("`{name}`: {reason}"))?;
        if found.items.is_empty() {
            return Err(format!("`{name}` has no SRV record"));
        }
        let mut targets: Vec<&String> = found.items.iter().map(|one| &one.target).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut ttl = found.ttl;
        let mut addresses: HashMap<String, Vec<IpAddr>> = HashMap::new();
        let mut reason = None;
        for some in targets.chunks(AT_A_TIME) {
            let mut tasks = JoinSet::new();
            for &target in some {
                let (resolver, target) = (resolver.clone(), target.clone());
                tasks.spawn(async move { (families(&resolver, &target).await, target) });
            }
            while let Some(ended) = tasks.join_next().await {
                let Ok((looked, target)) = ended else {
                    continue;
                };
                let mut known = lock(&self.known);
                let last = known.entry(target.clone()).or_default();
                match together(looked, last) {
                    Ok(found) => {
                        ttl = ttl.min(found.ttl);
                        addresses.insert(target, found.items);
                    }
                    Err(error) => {
                        reason = Some(format!("`{target}`: {error}"));
                        addresses.insert(target, last.concat());
                    }
                }
            }
        }
        lock(&self.known).retain(|name, _| addresses.contains_key(name));
        let items = places(likeness, &found.items, &addresses);
        match reason {
            Some(reason) if items.is_empty() => Err(reason),
            _ => Ok(Found { items, ttl }),
        }
    }
}

impl Discover for Dns {
    async fn discover(&self, endpoints: &EndpointSet) -> Result<(), String> {
        let likeness = self.likeness.as_ref().map_err(Clone::clone)?;
        let resolver = Resolver::new(&self.nameservers)?;
        loop {
            let found = standstill::done(async || {
                time::timeout(LIMIT, self.look_up(likeness, &resolver))
                    .await
                    .unwrap_or_else(|_| Err(format!("`{}`: it took too long", likeness.host())))
            })
            .await?;
            endpoints.set(found.items)?;
            time::sleep(self.pause(found.ttl)).await;
        }
    }

    fn problem(&self) -> Option<String> {
        if cfg!(not(feature = "dns")) {
            return Some(WITHOUT_FEATURE.into());
        }
        if self.min_ttl > self.max_ttl {
            return Some(format!(
                "{:?}: the shortest time, {:?}, is longer than the longest, {:?}: write `.max_ttl(..)` too",
                self.url, self.min_ttl, self.max_ttl
            ));
        }
        self.likeness.as_ref().err().cloned()
    }

    fn likeness(&self) -> Option<Endpoint> {
        self.likeness.as_ref().ok().cloned()
    }
}

/// The endpoint that the URL means, but for its address; for a service, with its domain as its name.
fn likeness(url: &str, kind: Kind) -> Result<Endpoint, String> {
    let wrong = |reason: &str| Err(format!("{url:?} names nothing to look up: {reason}"));
    let endpoint: Endpoint = match url.parse() {
        Ok(endpoint) => endpoint,
        Err(error) => return Err(format!("{url:?} is no upstream: {error}")),
    };
    if endpoint.socket().is_some() {
        return wrong("a Unix socket has no address; write it in a list");
    }
    let host = endpoint.host();
    if host.parse::<IpAddr>().is_ok() {
        return wrong("it has an address already; write it in a list");
    }
    if !is_name(host) {
        return wrong("this is no name of DNS");
    }
    let domain = domain(host);
    match kind {
        Kind::Addresses if domain.is_some() => {
            wrong("it is the name of a service; write `srv(..)`")
        }
        Kind::Addresses => Ok(endpoint),
        Kind::Services if endpoint.has_port() => {
            wrong("the ports of a service come from DNS; take the port away")
        }
        Kind::Services => match domain {
            Some(domain) => endpoint
                .clone()
                .named(domain)
                .map_err(|error| format!("{url:?} is no upstream: {error}")),
            None => wrong("a service is named as in `_http._tcp.users.internal`"),
        },
    }
}

/// What stands behind `_service._protocol.`.
fn domain(host: &str) -> Option<&str> {
    let mut labels = host.strip_prefix('_')?.splitn(3, '.');
    let (_, protocol, domain) = (labels.next()?, labels.next()?, labels.next()?);
    protocol
        .starts_with('_')
        .then_some(domain)
        .filter(|domain| !domain.is_empty())
}

/// Whether DNS can have such a name (RFC 1035, 2.3.4).
fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| (1..=63).contains(&label.len());
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What a lookup of each family has said; that of one which is much slower than the other is not waited for.
async fn families(resolver: &Resolver, name: &str) -> [Result<Found<IpAddr>, String>; 2] {
    let mut looked = [Family::V4, Family::V6].map(|_| Err(String::from("it took too long")));
    let mut tasks = JoinSet::new();
    for (place, family) in [Family::V4, Family::V6].into_iter().enumerate() {
        let lookup = resolver.clone().addresses(name.to_owned(), family);
        tasks.spawn(async move { (place, lookup.await) });
    }
    let mut limit = LIMIT;
    while let Ok(Some(ended)) = time::timeout(limit, tasks.join_next()).await {
        let Ok((place, result)) = ended else {
            continue;
        };
        if result.as_ref().is_ok_and(|found| !found.items.is_empty()) {
            limit = GRACE;
        }
        looked[place] = result;
    }
    looked
}

/// The addresses of both families: what was found, or, for a family whose lookup failed, what was found last.
fn together(
    looked: [Result<Found<IpAddr>, String>; 2],
    last: &mut Known,
) -> Result<Found<IpAddr>, String> {
    let mut reason = None;
    let mut ttl = None;
    for (looked, last) in looked.into_iter().zip(last.iter_mut()) {
        match looked {
            Ok(found) if found.items.is_empty() => last.clear(),
            Ok(found) => {
                ttl = ttl.into_iter().chain([found.ttl]).min();
                *last = found.items;
            }
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    let Some(ttl) = ttl else {
        return Err(reason.unwrap_or_else(|| "the name has no address".into()));
    };
    let mut items = last.concat();
    items.sort_unstable();
    items.dedup();
    Ok(Found { items, ttl })
}

/// The endpoints of a service, each once.
fn places(
    likeness: &Endpoint,
    services: &[Service],
    addresses: &HashMap<String, Vec<IpAddr>>,
) -> Vec<Endpoint> {
    let mut priorities: Vec<u16> = services.iter().map(|one| one.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let mut services: Vec<&Service> = services.iter().collect();
    services.sort_unstable_by_key(|one| (one.priority, one.port, one.weight));
    let mut seen = HashSet::new();
    let mut endpoints = Vec::new();
    for service in services {
        // As many are refused as a whole.
        if endpoints.len() > MOST_ENDPOINTS {
            break;
        }
        let group = priorities.partition_point(|&other| other < service.priority);
        for &address in addresses.get(&service.target).into_iter().flatten() {
            if seen.insert((address, service.port)) && service.port != 0 {
                let endpoint = likeness.located(address, service.port);
                endpoints.push(
                    endpoint
                        .weight(u32::from(service.weight).max(1))
                        .priority(u8::try_from(group).unwrap_or(u8::MAX)),
                );
            }
        }
    }
    endpoints
}

#[cfg(test)]
mod tests;
