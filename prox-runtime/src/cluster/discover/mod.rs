//! Endpoints that come and go while the gateway runs.

#[cfg(not(feature = "dns"))]
mod absent;
mod dns;
#[cfg(feature = "dns")]
mod resolver;
mod task;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

pub use self::dns::{Dns, dns, srv};
pub(super) use self::task::Discovery;
use super::{Core, Endpoint};

/// Finds the endpoints of a cluster while the gateway runs: `dns("http://users:8080")`, or a type of one's own as the second
/// argument of `cluster(..)`.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::{Discover, EndpointSet, RoundRobin, dsl::cluster};
/// use std::time::Duration;
///
/// /// One endpoint a line, in a file that a deployment script writes.
/// #[derive(Debug)]
/// struct Listed(&'static str);
///
/// impl Discover for Listed {
///     async fn discover(&self, endpoints: &EndpointSet) -> Result<(), String> {
///         loop {
///             let text = tokio::fs::read_to_string(self.0).await.map_err(|error| error.to_string())?;
///             let found: Result<Vec<_>, _> = text.lines().map(str::parse).collect();
///             endpoints.set(found.map_err(|error: prox::EndpointError| error.to_string())?)?;
///             tokio::time::sleep(Duration::from_secs(5)).await;
///         }
///     }
/// }
///
/// let users = cluster(RoundRobin::new(), Listed("/etc/prox/users"));
/// # let _ = users;
/// ```
///
/// A [`watch::Receiver`]`<Vec<Endpoint>>` is one as well: whoever has the sender moves the endpoints.
///
/// # What becomes of a set
///
/// Each set takes the place of the one before as a whole, between two requests. An endpoint that is in both stays as it is,
/// with its connections, its health, and what an operator has set; if its weight or its priority is another one than in the
/// set before, it gets that. One that is new [starts slowly](crate::SlowStart), unless it is in the first set. One that is
/// not there any more gets no new requests, its idle connections are closed and its checks end; requests and tunnels that are
/// under way there go on to their end.
///
/// Until the first set is there, requests wait for it, up to the [connect timeout](crate::ClusterBuilder::connect_timeout);
/// then they get `503`. The gateway starts without it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of endpoints",
    label = "expected a list, or a type that finds endpoints",
    note = "write `[\"http://10.0.0.1:8080\", ..]`, or declare `env URLS: Vec<Endpoint>;` and write `URLS`",
    note = "endpoints are found by `dns(\"http://users:8080\")`, or by a type that implements `prox::Discover`"
)]
pub trait Discover: Send + Sync + fmt::Debug + 'static {
    /// Finds the endpoints, and says with [`EndpointSet::set`] which there are, as often as that changes.
    ///
    /// It runs in a task of its own, on a worker, for as long as the gateway does. So it must not block: a file is read with
    /// `tokio::fs`, and work that blocks goes to `tokio::task::spawn_blocking`. It may return when it knows that nothing will change any
    /// more; the endpoints stay as they are.
    ///
    /// # Errors
    ///
    /// In a few words, why endpoints cannot be found. They stay as they are, and it is called again: after 1 s, then after
    /// twice the time of before, up to 60 s, give or take 10 %. The same holds for a panic.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the gateway ends.
    fn discover(&self, endpoints: &EndpointSet) -> impl Future<Output = Result<(), String>> + Send;

    /// What is wrong with it as it is written, said when the gateway starts; by default there is nothing.
    fn problem(&self) -> Option<String> {
        None
    }

    /// The endpoint that all it finds are like, but for their addresses, where that is known before.
    #[doc(hidden)]
    fn likeness(&self) -> Option<Endpoint> {
        None
    }
}

/// Where a [`Discover`] says which endpoints there are.
#[derive(Debug)]
pub struct EndpointSet {
    core: Weak<Core>,
    was_set: AtomicBool,
}

impl EndpointSet {
    fn new(core: Weak<Core>) -> Self {
        Self {
            core,
            was_set: AtomicBool::new(false),
        }
    }

    /// Puts these endpoints in the place of those that the cluster has. Requests that come from now on go to them.
    ///
    /// It waits for nothing. The order says nothing, and of those that are the same place the first counts. An endpoint of
    /// weight 0 is there, and gets no requests.
    ///
    /// # Errors
    ///
    /// In a few words, why the endpoints stay as they were. An empty set is no answer: whoever has no endpoint left is more
    /// likely to have asked wrongly, and what was right before is the best that is known. An `https://` endpoint needs the
    /// feature `tls`. And the gateway may have ended. As an error of [`Discover::discover`] it is what it should be there.
    pub fn set(&self, endpoints: impl IntoIterator<Item = Endpoint>) -> Result<(), String> {
        let endpoints: Vec<Endpoint> = endpoints.into_iter().collect();
        let core = self.core.upgrade().ok_or("the gateway has ended")?;
        core.install(&endpoints)?;
        self.was_set.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Discover for watch::Receiver<Vec<Endpoint>> {
    /// An empty set before the first is none yet. When the sender is dropped, the endpoints stay.
    async fn discover(&self, endpoints: &EndpointSet) -> Result<(), String> {
        let mut sets = self.clone();
        if sets.wait_for(|set| !set.is_empty()).await.is_err() {
            return Ok(());
        }
        loop {
            let set = sets.borrow_and_update().clone();
            endpoints.set(set)?;
            if sets.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// A [`Discover`] behind a pointer.
trait Erased: Send + Sync + fmt::Debug {
    fn erased<'a>(
        &'a self,
        endpoints: &'a EndpointSet,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

impl<D: Discover> Erased for D {
    fn erased<'a>(
        &'a self,
        endpoints: &'a EndpointSet,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(self.discover(endpoints))
    }
}

/// What finds the endpoints of a cluster, and what is known of it before it does.
#[derive(Debug)]
pub(super) struct Source {
    discover: Arc<dyn Erased>,
    pub(super) problem: Option<String>,
    pub(super) likeness: Option<Endpoint>,
}

impl Source {
    pub(super) fn new(discover: impl Discover) -> Self {
        Self {
            problem: discover.problem(),
            likeness: discover.likeness(),
            discover: Arc::new(discover),
        }
    }
}

#[cfg(test)]
mod tests;
