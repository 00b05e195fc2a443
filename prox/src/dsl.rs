//! The words of the language: what is in scope inside of [`gateway!`](crate::gateway), with nothing to import.

#[doc(inline)]
pub use prox_runtime::{
    Endpoint, Weighted, client_ip, cluster, cookie, handler, header, query, redirect, respond,
    service,
};
pub use std::time::Duration;

use prox_runtime::{LeastConn, Random, RoundRobin};

/// Balances one after the other: smoothly interleaved and exact when the endpoints have weights.
#[allow(non_upper_case_globals, clippy::declare_interior_mutable_const)]
pub const rr: RoundRobin = RoundRobin::new();

/// Balances to the endpoint with the fewest requests under way, in proportion to its weight; ties go round.
#[allow(non_upper_case_globals, clippy::declare_interior_mutable_const)]
pub const least_conn: LeastConn = LeastConn::new();

/// Balances to any endpoint, in proportion to its weight; the order differs from start to start.
#[allow(non_upper_case_globals, clippy::declare_interior_mutable_const)]
pub const random: Random = Random::new();
