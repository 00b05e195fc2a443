//! The options of a cluster on an endpoint alone: `API.rewrite("/")` is a target without a `backend` line.

use std::time::Duration;

use super::{
    BreakerOptions, BudgetOptions, Cluster, ClusterBuilder, Endpoint, HealthCheck, HedgeOptions,
    MirrorOptions, QueueOptions, RetryOptions, upstream,
};
use crate::pool::PoolOptions;
#[cfg(feature = "tls")]
use crate::tls::UpstreamTls;

macro_rules! options {
    ($($(#[$on:meta])* $option:ident($($argument:ident: $ty:ty),*);)*) => {
        /// Options that make a cluster of this one endpoint, as [`upstream`] does. Each is that of [`ClusterBuilder`].
        impl Endpoint {$(
            #[doc = concat!("A cluster of this endpoint, with [`ClusterBuilder::", stringify!($option), "`].")]
            $(#[$on])*
            pub fn $option(self, $($argument: $ty),*) -> ClusterBuilder {
                upstream(self).$option($($argument),*)
            }
        )*}
    };
}

options! {
    timeout(limit: Duration);
    response_timeout(limit: Duration);
    idle_timeout(limit: Duration);
    preserve_host();
    preserve_host_if(preserve: bool);
    host_header(host: impl AsRef<str>);
    public_address();
    public_address_if(public: bool);
    encoded_slashes();
    encoded_slashes_if(take: bool);
    forwarded();
    forwarded_if(forwarded: bool);
    retry(options: impl Into<RetryOptions>);
    hedge(options: impl Into<HedgeOptions>);
    mirror(to: Cluster, options: impl Into<MirrorOptions>);
    rewrite(template: impl AsRef<str>);
    connect_timeout(limit: Duration);
    pool(options: PoolOptions);
    max_response_headers(count: usize);
    max_response_header_size(bytes: usize);
    allow_equal_lengths();
    allow_equal_lengths_if(allow: bool);
    allow_folded_fields();
    allow_folded_fields_if(allow: bool);
    allow_bare_line_feeds();
    allow_bare_line_feeds_if(allow: bool);
    max_connections(limit: usize);
    queue(options: QueueOptions);
    retry_budget(options: BudgetOptions);
    health(check: impl HealthCheck);
    required();
    required_if(required: bool);
    breaker(options: BreakerOptions);
    #[cfg(feature = "tls")]
    tls(options: UpstreamTls);
    #[cfg(feature = "http2")]
    http2();
    #[cfg(feature = "http2")]
    http2_if(http2: bool);
}
