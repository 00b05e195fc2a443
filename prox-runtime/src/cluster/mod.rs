//! Endpoints that do the same work: which of them takes a request, and with what limits.
//!
//! One type serves every proxied target; a URL is a cluster of one endpoint.

mod balance;
mod breaker;
mod budget;
mod builder;
mod core;
mod endpoint;
mod events;
mod health;
#[allow(dead_code, reason = "the proxy does not ask yet")]
mod hedge;
mod lease;
mod operate;
mod priority;
#[allow(dead_code, reason = "the proxy does not ask yet")]
mod queue;
mod replay;
mod retry;
mod rng;
mod siphash;
#[cfg(test)]
mod speed;
mod state;
mod view;
mod window;

use std::{fmt, sync::Arc, time::Duration};

pub use self::{
    balance::{
        Balancer, Hash, IntoSticky, LeastConn, P2c, Pick, Prepared, Random, RoundRobin, Seat,
        Sticky, key_of,
    },
    breaker::BreakerOptions,
    budget::BudgetOptions,
    builder::{
        ClusterBuilder, IntoEndpoint, IntoEndpoints, NoEndpoint, Weighted, cluster, upstream,
    },
    endpoint::{Endpoint, EndpointError},
    events::Counters,
    health::{
        active::CheckOptions,
        check::{CheckTarget, HealthCheck},
        http::{HttpCheck, http},
        passive::PassiveOptions,
        slow_start::SlowStart,
        tcp::{TcpCheck, tcp},
    },
    hedge::HedgeOptions,
    operate::UnknownEndpoint,
    queue::QueueOptions,
    retry::RetryOptions,
    state::{Condition, EndpointState, LastError},
};
pub(crate) use self::{
    budget::Budget,
    core::Core,
    endpoint::Upstream,
    events::Counts,
    lease::{Caller, Lease, Outcome, Unavailable},
    queue::Permit,
    replay::Replay,
    retry::{Attempt, Failed, RetryAfter, Verdict},
};

#[cfg(feature = "testing")]
pub use self::balance::testing;
use crate::forward::rewrite::Template;

/// What policies take for ever, so that adding it to a time cannot overflow.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// A handle on a backend: its endpoints and their pools are shared by all handles, the policy is this handle's own.
///
/// So `users.timeout(10s)` on one route leaves the other routes to `users` as they are. Cloning a handle is cheap.
#[derive(Clone)]
pub struct Cluster {
    core: Arc<Core>,
    policy: Policy,
}

/// What a route may say for itself.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) timeout: Option<Duration>,
    pub(crate) response_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) preserve_host: bool,
    pub(crate) forwarded: bool,
    pub(crate) rewrite: Option<Template>,
    pub(crate) retry: RetryOptions,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: None,
            response_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(1),
            preserve_host: false,
            forwarded: false,
            rewrite: None,
            retry: RetryOptions::default(),
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
            self.policy.timeout = Some(limit);
            self
        }

        /// Bounds the wait for the first byte of the response, once the request is sent; 30 s by default, then `504`.
        pub fn response_timeout(mut self, limit: Duration) -> Self {
            self.policy.response_timeout = limit;
            self
        }

        /// Bounds each wait for the upstream while a body is under way, in either direction; 60 s by default.
        ///
        /// Every byte that moves starts it anew, so it never cuts a transfer that makes progress.
        pub fn idle_timeout(mut self, limit: Duration) -> Self {
            self.policy.idle_timeout = limit;
            self
        }

        /// Sends the client's `Host` to the upstream instead of the upstream's own authority.
        pub fn preserve_host(mut self) -> Self {
            self.policy.preserve_host = true;
            self
        }

        /// Names the client in `Forwarded` (RFC 7239) as well, beside the `X-Forwarded-` fields.
        ///
        /// The upstream gets `for=203.0.113.7;host=shop.example;proto=https`, and another `for=` for each trusted proxy
        /// before this one. What the client wrote there is dropped.
        pub fn forwarded(mut self) -> Self {
            self.policy.forwarded = true;
            self
        }

        /// Tries a request again that has failed: `.retry(2)`, or `.retry(RetryOptions::new(2).per_try_timeout(1s))`.
        ///
        /// Only idempotent methods (RFC 9110, 9.2.2), with a body of at most 64 KiB, after a reset or a `502`, `503` or
        /// `504`, on another endpoint if there is one, and before anything of a response has gone to the client. Off by
        /// default, but for one more try when no connection came about. See [`RetryOptions`](crate::RetryOptions) for all
        /// of the rules.
        pub fn retry(mut self, options: impl Into<crate::cluster::RetryOptions>) -> Self {
            self.policy.retry = options.into();
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

impl Cluster {
    policy_methods!();

    /// The name of the `backend`, or the text of the target when it has none.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// What is wrong with the rewrite on a route of this path.
    pub(crate) fn check_rewrite(&self, path: &str) -> Vec<String> {
        let Some(template) = &self.policy.rewrite else {
            return Vec::new();
        };
        let names: Vec<&str> = path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| name.strip_prefix('*').unwrap_or(name))
            .collect();
        let unknown = template
            .names()
            .filter(|name| !names.contains(name))
            .map(|name| {
                format!(
                    "rewrite {:?} names `{{{name}}}`, which the path {path:?} lacks",
                    template.text()
                )
            });
        template.check().err().into_iter().chain(unknown).collect()
    }

    /// Whether its endpoints are checked, so that there is something to start.
    pub(crate) fn is_checked(&self) -> bool {
        self.core.checks.is_some()
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
            .field("name", &self.core.name)
            .field("endpoints", &self.endpoints().collect::<Vec<_>>())
            .field("policy", &self.policy)
            .finish()
    }
}
