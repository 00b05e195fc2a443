//! Stands in for the resolver without the feature `dns`.

#![expect(clippy::unused_async, reason = "what it stands for waits")]

use std::net::{IpAddr, SocketAddr};

use super::dns::{Family, Found, Service, WITHOUT_FEATURE};

/// It knows nothing.
#[derive(Clone, Debug)]
pub(super) struct Resolver;

impl Resolver {
    pub(super) fn new(_: &[SocketAddr]) -> Result<Self, String> {
        Err(WITHOUT_FEATURE.into())
    }

    pub(super) async fn addresses(self, _: String, _: Family) -> Result<Found<IpAddr>, String> {
        Err(WITHOUT_FEATURE.into())
    }

    pub(super) async fn services(&self, _: &str) -> Result<Found<Service>, String> {
        Err(WITHOUT_FEATURE.into())
    }
}
