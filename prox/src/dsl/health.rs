//! How a backend asks whether its endpoints are well: what stands in `.health(..)`.
//!
//! ```text
//! backend users  = cluster(rr, ["http://10.0.0.1:8080"]).health(http("/healthz").every(5s).timeout(1s));
//! backend cache  = cluster(rr, ["http://10.0.1.1:8080"]).health(tcp());
//! backend orders = cluster(rr, ["http://10.0.2.1:50051"]).http2().health(grpc().service("shop.Orders"));
//! ```
//!
//! [The guide](crate::docs::resilience) says what follows from a check. One of somebody's own is any value that implements
//! [`HealthCheck`](crate::HealthCheck).

#[doc(inline)]
pub use prox_runtime::{grpc, http, tcp};
