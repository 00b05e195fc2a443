//! A framework for reverse proxies and API gateways in which the gateway is Rust code.
//!
//! ```no_run
//! fn main() -> prox::Result {
//!     prox::run(prox::gateway! { "/" => "http://127.0.0.1:9000" })
//! }
//! ```
#![doc = include_str!("../docs/overview.md")]

pub mod dsl;

#[doc(inline)]
pub use prox_runtime::{
    Admin, Balancer, Body, BoxError, BoxHandler, BreakerOptions, BudgetOptions, CheckOptions,
    Claim, Client, ClientCert, Cluster, ClusterBuilder, Connections, Cookie, Credentials, Describe,
    Description, Embed, Embedded, Endpoint, EndpointError, Env, EnvInfo, Error, Explanation,
    Failure, Gateway, GoogleIdToken, Guard, Handler, Hash, HashKey, HedgeOptions, Host, HostError,
    IntoGateway, IntoResponse, IntoSticky, LeastConn, Listener, Matched, MetricsOptions,
    Middleware, MirrorOptions, Next, Origin, P2c, Parts, PassiveOptions, Pick, PoolOptions,
    Prepared, Principal, QueueOptions, Random, Refusal, Refused, Request, RequestExt, RequestKey,
    Response, Result, RetryOptions, RoundRobin, RouteInfo, Routes, SameSite, Seat, Secret, Server,
    SlowStart, Sticky, Tally, Token, TraceContext, Variables, cli, cli_with, google_id_token,
    key_of, metrics, run,
};

/// The crate `http`, of which requests and responses are: `prox::http::StatusCode`, `prox::http::HeaderMap`.
#[doc(no_inline)]
pub use http;

#[doc(inline)]
pub use prox_runtime::{
    CheckTarget, Condition, Counters, EndpointState, GrpcCheck, HealthCheck, HttpCheck, LastError,
    TcpCheck, UnknownEndpoint, readiness,
};

#[doc(inline)]
pub use prox_runtime::{ChangeKind, RouteChange, RouteDiff, RouteDiffError, RouteWitness};

#[doc(inline)]
pub use prox_runtime::{Discover, Dns, EndpointSet};

#[cfg(feature = "handover")]
#[doc(inline)]
pub use prox_runtime::Handover;

#[cfg(feature = "tls")]
#[doc(inline)]
pub use prox_runtime::{ClientAuth, Pem, Tls, UpstreamTls};

/// The crates of OpenTelemetry, of which a [`Server::tracer_provider`] is.
#[cfg(feature = "otel")]
#[doc(no_inline)]
pub use prox_runtime::{opentelemetry, opentelemetry_sdk};

#[cfg(feature = "otel")]
#[doc(inline)]
pub use prox_runtime::TraceOptions;

#[cfg(feature = "testing")]
#[doc(inline)]
pub use prox_runtime::testing;

/// Guides, one for each theme.
pub mod docs {
    #[doc = include_str!("../docs/tutorial.md")]
    pub mod tutorial {}

    #[doc = include_str!("../docs/glossary.md")]
    pub mod glossary {}

    #[doc = include_str!("../docs/reviewing.md")]
    pub mod reviewing {}

    #[doc = include_str!("../docs/clients.md")]
    pub mod clients {}

    #[doc = include_str!("../docs/listeners.md")]
    pub mod listeners {}

    #[doc = include_str!("../docs/authentication.md")]
    pub mod authentication {}

    #[doc = include_str!("../docs/browsers.md")]
    pub mod browsers {}

    #[doc = include_str!("../docs/limits.md")]
    pub mod limits {}

    #[cfg(all(feature = "cache", feature = "validate"))]
    #[doc = include_str!("../docs/bodies.md")]
    pub mod bodies {}

    #[cfg(all(feature = "cache", feature = "jwt"))]
    #[doc = include_str!("../docs/caching.md")]
    pub mod caching {}

    #[doc = include_str!("../docs/balancing.md")]
    pub mod balancing {}

    #[doc = include_str!("../docs/resilience.md")]
    pub mod resilience {}

    #[doc = include_str!("../docs/failures.md")]
    pub mod failures {}

    #[doc = include_str!("../docs/endings.md")]
    pub mod endings {}

    #[cfg(feature = "handover")]
    #[doc = include_str!("../docs/handover.md")]
    pub mod handover {}

    #[doc = include_str!("../docs/metrics.md")]
    pub mod metrics {}

    #[doc = include_str!("../docs/admin.md")]
    pub mod admin {}

    #[doc = include_str!("../docs/migrating.md")]
    pub mod migrating {}

    #[doc = include_str!("../docs/deploying.md")]
    pub mod deploying {}

    #[doc = include_str!("../docs/logging.md")]
    pub mod logging {}

    #[doc = include_str!("../docs/embedding.md")]
    pub mod embedding {}

    #[doc = include_str!("../docs/middleware.md")]
    pub mod middleware {}

    #[doc = include_str!("../docs/extending.md")]
    pub mod extending {}

    #[doc = include_str!("../docs/configuration.md")]
    pub mod configuration {}

    #[doc = include_str!("../docs/security.md")]
    pub mod security {}

    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}

    #[cfg(feature = "dns")]
    #[doc = include_str!("../docs/discovery.md")]
    pub mod discovery {}

    #[cfg(feature = "otel")]
    #[doc = include_str!("../docs/tracing.md")]
    pub mod tracing {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}

    #[cfg(feature = "tls")]
    #[doc = include_str!("../docs/tls.md")]
    pub mod tls {}
}

/// Ready-made middleware for `with [..]`, and what takes tower's.
pub mod middleware {
    #[cfg(feature = "auth")]
    #[doc(inline)]
    pub use prox_runtime::auth::{ApiKeys, Basic, Key, KeyDigest, KeyFile, KeyStore};
    #[cfg(feature = "jwt")]
    #[doc(inline)]
    pub use prox_runtime::auth::{Audience, Introspect, Jwt, KeyFetches, NoAudience};
    #[doc(inline)]
    pub use prox_runtime::{
        auth::{
            Admits, Authenticate, AuthenticateExt, Authenticator, ByClaim, ByPrincipal,
            ClientCerts, Denied, ForwardAuth, IdentityHeaders, IntoRemote, Optional, Or, Public,
            Remote, Require, RequireClaim, UpstreamAuth, Verdict,
        },
        middleware::*,
    };
}

/// Writes a gateway: routes, backends, layers and variables, checked while compiling.
#[doc = include_str!("../docs/gateway.md")]
#[macro_export]
macro_rules! gateway {
    ($($tokens:tt)*) => {
        $crate::__private::gateway_impl! { $crate $($tokens)* }
    };
}

#[doc(hidden)]
pub mod __private {
    pub use ::core;
    pub use ::std::time::Duration;

    pub use crate::middleware;
    pub use prox_macros::gateway_impl;
    pub use prox_runtime::*;
    pub use tower_service;

    /// What the list of a cluster does with each of its elements.
    pub fn endpoint(endpoint: impl IntoEndpoint) -> ::core::result::Result<Endpoint, NoEndpoint> {
        endpoint.into_endpoint()
    }

    /// What `with [..]` does with each of its elements; beside it stands its type.
    pub fn layer<M, L: middleware::IntoLayer<M>>(
        layer: L,
    ) -> (middleware::Layer, middleware::role::Typed<L>)
    where
        L::Shared: Send + Sync,
        L::Service: Send + Sync,
        L::Runs: Send,
    {
        (layer.into_layer(), middleware::role::Typed::new())
    }

    pub use prox_runtime::middleware::role::declared;

    /// Tells the closure of a guard the type of its argument.
    pub fn closure_as_guard<F: Fn(&Parts) -> bool>(guard: F) -> F {
        guard
    }

    /// Tells the closure of a layer the types of its arguments.
    pub fn closure_as_layer<F, Fut>(layer: F) -> F
    where
        F: Fn(Request, Next) -> Fut,
        Fut: Future,
    {
        layer
    }

    /// Stands for a value that was awaited where nothing can be, which has been reported.
    pub fn awaited<T>(_: impl Future<Output = T>) -> T {
        unreachable!("a gateway with mistakes does not compile")
    }

    /// What is not a gateway with a name has a constructor, too, so that its type alone is what is wrong.
    pub trait NotNamed: Sized {
        /// Something of the right type.
        fn __assembly() -> ::core::result::Result<(Assembly, ()), Box<Assembly>> {
            unreachable!("this does not compile")
        }
    }

    impl<T> NotNamed for T {}

    pub use crate::__items as items;
    pub use crate::__mounted as mounted;
    pub use crate::__mounted_methods as mounted_methods_of;
    pub use crate::__mounted_variables as mounted_variables;
    pub use crate::__service_impl as service_impl;
    pub use crate::dsl::places;
}

/// Makes a gateway with a name a tower service, by the gateway inside of it.
#[doc(hidden)]
#[macro_export]
macro_rules! __service_impl {
    ($name:ident) => {
        impl<B> $crate::__private::tower_service::Service<$crate::__private::HttpRequest<B>>
            for $name
        where
            $crate::Gateway:
                $crate::__private::tower_service::Service<$crate::__private::HttpRequest<B>>,
        {
            type Response = <$crate::Gateway as $crate::__private::tower_service::Service<
                $crate::__private::HttpRequest<B>,
            >>::Response;
            type Error = <$crate::Gateway as $crate::__private::tower_service::Service<
                $crate::__private::HttpRequest<B>,
            >>::Error;
            type Future = <$crate::Gateway as $crate::__private::tower_service::Service<
                $crate::__private::HttpRequest<B>,
            >>::Future;

            fn poll_ready(
                &mut self,
                cx: &mut ::core::task::Context<'_>,
            ) -> ::core::task::Poll<::core::result::Result<(), Self::Error>> {
                $crate::__private::tower_service::Service::poll_ready(
                    &mut ::core::clone::Clone::clone(&**self),
                    cx,
                )
            }

            fn call(&mut self, req: $crate::__private::HttpRequest<B>) -> Self::Future {
                $crate::__private::tower_service::Service::call(
                    &mut ::core::clone::Clone::clone(&**self),
                    req,
                )
            }
        }
    };
}

/// The routes of a gateway and of those that are mounted in it, as one table.
#[doc(hidden)]
#[macro_export]
macro_rules! __mounted {
    ($own:ident, $mounts:ident) => {{
        use $crate::__private as p;
        const SIZE: p::MountedSize = p::mounted_size(&$own, $mounts);
        const TEXT: [u8; SIZE.text] = p::mounted_text(&$own, $mounts);
        const LAYERS: [&::core::primitive::str; SIZE.layers] = p::mounted_layers(&$own, $mounts);
        const ROWS: [$crate::RouteInfo; SIZE.rows] =
            p::mounted_rows(&$own, $mounts, p::text_of(&TEXT), &LAYERS);
        $crate::Routes::new(&ROWS)
    }};
}

/// The variables of a gateway and of those that are mounted in it, as one table.
#[doc(hidden)]
#[macro_export]
macro_rules! __mounted_variables {
    ($own:ident, $mounts:ident) => {{
        use $crate::__private as p;
        const SIZE: ::core::primitive::usize = p::mounted_env_size($own, $mounts);
        const ROWS: [$crate::EnvInfo; SIZE] = p::mounted_env($own, $mounts);
        $crate::Variables::new(&ROWS)
    }};
}

/// The methods beyond the nine of a gateway and of those that are mounted in it.
#[doc(hidden)]
#[macro_export]
macro_rules! __mounted_methods {
    ([$($own:literal),*], $mounts:ident) => {{
        use $crate::__private as p;
        const OWN: &[&::core::primitive::str] = &[$($own),*];
        const SIZE: ::core::primitive::usize = p::mounted_methods_size(OWN, $mounts);
        const METHODS: [&::core::primitive::str; SIZE] = p::mounted_methods(OWN, $mounts);
        &METHODS
    }};
}

/// Items that stand in a gateway by mistake, apart from the rest of its expansion.
#[doc(hidden)]
#[macro_export]
macro_rules! __items {
    ($($item:tt)*) => {
        $($item)*
    };
}

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
