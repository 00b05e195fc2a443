//! What finds the endpoints of a [`cluster`](super::cluster) while the gateway runs: the second thing in its brackets, in the
//! place of a list.
//!
//! ```text
//! cluster(rr, dns("http://users.internal:8080"))              // all addresses of a name
//! cluster(p2c, srv("http://_http._tcp.users.internal"))       // the places of a service
//! ```
//!
//! The guide `docs::discovery` says what becomes of requests when endpoints come and go. Both words need the feature `dns`; a type of one's own that implements [`Discover`](crate::Discover) needs no feature.

#[doc(inline)]
pub use prox_runtime::{dns, srv};
