//! Asks the name servers, by hickory.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, Record, RecordType},
};

use super::dns::{Family, Found, Service};

/// The name servers of this machine, or others; and its `hosts` file.
#[derive(Clone)]
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// Reads the configuration of this machine, if there are no `nameservers`.
    pub(super) fn new(nameservers: &[SocketAddr]) -> Result<Self, String> {
        let mut builder = if nameservers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| {
                format!("the name servers of this machine cannot be found: {error}")
            })?
        } else {
            let servers = nameservers.iter().map(nameserver).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        // Nobody asks before the time of an answer is over, and then the next answer is wanted.
        options.cache_size = 0;
        // An alias may hold for a shorter time than what it stands for.
        options.preserve_intermediates = true;
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    /// The addresses of a name; none, if it is not there or has none.
    pub(super) async fn addresses(
        self,
        name: String,
        family: Family,
    ) -> Result<Found<IpAddr>, String> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        self.look_up(&name, kind, |record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }

    /// The places where a service is; none, if it is not there or nowhere.
    pub(super) async fn services(&self, name: &str) -> Result<Found<Service>, String> {
        self.look_up(name, RecordType::SRV, |record| match &record.data {
            // The root says that the service is nowhere (RFC 2782).
            RData::SRV(service) if !service.target.is_root() => Some(Service {
                priority: service.priority,
                weight: service.weight,
                port: service.port,
                target: service.target.to_ascii(),
            }),
            _ => None,
        })
        .await
    }

    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&Record) -> Option<T>,
    ) -> Result<Found<T>, String> {
        self.0.clear_lookup_cache(name, kind);
        match self.0.lookup(name, kind).await {
            Ok(lookup) => {
                let ttl = lookup.answers().iter().map(|record| record.ttl).min();
                Ok(Found {
                    items: lookup.answers().iter().filter_map(read).collect(),
                    ttl: Duration::from_secs(ttl.unwrap_or(0).into()),
                })
            }
            Err(error) if error.is_no_records_found() => Ok(Found::nothing()),
            Err(NetError::Timeout) => Err("the name servers do not answer".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn nameserver(address: &SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}
