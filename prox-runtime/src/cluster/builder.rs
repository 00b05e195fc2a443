//! How a cluster is written: `cluster(policy, endpoints)` and what may follow it.

use std::{sync::Arc, time::Duration};

use super::{
    Balancer, Cluster, Core, Endpoint, EndpointError, Policy, RoundRobin, Upstream, policy_methods,
};
use crate::{
    error::Error,
    forward::rewrite::Template,
    pool::{Pool, PoolOptions},
};

/// A cluster as it is written; it becomes a [`Cluster`] when the gateway starts.
///
/// What is wrong with it is reported then, together with all else that is wrong.
#[derive(Debug)]
#[must_use = "a cluster does nothing until it is the target of a route"]
pub struct ClusterBuilder {
    balancer: Box<dyn Balancer>,
    endpoints: Vec<Result<Endpoint, NoEndpoint>>,
    connect_timeout: Duration,
    pool: PoolOptions,
    policy: Policy,
}

/// A text that is no endpoint, and why.
pub type NoEndpoint = (String, EndpointError);

/// Several endpoints that do the same work, and the policy that chooses between them.
///
/// ```
/// use prox_runtime::{RoundRobin, cluster};
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
        policy: Policy::default(),
    }
}

/// One endpoint, which needs no balancing.
pub fn upstream(endpoint: impl IntoEndpoint) -> ClusterBuilder {
    cluster(RoundRobin::new(), [endpoint])
}

impl ClusterBuilder {
    policy_methods!();

    /// Bounds the time until a connection is there, name resolution included; 3 s by default, then `504`.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how many idle connections are kept for each endpoint, and for how long.
    pub fn pool(mut self, options: PoolOptions) -> Self {
        self.pool = options;
        self
    }

    /// Builds the cluster; `name` is for logs and errors.
    ///
    /// # Errors
    ///
    /// All that is wrong with it: no endpoints, texts that are none, the same one twice, a weight of 0.
    pub fn build(self, name: &str) -> Result<Cluster, Error> {
        let mut problems = Vec::new();
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(self.endpoints.len());
        for endpoint in self.endpoints {
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
        if endpoints.is_empty() && problems.is_empty() {
            problems.push("there are no endpoints".into());
        }
        if let Some(template) = &self.policy.rewrite
            && let Err(problem) = template.check()
        {
            problems.push(problem);
        }
        if !problems.is_empty() {
            return Err(Error::config(format!(
                "backend `{name}`: {}",
                problems.join("; ")
            )));
        }
        let weights: Vec<u32> = endpoints.iter().map(Endpoint::share).collect();
        let mut balancer = self.balancer;
        balancer.prepare(&weights);
        let upstreams = endpoints
            .into_iter()
            .map(|endpoint| Upstream::new(endpoint, Pool::new(self.pool.clone())))
            .collect();
        Ok(Cluster {
            core: Arc::new(Core {
                name: name.to_owned(),
                balancer,
                upstreams,
                connect_timeout: self.connect_timeout,
            }),
            policy: self.policy,
        })
    }
}

/// What may stand in the list of a cluster: a URL, or an [`Endpoint`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an endpoint",
    label = "expected a URL or a `prox::Endpoint`",
    note = "write \"http://host:port\", with `.weight(3)` behind it if need be, or declare `env NAME: Endpoint;`"
)]
pub trait IntoEndpoint {
    /// Makes the endpoint, or says why there is none.
    ///
    /// # Errors
    ///
    /// The text, and what is wrong with it.
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint>;
}

impl IntoEndpoint for Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        Ok(self)
    }
}

impl IntoEndpoint for &str {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self.parse().map_err(|error| (self.to_owned(), error))
    }
}

impl IntoEndpoint for String {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self.parse().map_err(|error| (self, error))
    }
}

impl IntoEndpoint for &String {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self.as_str().into_endpoint()
    }
}

impl IntoEndpoint for Result<Endpoint, NoEndpoint> {
    fn into_endpoint(self) -> Result<Endpoint, NoEndpoint> {
        self
    }
}

/// What may be the second argument of [`cluster`]: an array or a vector of what may be an endpoint.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of endpoints",
    label = "expected a list",
    note = "write `[\"http://10.0.0.1:8080\", ..]`, or declare `env URLS: Vec<Endpoint>;` and write `URLS`"
)]
pub trait IntoEndpoints {
    /// Makes the endpoints, or says of each why there is none.
    fn into_endpoints(self) -> Vec<Result<Endpoint, NoEndpoint>>;
}

impl<E: IntoEndpoint, const N: usize> IntoEndpoints for [E; N] {
    fn into_endpoints(self) -> Vec<Result<Endpoint, NoEndpoint>> {
        self.into_iter().map(E::into_endpoint).collect()
    }
}

impl<E: IntoEndpoint> IntoEndpoints for Vec<E> {
    fn into_endpoints(self) -> Vec<Result<Endpoint, NoEndpoint>> {
        self.into_iter().map(E::into_endpoint).collect()
    }
}

/// Gives a URL its weight in place: `"http://10.0.0.2:8080".weight(3)`.
pub trait Weighted {
    /// Sets the share of requests, relative to the weights of the other endpoints.
    ///
    /// # Errors
    ///
    /// When the text is no endpoint; reported when the gateway starts.
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint>;
}

impl Weighted for &str {
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint> {
        Ok(self.into_endpoint()?.weight(weight))
    }
}

impl Weighted for String {
    fn weight(self, weight: u32) -> Result<Endpoint, NoEndpoint> {
        self.as_str().weight(weight)
    }
}
