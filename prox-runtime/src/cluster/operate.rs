//! What an operator may do to a cluster while it runs.

use std::fmt;

use tokio::time::Instant;

use super::{Cluster, Counters, EndpointState, Upstream};

/// An address that no endpoint of the cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEndpoint {
    backend: String,
    address: String,
    known: Vec<String>,
}

impl fmt::Display for UnknownEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "backend `{}` has no endpoint `{}`; it has {}",
            self.backend,
            self.address,
            self.known.join(", ")
        )
    }
}

impl std::error::Error for UnknownEndpoint {}

/// What an operator may do. An address is `host:port`, the URL as it is shown, or the path of a Unix socket; when several
/// endpoints have it, which is so when they differ in their base paths, it means all of them.
impl Cluster {
    /// The endpoints as they stand at the moment, in the order in which they were written. Those that are [found](crate::Discover)
    /// while the gateway runs keep their order too, but a new one may stand where one was that is gone.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = EndpointState> {
        let core = self.core();
        core.states(&core.members()).into_iter()
    }

    /// The same, each with the number of its connections that wait for a request.
    pub(crate) fn endpoints_with_idle(&self) -> impl Iterator<Item = (EndpointState, usize)> {
        let core = self.core();
        let members = core.members();
        let idle: Vec<usize> = members
            .iter()
            .map(|upstream| upstream.pool.idle())
            .collect();
        core.states(&members).into_iter().zip(idle)
    }

    /// How often this cluster has decided what, since the start.
    pub fn counters(&self) -> Counters {
        self.core().counts().read()
    }

    /// Gives the endpoint no new requests, probes included; those under way are finished, tunnels as well.
    ///
    /// Clients that stick to it are balanced anew. When all endpoints are drained, requests get `503`. An endpoint that leaves
    /// the cluster and comes back is a new one, and not drained.
    ///
    /// ```
    /// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
    /// # fn doc(users: &prox::Cluster) -> Result<(), prox::UnknownEndpoint> {
    /// users.drain("10.0.0.1:8080")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When no endpoint has this address.
    pub fn drain(&self, address: &str) -> Result<(), UnknownEndpoint> {
        self.operate(address, "endpoint drained", None, |upstream| {
            upstream.state.set_drained(true);
        })
    }

    /// Takes an endpoint that was [drained](Self::drain) back into use, with its full share at once.
    ///
    /// # Errors
    ///
    /// When no endpoint has this address.
    pub fn undrain(&self, address: &str) -> Result<(), UnknownEndpoint> {
        self.operate(address, "endpoint taken back", None, |upstream| {
            upstream.state.set_drained(false);
        })
    }

    /// Gives the endpoint another share of the requests, relative to the weights of the others; with 0, it gets none.
    ///
    /// # Errors
    ///
    /// When no endpoint has this address.
    pub fn set_weight(&self, address: &str, weight: u32) -> Result<(), UnknownEndpoint> {
        self.operate(address, "endpoint weighted", Some(weight), |upstream| {
            upstream.state.set_weight(weight);
        })
    }

    fn operate(
        &self,
        address: &str,
        done: &'static str,
        weight: Option<u32>,
        act: impl Fn(&Upstream),
    ) -> Result<(), UnknownEndpoint> {
        let core = self.core();
        let mut found = false;
        let members = core.members();
        for upstream in members.iter() {
            if upstream.endpoint.is_called(address) {
                found = true;
                act(upstream);
                core.tell_operator(upstream, done, weight);
            }
        }
        if !found {
            let known = members.iter();
            return Err(UnknownEndpoint {
                backend: self.name().to_owned(),
                address: address.to_owned(),
                known: known.map(|known| known.endpoint.to_string()).collect(),
            });
        }
        core.refresh(Instant::now());
        Ok(())
    }
}
