//! The runtime of [Prox](https://docs.rs/prox): what a gateway's expansion calls, and what serves it.
//!
//! Depend on `prox`, which re-exports all of this beside the macro. From the socket inwards: `server` accepts and speaks
//! HTTP; `gateway` asks `route` which route wins; its [`middleware`] run; `proxy` applies `forward`, asks `cluster` for an
//! endpoint, takes a connection from `pool`, and sends.

pub mod auth;
mod body;
mod civil;
mod cli;
mod client;
mod cluster;
mod coding;
mod columns;
mod connect;
mod env;
mod error;
#[cfg(feature = "auth")]
mod expiring;
mod fingerprint;
mod forward;
#[cfg(feature = "http2")]
mod frames;
mod framing;
mod gateway;
mod handler;
mod identity;
mod inspect;
#[cfg(feature = "lambda")]
mod lambda;
mod limits;
mod metrics;
pub mod middleware;
mod network;
mod observe;
#[cfg(feature = "otel")]
mod otel;
mod pool;
mod proxy;
mod replay;
#[cfg(any(feature = "auth", feature = "tls"))]
mod reread;
mod respond;
mod route;
mod secret;
mod server;
mod stream;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod tls;
mod tunnel;
mod vars;
mod watch;
mod words;

#[doc(hidden)]
pub use crate::gateway::{
    AnswersRequests, Called, CalledHandler, CalledLayer, ChoosesEndpoints, HandlerByName, Handles,
    LayerByName, LetsRequestsThrough, Limit, Named, NamedOther, NoPolicy, OtherLimit, OwnPolicy,
    RateOfZero, Returned, ReturnedOther, Something, TakesRequests, passes,
};
#[cfg(feature = "otel")]
pub use crate::otel::TraceOptions;
#[cfg(feature = "handover")]
pub use crate::server::Handover;
#[cfg(feature = "tls")]
pub use crate::tls::{ClientAuth, Pem, Tls, UpstreamTls};
#[doc(hidden)]
pub use http::Request as HttpRequest;
#[cfg(feature = "otel")]
#[doc(no_inline)]
pub use {opentelemetry, opentelemetry_sdk};

pub use crate::{
    body::Body,
    cli::{cli, cli_with},
    client::Client,
    cluster::{
        Balancer, BreakerOptions, BudgetOptions, CheckOptions, CheckTarget, Cluster,
        ClusterBuilder, Condition, Counters, Credentials, Discover, Dns, Endpoint, EndpointError,
        EndpointSet, EndpointState, Endpoints, GoogleIdToken, GrpcCheck, Hash, HealthCheck,
        HedgeOptions, HttpCheck, IntoEndpoint, IntoEndpoints, IntoSticky, LastError, LeastConn,
        MirrorOptions, NoEndpoint, P2c, PassiveOptions, Pick, Prepared, QueueOptions, Random,
        RetryOptions, RoundRobin, SameSite, Seat, SlowStart, Sticky, TcpCheck, Token,
        UnknownEndpoint, Weighted, cluster, dns, google_id_token, grpc, http, key_of, srv, tcp,
        upstream,
    },
    env::FromEnv,
    error::{BoxError, Error, Failure, Origin, Result},
    gateway::{
        Assembly, Describe, Description, Embed, Embedded, Gateway, GatewayFuture, HashKey,
        IntoBackend, IntoGateway, IntoTarget, Metrics, Readiness, Redirect, Respond, Split, Target,
        explain, hash, metrics, readiness, redirect, respond, run,
    },
    handler::{
        BoxHandler, Dispatch, Handler, HandlerFn, IntoResponse, Parts, Request, Response, handler,
    },
    identity::{Claim, Principal},
    metrics::MetricsOptions,
    middleware::{Middleware, Next, service},
    observe::{Refusal, Refused, TraceContext},
    pool::PoolOptions,
    route::*,
    secret::Secret,
    server::{Admin, Connections, Listener, Server},
    tls::ClientCert,
    vars::Env,
    watch::Tally,
};
