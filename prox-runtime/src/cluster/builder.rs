//! How a cluster is written: `cluster(policy, endpoints)` and what may follow it.

use std::{
    slice,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Balancer, BreakerOptions, Budget, BudgetOptions, Cluster, Core, Counts, Endpoint, Endpoints,
    HealthCheck, IntoEndpoint, IntoEndpoints, IntoSticky, PassiveOptions, Policy, QueueOptions,
    RoundRobin, SlowStart, Sticky,
    balance::sticky::Affinity,
    breaker::Breaker,
    core,
    credentials::{Credentials, Source},
    discover::Discovery,
    endpoint::Blueprint,
    health::{passive::Ejections, watch::Checks},
    list::Written,
    members::Members,
    policy_methods,
    view::Views,
};
use crate::{
    error::Error,
    forward::rewrite::Template,
    metrics::Tries,
    observe::seldom::Seldom,
    pool::{self, HeadLimits, PoolOptions},
    tls::{self, Connector, UpstreamTls},
};

/// A cluster as it is written; it becomes a [`Cluster`] when the gateway starts.
///
/// What is wrong with it is reported then, together with all else that is wrong.
///
/// An option that is given again replaces what was given before; only [`mirror`](Self::mirror) adds to it. In a
/// [`gateway!`](https://docs.rs/prox/latest/prox/macro.gateway.html) the same option twice in one chain does not compile.
#[derive(Debug)]
#[must_use = "a cluster does nothing until it is the target of a route"]
pub struct ClusterBuilder {
    balancer: Box<dyn Balancer>,
    endpoints: Endpoints,
    connect_timeout: Duration,
    pool: PoolOptions,
    heads: HeadLimits,
    max_connections: Option<usize>,
    queue: Option<QueueOptions>,
    tls: Option<UpstreamTls>,
    http2: bool,
    retry_budget: BudgetOptions,
    passive: Option<PassiveOptions>,
    slow_start: Option<SlowStart>,
    breaker: Option<BreakerOptions>,
    sticky: Option<Sticky>,
    health: Option<Checks>,
    required: bool,
    credentials: Option<Source>,
    policy: Policy,
}

/// Several endpoints that do the same work, and the policy that chooses between them.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{RoundRobin, dsl::cluster};
/// use std::time::Duration;
///
/// let users = cluster(RoundRobin::new(), ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
///     .connect_timeout(Duration::from_secs(1));
/// ```
pub fn cluster(policy: impl Balancer, endpoints: impl IntoEndpoints) -> ClusterBuilder {
    ClusterBuilder {
        balancer: Box::new(policy),
        endpoints: endpoints.into_endpoints(),
        connect_timeout: Duration::from_secs(3),
        pool: PoolOptions::default(),
        heads: pool::HEADS,
        max_connections: None,
        queue: None,
        tls: None,
        http2: false,
        retry_budget: BudgetOptions::default(),
        passive: Some(PassiveOptions::default()),
        slow_start: None,
        breaker: None,
        sticky: None,
        health: None,
        required: false,
        credentials: None,
        policy: Policy::default(),
    }
}

/// One endpoint, which needs no balancing.
pub fn upstream(endpoint: impl IntoEndpoint) -> ClusterBuilder {
    cluster(RoundRobin::new(), [endpoint])
}

impl ClusterBuilder {
    policy_methods!();

    /// Bounds the time until a connection is there, name resolution and TLS handshake included; 3 s by default, then `504`.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how many idle connections are kept for each endpoint, and for how long.
    pub fn pool(mut self, options: PoolOptions) -> Self {
        self.pool = options;
        self
    }

    /// Bounds the number of header fields of a response; 256 by default, then `502`.
    ///
    /// Each line is a field. The limit is the same for HTTP/1.1 and HTTP/2. An event of the target `prox` tells of a response that
    /// is over it, and [`Counters::heads_over`](crate::Counters) counts it. With 0, the gateway does not start.
    /// [`Server::max_headers`](crate::Server::max_headers) is for requests.
    pub fn max_response_headers(mut self, count: usize) -> Self {
        self.heads.fields = count;
        self
    }

    /// Bounds the head of a response, in bytes; 128 KiB by default, then `502`.
    ///
    /// They are counted as HTTP/1.1 writes them, also over HTTP/2, and otherwise as
    /// [`max_response_headers`](Self::max_response_headers). [`Server::max_header_size`](crate::Server::max_header_size) is for
    /// requests.
    pub fn max_response_header_size(mut self, bytes: usize) -> Self {
        self.heads.bytes = bytes;
        self
    }

    /// Takes responses with several `Content-Length` fields of one value; by default they are `502` (RFC 9112, 6.3).
    ///
    /// The client gets the field once. Lengths that differ are `502` all the same, and so is a list in one field. Only for
    /// HTTP/1.1.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// use prox::dsl::upstream;
    ///
    /// let old = upstream("http://old.example").allow_equal_lengths().allow_folded_fields();
    /// ```
    pub fn allow_equal_lengths(self) -> Self {
        self.allow_equal_lengths_if(true)
    }

    /// As [`allow_equal_lengths`](Self::allow_equal_lengths), if `allow` is true.
    pub fn allow_equal_lengths_if(mut self, allow: bool) -> Self {
        self.heads.lenient.equal_lengths = allow;
        self
    }

    /// Takes fields of a response that go on in the next line, which begins with a space or a tab; by default they are `502`
    /// (RFC 9112, 5.2).
    ///
    /// The client gets the field on one line. A folded `Content-Length` or `Transfer-Encoding` is `502` all the same. Only for
    /// HTTP/1.1.
    pub fn allow_folded_fields(self) -> Self {
        self.allow_folded_fields_if(true)
    }

    /// As [`allow_folded_fields`](Self::allow_folded_fields), if `allow` is true.
    pub fn allow_folded_fields_if(mut self, allow: bool) -> Self {
        self.heads.lenient.folded_fields = allow;
        self
    }

    /// Takes heads of responses whose lines end with a line feed alone; by default they are `502` (RFC 9112, 2.2).
    ///
    /// In a chunked body lines still end with a carriage return and a line feed. Only for HTTP/1.1.
    pub fn allow_bare_line_feeds(self) -> Self {
        self.allow_bare_line_feeds_if(true)
    }

    /// As [`allow_bare_line_feeds`](Self::allow_bare_line_feeds), if `allow` is true.
    pub fn allow_bare_line_feeds_if(mut self, allow: bool) -> Self {
        self.heads.lenient.bare_line_feeds = allow;
        self
    }

    /// Bounds the requests under way at each endpoint, and with them the connections in use; without it there is no limit.
    ///
    /// The limit is for all workers of this process together, and for tunnels too. A request beyond it waits in the
    /// [queue](Self::queue) of its endpoint: up to 1 024 of them, each for up to 1 s, then `503` with `Retry-After`. With
    /// `.http2()`, it bounds streams. With 0, the gateway does not start.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = Some(limit);
        self
    }

    /// Sets how many requests wait for each endpoint, and for how long, when [`max_connections`](Self::max_connections) are
    /// in use.
    ///
    /// Without that limit nothing ever waits, and the gateway does not start.
    pub fn queue(mut self, options: QueueOptions) -> Self {
        self.queue = Some(options);
        self
    }

    /// Bounds the tries beyond the first ones, those for failures to connect included; 20 % of the requests and 10 a second
    /// by default.
    pub fn retry_budget(mut self, options: BudgetOptions) -> Self {
        self.retry_budget = options;
        self
    }

    /// Sets when an endpoint is ejected for what its answers show, and for how long; on by default where there are several.
    ///
    /// The only endpoint of a cluster is never ejected.
    pub fn passive(mut self, options: PassiveOptions) -> Self {
        self.passive = Some(options);
        self
    }

    /// Ejects no endpoint for what its answers show.
    pub fn without_passive(mut self) -> Self {
        self.passive = None;
        self
    }

    /// Asks each endpoint again and again whether it is well: `.health(http("/healthz").every(5s).timeout(1s))`. Off by
    /// default.
    ///
    /// An endpoint that fails its checks gets no requests; when all fail them, the answer is `503`. See
    /// [`CheckOptions`](crate::CheckOptions) for the defaults, and [`HealthCheck`](crate::HealthCheck) for checks of one's own.
    pub fn health(mut self, check: impl HealthCheck) -> Self {
        self.health = Some(Checks::new(check));
        self
    }

    /// Makes the gateway unready while no endpoint of this backend is well; see [`Gateway::is_ready`](crate::Gateway::is_ready).
    /// Off by default.
    ///
    /// It is well when one of its endpoints is neither drained nor ejected and, where there are [checks](Self::health), has
    /// passed one. A backend that all gateways share should rather not be required: when it fails, all of them are unready, and
    /// the routes that do without it are lost as well.
    pub fn required(self) -> Self {
        self.required_if(true)
    }

    /// As [`required`](Self::required) if `required` is true; else the gateway is ready without this backend.
    pub fn required_if(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// Keeps a client at the endpoint that it was given first: `.sticky(cookie("name"))`. Off by default.
    pub fn sticky(mut self, sticky: impl IntoSticky) -> Self {
        self.sticky = Some(sticky.into_sticky());
        self
    }

    /// Sets how an endpoint that was out takes up its share again; by default over 30 s, from a tenth.
    pub fn slow_start(mut self, options: SlowStart) -> Self {
        self.slow_start = Some(options);
        self
    }

    /// Answers `503` at once, for a while, when too many of the requests to this backend fail; off by default.
    pub fn breaker(mut self, options: BreakerOptions) -> Self {
        self.breaker = Some(options);
        self
    }

    /// Shows a token to each endpoint, for its origin: `.credentials(prox::google_id_token())` for upstreams on Cloud Run that are not
    /// public. Off by default.
    ///
    /// The endpoints are `https://`, or on this machine: a token could be read on the way otherwise, and the gateway does not start. A
    /// request for which there is no token is `503`. A `TRACE` gets no token, since an upstream sends its fields back. See
    /// [`Credentials`](crate::Credentials) for when tokens are made, and for sources of one's own.
    pub fn credentials(mut self, credentials: impl Credentials) -> Self {
        self.credentials = Some(Source::new(credentials));
        self
    }

    /// Sets how TLS is spoken with `https://` endpoints; without it, with the roots of this machine.
    ///
    /// When no endpoint is `https://`, the gateway does not start.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: UpstreamTls) -> Self {
        self.tls = Some(options);
        self
    }

    /// Speaks HTTP/2 with the endpoints: by prior knowledge (h2c) with `http://`, agreed on by ALPN with `https://`, where an
    /// upstream may still choose HTTP/1.1.
    ///
    /// Several connections are used, by how many streams they have under way ([`PoolOptions::streams`]). A request that an
    /// upstream has not processed, as it says with `GOAWAY` or `REFUSED_STREAM`, is sent again on another connection, whatever its
    /// method, unless more than 64 KiB of its body are gone; see [`RetryOptions`](crate::RetryOptions) for the bounds. A connection in use on which nothing is heard for 20 s is
    /// pinged, and given up when no answer comes within 10 s; as long as nothing but answers to pings is heard, the next ping
    /// comes after 5 min. An upstream that answers `HTTP_1_1_REQUIRED` is a `502`: take `.http2()` away.
    ///
    /// Trailers of a response reach a client of HTTP/1.1 only if the upstream announced them in `Trailer`, the client said
    /// `TE: trailers`, and the response has no `Content-Length`; all of them reach one of HTTP/2.
    #[cfg(feature = "http2")]
    pub fn http2(self) -> Self {
        self.http2_if(true)
    }

    /// As [`http2`](Self::http2) if `http2` is true; else HTTP/1.1 is spoken.
    #[cfg(feature = "http2")]
    pub fn http2_if(mut self, http2: bool) -> Self {
        self.http2 = http2;
        self
    }

    /// Builds the cluster; `name` is for logs and errors.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: no endpoints, texts that are none, the same one twice, a weight of 0.
    #[expect(clippy::too_many_lines, reason = "a list of checks, then of parts")]
    pub fn build(self, name: &str) -> Result<Cluster, Error> {
        let mut problems = Vec::new();
        let (list, source) = match self.endpoints.0 {
            Written::List(list) => (list, None),
            Written::Found(source) => (Vec::new(), Some(source)),
        };
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(list.len());
        for endpoint in list {
            match endpoint {
                Err((text, error)) => problems.push(format!("{text:?} is no upstream: {error}")),
                Ok(endpoint) if endpoint.share() == 0 => {
                    problems.push(format!(
                        "{endpoint} has weight 0: remove it, or give it a share"
                    ));
                }
                Ok(endpoint) if endpoints.iter().any(|other| other.is_same_place(&endpoint)) => {
                    problems.push(format!(
                        "{endpoint} is there twice: give it a weight instead"
                    ));
                }
                Ok(endpoint) => endpoints.push(endpoint),
            }
        }
        problems.extend(self.balancer.check().err());
        problems.extend(self.sticky.as_ref().and_then(|sticky| sticky.check().err()));
        let checks = self.health.as_ref();
        problems.extend(checks.and_then(|checks| checks.problem(self.http2)));
        problems.extend(source.as_ref().and_then(|source| source.problem.clone()));
        if endpoints.is_empty() && source.is_none() && problems.is_empty() {
            problems.push("there are no endpoints".into());
        }
        if self.max_connections == Some(0) {
            problems.push(
                "`.max_connections(0)` lets no request through: write a number from 1 on".into(),
            );
        }
        for (limit, option) in [
            (self.heads.fields, "max_response_headers"),
            (self.heads.bytes, "max_response_header_size"),
        ] {
            if limit == 0 {
                problems.push(format!(
                    "`.{option}(0)` lets no response through: write a number from 1 on"
                ));
            }
        }
        if self.queue.is_some() && self.max_connections.is_none() {
            problems.push(
                "`.queue(..)` changes nothing without a limit: write `.max_connections(n)` too"
                    .into(),
            );
        }
        if let Some(template) = &self.policy.rewrite
            && let Err(problem) = template.check()
        {
            problems.push(problem);
        }
        problems.extend(self.policy.problem());
        if let Some(credentials) = &self.credentials {
            problems.extend(credentials.problem().map(str::to_owned));
            problems.extend(endpoints.iter().filter_map(|one| credentials.refuses(one)));
        }
        let likeness = source.as_ref().and_then(|source| source.likeness.as_ref());
        let examples = likeness.map_or(&*endpoints, slice::from_ref);
        let anything = source.is_some() && likeness.is_none();
        let connector = match connector(self.tls, examples, anything, self.http2) {
            Ok(connector) => connector,
            Err(found) => {
                problems.extend(found);
                None
            }
        };
        if !problems.is_empty() {
            return Err(Error::config(format!(
                "backend `{name}`: {}",
                problems.join("; ")
            )));
        }
        if connector.as_ref().is_some_and(Connector::accepts_any) {
            tracing::warn!(target: "prox",
                backend = name,
                "the certificates of this backend are not verified"
            );
        }
        #[cfg(feature = "testing")]
        let (peer, source) = pretended(name, &endpoints, source);
        let now = Instant::now();
        let balances = endpoints.len() > 1 || source.is_some();
        // The only one there is is never ejected.
        let ejections = self.passive.filter(|_| balances).map(Ejections::new);
        let warm = self.pool.warmed();
        let counts = Arc::new(Counts::default());
        let blueprint = Blueprint {
            backend: name.into(),
            counts: Arc::clone(&counts),
            pool: self.pool.heads(self.heads),
            http2: self.http2.then_some(self.connect_timeout),
            total: Arc::default(),
            ejections,
            max_connections: self.max_connections,
            queue: self.queue.unwrap_or_default(),
            connector: connector
                .map(Arc::new)
                .map_or_else(OnceLock::new, OnceLock::from),
            affinity: self.sticky.map(|sticky| Affinity::new(&sticky, name)),
            credentials: self.credentials,
            #[cfg(feature = "testing")]
            peer,
        };
        let upstreams = endpoints.into_iter().enumerate();
        let upstreams = upstreams.map(|(index, endpoint)| blueprint.make(index, endpoint, now));
        let members = Arc::new(Members::new(upstreams));
        let slow_start = self.slow_start.unwrap_or_default();
        let view = core::survey(&members, &*self.balancer, &slow_start, None, now);
        Ok(Cluster {
            core: Arc::new(Core {
                balancer: self.balancer,
                views: Views::new(view),
                discovery: source.map(Discovery::new),
                balances,
                blueprint,
                slow_start,
                checks: self.health,
                counts,
                breaker: self.breaker.map(|options| Breaker::new(options, now)),
                budget: Budget::new(self.retry_budget, now),
                connect_timeout: self.connect_timeout,
                required: self.required,
                warm,
                tries: Tries::default(),
                failing: Seldom::default(),
            }),
            policy: self.policy,
        })
    }
}

/// In a test: the fake behind the endpoints, and the source of endpoints, which is the fake if a name would be looked up.
#[cfg(feature = "testing")]
fn pretended(
    backend: &str,
    endpoints: &[Endpoint],
    source: Option<super::discover::Source>,
) -> (
    Option<Arc<dyn super::pretend::Peer>>,
    Option<super::discover::Source>,
) {
    let name = source.as_ref().and_then(|source| source.likeness.as_ref());
    let is_looked_up = name.is_some();
    let peer = super::pretend::peer(backend, endpoints, name);
    let sets = peer.as_ref().filter(|_| is_looked_up);
    let found = sets.map(|peer| super::discover::Source::new(peer.sets()));
    (peer, found.or(source))
}

/// TLS for those endpoints that speak it; nothing when none does. When they are found later and may be `anything`, it is made
/// ready if there are options for it.
fn connector(
    options: Option<UpstreamTls>,
    endpoints: &[Endpoint],
    anything: bool,
    http2: bool,
) -> Result<Option<Connector>, Vec<String>> {
    let secure: Vec<&Endpoint> = endpoints.iter().filter(|one| one.is_secure()).collect();
    if secure.is_empty() && !(anything && options.is_some()) {
        return if options.is_some() && !endpoints.is_empty() {
            Err(vec![
                "`.tls(..)` changes nothing, since no endpoint is https: write `https://`".into(),
            ])
        } else {
            Ok(None)
        };
    }
    let connector = tls::connector(options, http2)?;
    let refused: Vec<String> = secure
        .iter()
        .filter_map(|endpoint| connector.refuses(endpoint.name()))
        .collect();
    if refused.is_empty() {
        Ok(Some(connector))
    } else {
        Err(refused)
    }
}
