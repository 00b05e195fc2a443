//! How a [`cluster`](super::cluster) chooses one of its endpoints: the first thing in its brackets.
//!
//! ```text
//! cluster(least_conn, ["http://10.0.0.1:8080", "http://10.0.0.2:8080".weight(3)])
//! ```
//!
//! [The guide](crate::docs::balancing) says which to choose. A policy of one's own is any value that implements [`Balancer`].

#![allow(
    non_upper_case_globals,
    reason = "these are the words as they are written"
)]

#[doc(inline)]
pub use prox_runtime::hash;
use prox_runtime::{Balancer, LeastConn, P2c, Pick, Random, RoundRobin};

/// What an editor takes a policy for.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Policy;

impl Balancer for Policy {
    fn pick(&self, _: &Pick<'_>) -> Option<usize> {
        None
    }
}

macro_rules! policies {
    ($($(#[doc = $doc:literal])+ $name:ident: $policy:ident)*) => {
        $(
            $(#[doc = $doc])+
            #[allow(
                clippy::declare_interior_mutable_const,
                reason = "each cluster takes its own"
            )]
            pub const $name: $policy = $policy::new();
        )*

        /// The same words for editors, which would show the inside of a value.
        #[doc(hidden)]
        pub mod words {
            use super::Policy;
            pub use super::hash;

            $(
                $(#[doc = $doc])+
                pub const $name: Policy = Policy;
            )*
        }
    };
}

policies! {
    /// Balances one after the other: smoothly interleaved and exact when the endpoints have weights.
    ///
    /// ```text
    /// cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080".weight(3)])
    /// ```
    rr: RoundRobin
    /// Balances in proportion to the weights, exactly and smoothly interleaved: [`rr`], by the name that says so.
    ///
    /// ```text
    /// cluster(weighted, ["http://10.0.0.1:8080", "http://10.0.0.2:8080".weight(3)])
    /// ```
    weighted: RoundRobin
    /// Balances to the endpoint with the fewest requests under way, in proportion to its weight; ties are drawn by
    /// weight.
    ///
    /// ```text
    /// cluster(least_conn, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
    /// ```
    least_conn: LeastConn
    /// Balances to any endpoint, in proportion to its weight; the order differs from start to start.
    ///
    /// ```text
    /// cluster(random, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
    /// ```
    random: Random
    /// Balances to the better of two endpoints that are drawn by weight: the one that answers faster and has fewer requests
    /// under way.
    ///
    /// ```text
    /// cluster(p2c, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
    /// ```
    p2c: P2c
}
