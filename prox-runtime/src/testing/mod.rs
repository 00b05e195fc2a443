//! Kits for tests of one's own; with the feature `testing`.
//!
//! A gateway is tested without sockets: `Shop::test()`, of [`Testable`], makes a [`Harness`] in which each backend is a [`Fake`], and time is
//! that of the test.
//!
//! [`assert_balancer`] is one line in a test of one's own balancing policy. [`Endpoints`] is a cluster without sockets, for tests of
//! what is special about it: it makes endpoints busy, slow or ejected, and asks the policy. All random numbers follow from a
//! fixed seed, and time moves when it is told to, so a test gives the same result each time.
//!
//! [`assert_routes!`](assert_routes) fails with what fares otherwise than with a table of routes in a file.
//!
//! With the feature `jwt`, `Issuer` is an identity provider in the process of a test or of a demo: discovery, a set of keys, and signed tokens.

#[cfg(feature = "jwt")]
mod issuer;
mod kit;
mod routes;

#[cfg(feature = "jwt")]
pub use self::issuer::{Issuer, Token};
#[doc(inline)]
pub use self::kit::*;
pub use self::routes::{assert_routes, check_routes};
#[doc(inline)]
pub use crate::cluster::testing::*;
