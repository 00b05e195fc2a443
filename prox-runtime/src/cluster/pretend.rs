//! The place where the test kit puts its fakes in the place of a network; with the feature `testing`.
//!
//! A cluster that is built [within] a network of fakes asks that for connections as long as it is there. All that opens connections
//! to endpoints asks here first: requests, checks of health, and connections that are opened ahead.

use std::{cell::RefCell, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Cluster, Endpoint};
use crate::{
    connect::{Opened, Protocol},
    error::{Error, Failure},
};

/// Where connections come from.
pub(crate) trait Network: Send + Sync + fmt::Debug {
    /// What stands behind a cluster that is being built: with these endpoints, or with those that a look-up of `name` finds.
    fn peer(&self, backend: &str, endpoints: &[Endpoint], name: Option<&Endpoint>)
    -> Arc<dyn Peer>;
}

/// A connection that is being opened.
pub(crate) type Opening<'a> = Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send + 'a>>;

/// What stands behind the endpoints of one cluster.
pub(crate) trait Peer: Send + Sync + fmt::Debug {
    /// Tells it from the others of its network.
    fn number(&self) -> usize;

    /// Opens a connection to an endpoint, on which this is spoken.
    fn open<'a>(&'a self, endpoint: &'a Endpoint, protocol: Protocol) -> Opening<'a>;

    /// The endpoints that the look-up of a name finds.
    fn sets(&self) -> watch::Receiver<Vec<Endpoint>>;
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Network>>> = const { RefCell::new(None) };
}

/// Calls `make`; a cluster that is built meanwhile on this thread gets its connections from `network`.
pub(crate) fn within<T>(network: Arc<dyn Network>, make: impl FnOnce() -> T) -> T {
    let _before = Before(CURRENT.replace(Some(network)));
    make()
}

/// What stands behind a cluster that is being built; `None` outside of any [`within`].
pub(super) fn peer(
    backend: &str,
    endpoints: &[Endpoint],
    name: Option<&Endpoint>,
) -> Option<Arc<dyn Peer>> {
    let network = CURRENT.with_borrow(Option::clone);
    network.map(|network| network.peer(backend, endpoints, name))
}

/// Opens a connection to an endpoint within `limit`.
///
/// # Errors
///
/// Those of a connection to a real endpoint.
pub(crate) async fn open(
    peer: &Arc<dyn Peer>,
    endpoint: &Endpoint,
    protocol: Protocol,
    limit: Duration,
) -> Result<Opened, Error> {
    let opened = tokio::time::timeout(limit, peer.open(endpoint, protocol)).await;
    opened.unwrap_or_else(|_| Err(Error::failure(Failure::ConnectTimeout)))
}

impl Cluster {
    /// What stands behind it in a test.
    pub(crate) fn peer(&self) -> Option<&Arc<dyn Peer>> {
        self.core.blueprint.peer.as_ref()
    }
}

/// The network that was there before, also behind a panic.
struct Before(Option<Arc<dyn Network>>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
