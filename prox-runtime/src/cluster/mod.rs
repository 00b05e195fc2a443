//! Endpoints that do the same work: which of them takes a request, and with what limits.
//!
//! One type serves every proxied target; a URL is a cluster of one endpoint.

mod background;
mod balance;
mod breaker;
mod budget;
mod builder;
mod core;
mod credentials;
mod discover;
mod endpoint;
mod events;
mod health;
mod hedge;
mod lease;
mod list;
mod measure;
mod members;
mod mirror;
mod operate;
#[cfg(feature = "testing")]
pub(crate) mod pretend;
mod priority;
mod queue;
mod readiness;
mod retry;
mod rng;
mod sent_host;
mod shortcut;
mod siphash;
#[cfg(test)]
mod speed;
mod state;
mod view;
mod way;
mod window;

use std::{fmt, sync::Arc, time::Duration};

pub(crate) use self::{
    background::Background,
    balance::sticky::{Affinity, Belongs},
    budget::Budget,
    core::Core,
    endpoint::Upstream,
    events::Counts,
    hedge::{Hedge, Hedging, NoHedge},
    lease::{Caller, Lease, Outcome, Unavailable, Waited},
    mirror::Mirror,
    queue::{Permit, Queue, Refused as QueueRefused},
    retry::{Attempt, Failed, Reason, RetryAfter, Verdict},
    sent_host::SentHost,
};
pub use self::{
    balance::{
        Balancer, Hash, IntoSticky, LeastConn, P2c, Pick, Prepared, Random, RoundRobin, SameSite,
        Seat, Sticky, key_of,
    },
    breaker::BreakerOptions,
    budget::BudgetOptions,
    builder::{ClusterBuilder, cluster, upstream},
    credentials::{Credentials, GoogleIdToken, Token, google_id_token},
    discover::{Discover, Dns, EndpointSet, dns, srv},
    endpoint::{Endpoint, EndpointError},
    events::Counters,
    health::{
        active::CheckOptions,
        check::{CheckTarget, HealthCheck},
        grpc::{GrpcCheck, grpc},
        http::{HttpCheck, http},
        passive::PassiveOptions,
        slow_start::SlowStart,
        tcp::{TcpCheck, tcp},
    },
    hedge::HedgeOptions,
    list::{Endpoints, IntoEndpoint, IntoEndpoints, NoEndpoint, Weighted},
    mirror::MirrorOptions,
    operate::UnknownEndpoint,
    queue::QueueOptions,
    retry::RetryOptions,
    state::{Condition, EndpointState, LastError},
};

#[cfg(feature = "testing")]
pub(crate) use self::balance::testing;
#[cfg(test)]
pub(crate) use self::events::FAMILIES;
#[cfg(any(feature = "jwt", feature = "testing"))]
pub(crate) use self::rng::Rng;
use crate::forward::{pattern, rewrite::Template};

/// A handle on a backend: its endpoints and their pools are shared by all handles, the policy is this handle's own.
///
/// So `users.timeout(10s)` on one route leaves the other routes to `users` as they are. Cloning a handle is cheap.
pub struct Cluster {
    core: Arc<Core>,
    policy: Policy,
}

/// By hand, since a derived one would be inlined into a gateway for each of its routes.
impl Clone for Cluster {
    #[inline(never)]
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            policy: self.policy.clone(),
        }
    }
}

/// What a route may say for itself.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) timeout: Option<Duration>,
    pub(crate) response_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) host: SentHost,
    pub(crate) public_address: bool,
    pub(crate) encoded_slashes: bool,
    pub(crate) forwarded: bool,
    pub(crate) rewrite: Option<Template>,
    pub(crate) retry: RetryOptions,
    pub(crate) mirrors: Vec<Arc<Mirror>>,
    pub(crate) hedge: Option<Arc<Hedging>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: None,
            response_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(1),
            host: SentHost::Upstream,
            public_address: false,
            encoded_slashes: false,
            forwarded: false,
            rewrite: None,
            retry: RetryOptions::default(),
            mirrors: Vec::new(),
            hedge: None,
        }
    }
}

/// The options of a route, the same on a builder and on a handle.
macro_rules! policy_methods {
    () => {
        /// Bounds a request as a whole, from the choice of an endpoint to the last byte of the response.
        ///
        /// Off by default: a total limit cuts uploads and streams short. When it runs out before the response, the
        /// answer is `504`; after that, the response is cut off.
        pub fn timeout(mut self, limit: Duration) -> Self {
            self.policy.timeout = Some(limit.min(crate::time::FOREVER));
            self
        }

        /// Bounds the wait for the first byte of the response, once the request is sent; 30 s by default, then `504`.
        pub fn response_timeout(mut self, limit: Duration) -> Self {
            self.policy.response_timeout = limit.min(crate::time::FOREVER);
            self
        }

        /// Bounds each wait for the upstream while a body is under way, in either direction; 60 s by default.
        ///
        /// Every byte that moves starts it anew, so it never cuts a transfer that makes progress.
        pub fn idle_timeout(mut self, limit: Duration) -> Self {
            self.policy.idle_timeout = limit.min(crate::time::FOREVER);
            self
        }

        /// Sends the client's `Host` to the upstream instead of the upstream's own authority.
        pub fn preserve_host(self) -> Self {
            self.preserve_host_if(true)
        }

        /// As [`preserve_host`](Self::preserve_host) if `preserve` is true, and else the upstream's own authority.
        pub fn preserve_host_if(mut self, preserve: bool) -> Self {
            self.policy.host = $crate::cluster::SentHost::preserved(preserve);
            self
        }

        /// Sends this `Host` to the upstream: a name or an address, perhaps with a port, such as `"app.example"`.
        ///
        /// It replaces [`preserve_host`](Self::preserve_host), and that replaces it. Over HTTP/2 it is `:authority`. It changes
        /// neither the name that is looked up nor the name in a certificate; [health checks](crate::HttpCheck::host) have a
        /// `Host` of their own. With a text that is not a host the gateway does not start.
        pub fn host_header(mut self, host: impl AsRef<str>) -> Self {
            self.policy.host = $crate::cluster::SentHost::of(host.as_ref());
            self
        }

        /// Rewrites responses of an upstream that speaks of its own address, so that they speak of that of the client. Off by
        /// default.
        ///
        /// A URL of the upstream in `Location`, `Content-Location` or `Refresh` becomes a path of the client's own origin, and
        /// what the route has done to the path, by [`rewrite`](Self::rewrite) or a base path, is undone. The upstream's own are
        /// the URLs with the authority and the scheme of the endpoint, or with the `Host` that the upstream got, and paths.
        /// `Path` of a `Set-Cookie` is undone in the same way, and a `Domain` of the upstream's own is removed, so that the cookie
        /// is for the host of the client. What is not the upstream's own, or is not below the path that it gets, stays as it
        /// is; so do bodies.
        pub fn public_address(self) -> Self {
            self.public_address_if(true)
        }

        /// As [`public_address`](Self::public_address) if `public` is true; else these fields stay as they are.
        pub fn public_address_if(mut self, public: bool) -> Self {
            self.policy.public_address = public;
            self
        }

        /// Takes paths with an encoded slash (`%2F`), which are `400` otherwise, and passes them on as they are.
        ///
        /// For upstreams that know it for a part of a name, such as stores of objects. A dot segment beside one is refused
        /// still: who decodes the slash would resolve it. Of a split all must take them. Guards and layers see the slash
        /// encoded. `explain` tells of all paths with one that they are refused.
        pub fn encoded_slashes(self) -> Self {
            self.encoded_slashes_if(true)
        }

        /// As [`encoded_slashes`](Self::encoded_slashes) if `take` is true; else such paths are `400`.
        pub fn encoded_slashes_if(mut self, take: bool) -> Self {
            self.policy.encoded_slashes = take;
            self
        }

        /// Names the client in `Forwarded` (RFC 7239) as well, beside the `X-Forwarded-` fields.
        ///
        /// The upstream gets `for=203.0.113.7;host=shop.example;proto=https`, and another `for=` for each trusted proxy
        /// before this one. What the client wrote there is dropped.
        pub fn forwarded(self) -> Self {
            self.forwarded_if(true)
        }

        /// As [`forwarded`](Self::forwarded) if `forwarded` is true; else `Forwarded` is not added.
        pub fn forwarded_if(mut self, forwarded: bool) -> Self {
            self.policy.forwarded = forwarded;
            self
        }

        /// Tries a request again that has failed: `.retry(2)`, or `.retry(RetryOptions::new(2).per_try_timeout(1s))`.
        ///
        /// Only idempotent methods (RFC 9110, 9.2.2), with a body of at most 64 KiB, after a reset or a `502`, `503` or
        /// `504`, on another endpoint if there is one, and before anything of a response has gone to the client. Off by
        /// default, but for other endpoints when no connection came about. See [`RetryOptions`](crate::RetryOptions) for all
        /// of the rules.
        pub fn retry(mut self, options: impl Into<crate::cluster::RetryOptions>) -> Self {
            self.policy.retry = options.into();
            self
        }

        /// Sends a request that has no answer after so long to a second endpoint too, and uses the answer that is first:
        /// `.hedge(50ms)`, or `.hedge(HedgeOptions::after(50ms).budget(..))`.
        ///
        /// Only idempotent requests, within a budget of their own: 5 % and 1 a second. Off by default. See
        /// [`HedgeOptions`](crate::HedgeOptions) for all of the rules.
        pub fn hedge(mut self, options: impl Into<$crate::cluster::HedgeOptions>) -> Self {
            self.policy.hedge = Some($crate::cluster::Hedging::new(options.into()));
            self
        }

        /// Sends a share of the requests to another backend as well, and drops its answers: `.mirror(canary, 0.1)`, or
        /// `.mirror(canary, MirrorOptions::new(0.1).at_once(16))`.
        ///
        /// The request itself never waits for its copy, and neither the answer of the copy nor its failure is seen by anybody:
        /// they count for the health and the limits of the other backend alone. The copy is what the other backend would get
        /// from a route to it, by its own `Host`, its own rewrite and its own options, without retries; it has no mark beyond
        /// that. A request whose body is over 64 KiB, or has trailers, is not copied, and neither are upgrades, nor requests
        /// beyond [`MirrorOptions::at_once`](crate::MirrorOptions::at_once). Copies are of every method: the other backend must
        /// be one to which a `POST` may come that its client knows nothing of. They end with the gateway, and no drain waits for
        /// them.
        ///
        /// Each mirror is another one: with two of them, both get copies. One to the same backend as before replaces it, so that a
        /// route can have another share than its backend.
        ///
        /// With a share that is not from 0.0 to 1.0, or the backend itself as its mirror, the gateway does not start; literals
        /// and names in [`gateway!`](https://docs.rs/prox/latest/prox/macro.gateway.html) do not compile.
        pub fn mirror(
            mut self,
            to: $crate::cluster::Cluster,
            options: impl Into<$crate::cluster::MirrorOptions>,
        ) -> Self {
            self.policy
                .add_mirror($crate::cluster::Mirror::new(to, options.into()));
            self
        }

        /// Sends another path to the upstream: a template with the parameters of the route, such as `"/people/{id}"`.
        ///
        /// What a prefix route matched beyond its own pattern is kept behind it, and so is the query. In a gateway, a
        /// name that the route's path lacks does not compile.
        pub fn rewrite(mut self, template: impl AsRef<str>) -> Self {
            self.policy.rewrite = Some(Template::new(template.as_ref()));
            self
        }
    };
}
pub(crate) use policy_methods;

impl Policy {
    /// What is wrong with it, wherever it is used.
    fn problem(&self) -> Option<String> {
        self.host
            .problem()
            .or_else(|| self.mirrors.iter().find_map(|mirror| mirror.problem()))
    }

    fn add_mirror(&mut self, mirror: Arc<Mirror>) {
        self.mirrors
            .retain(|before| !before.is_to(mirror.cluster()));
        self.mirrors.push(mirror);
    }
}

impl Cluster {
    policy_methods!();

    /// The name of the `backend`, or the text of the target when it has none.
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// What is wrong with the options of this handle, whatever its route.
    pub(crate) fn problem(&self) -> Option<String> {
        let itself = self.policy.mirrors.iter().any(|mirror| mirror.is_to(self));
        let itself =
            itself.then(|| "it mirrors to itself: name another backend in `.mirror(..)`".into());
        itself
            .or_else(|| self.policy.problem())
            .map(|problem: String| format!("backend `{}`: {problem}", self.name()))
    }

    /// Whether it has to be told how the route matched.
    pub(crate) fn needs_match(&self) -> bool {
        let mut mirrors = self.policy.mirrors.iter();
        let policy = &self.policy;
        policy.rewrite.is_some()
            || policy.public_address
            || mirrors.any(|mirror| mirror.cluster().needs_match())
    }

    /// What is wrong with the rewrite on a route of this path.
    pub(crate) fn check_rewrite(&self, path: &str) -> Vec<String> {
        let mirrors = self.policy.mirrors.iter();
        let mirrored: Vec<String> = mirrors
            .flat_map(|mirror| mirror.cluster().check_rewrite(path))
            .collect();
        let Some(template) = &self.policy.rewrite else {
            return mirrored;
        };
        let names: Vec<&str> = pattern::names(path).collect();
        let unknown = template
            .names()
            .filter(|name| !names.contains(name))
            .map(|name| {
                format!(
                    "rewrite {:?} names `{{{name}}}`, which the path {path:?} lacks",
                    template.text()
                )
            });
        let problems = template.check().err().into_iter().chain(unknown);
        problems.chain(mirrored).collect()
    }

    /// Whether there is something to do beside the requests: endpoints to be found, checks, connections to be opened, readiness
    /// to be asked for.
    pub(crate) fn is_looked_after(&self) -> bool {
        let core = &*self.core;
        core.discovery.is_some() || core.checks.is_some() || core.required || core.warm > 0
    }

    /// The backends that get copies of its requests.
    pub(crate) fn mirrors(&self) -> impl Iterator<Item = &Self> {
        self.policy.mirrors.iter().map(|mirror| mirror.cluster())
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.core.name())
            .field("endpoints", &self.endpoints().collect::<Vec<_>>())
            .field("policy", &self.policy)
            .finish()
    }
}
