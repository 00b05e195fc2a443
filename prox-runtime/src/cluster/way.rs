//! How a connection to an endpoint is opened: for requests, ahead of them, and for checks of health.

use std::{sync::Arc, time::Duration};

use super::Endpoint;
#[cfg(feature = "testing")]
use super::pretend::{self, Peer};
use crate::{
    connect::{self, Opened, Protocol},
    error::Error,
    tls::Connector,
};

/// What a connection to an endpoint needs beside its address.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(super) connector: Option<Arc<Connector>>,
    /// What is spoken where TLS does not say.
    pub(super) protocol: Protocol,
    /// The fake in the place of the endpoint, in a test.
    #[cfg(feature = "testing")]
    pub(super) peer: Option<Arc<dyn Peer>>,
}

impl Way {
    /// Opens a connection to this endpoint within `limit`.
    ///
    /// # Errors
    ///
    /// Those of [`connect::tls`], [`connect::unix`] and [`connect::tcp`]. Nothing was sent.
    pub(crate) async fn open(&self, endpoint: &Endpoint, limit: Duration) -> Result<Opened, Error> {
        #[cfg(feature = "testing")]
        if let Some(peer) = &self.peer {
            return pretend::open(peer, endpoint, self.protocol, limit).await;
        }
        let (host, port) = (endpoint.host(), endpoint.port());
        if let Some(connector) = &self.connector {
            return connect::tls(connector, host, port, endpoint.name(), limit).await;
        }
        let stream = match endpoint.socket() {
            Some(path) => connect::unix(path, limit).await?,
            None => connect::tcp(host, port, limit).await?.into(),
        };
        Ok(Opened {
            stream,
            protocol: self.protocol,
        })
    }
}
