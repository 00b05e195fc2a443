//! TLS with clients ([`Tls`]) and with upstreams ([`UpstreamTls`]), by rustls.
//!
//! Nothing outside knows of rustls: a handshake takes a stream and gives a stream. Without the feature `tls` the types
//! are there all the same, but have no values, so that nobody else has to ask for the feature.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
pub(crate) mod der;
mod identity;
#[cfg(feature = "tls")]
mod material;
mod names;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod termination;
#[cfg(feature = "tls")]
mod upstream;
#[cfg(feature = "tls")]
mod x509;

use tokio::task::JoinHandle;

#[cfg(not(feature = "tls"))]
pub(crate) use self::absent::{Connector, Termination, Tls, UpstreamTls, connector, is_failure};
pub use self::identity::ClientCert;
pub(crate) use self::identity::Session;
#[cfg(feature = "tls")]
pub use self::{
    pem::Pem,
    server::{ClientAuth, Tls},
    upstream::UpstreamTls,
};
#[cfg(feature = "tls")]
pub(crate) use self::{
    termination::Termination,
    upstream::{Connector, connector, is_failure},
};
use crate::stream::Stream;

/// What is said of `https://` without the feature.
pub(crate) const WITHOUT_FEATURE: &str = "https upstreams need the feature `tls`: write `prox = { .., features = [\"tls\"] }` in Cargo.toml";

/// A client after its handshake.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) session: Session,
    /// Whether HTTP/2 was agreed on.
    pub(crate) h2: bool,
}

/// A task that looks after files, and ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watching(JoinHandle<()>);

impl Watching {
    #[cfg(feature = "tls")]
    fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}
