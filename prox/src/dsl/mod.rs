//! The words of the language, each documented as a reader meets it in [`gateway!`](crate::gateway).
//!
//! What stands at the root of this module needs no import where the macro takes an expression. A name that the user declares
//! comes before a word. The modules are the words by the place where they stand: [`item`]s start a line, [`method`]s a route, a [`guard`] follows
//! `if`, a [`target`] follows `=>`, a [`policy`] is the first thing in `cluster(..)`, [what finds endpoints](discovery) may be
//! the second, a [`health`] check stands in `.health(..)`, and a [`layer`] in `with [..]`. They are what an editor shows for the words of a gateway;
//! nobody has to name them.

pub mod discovery;
pub mod guard;
pub mod health;
pub mod item;
pub mod layer;
pub mod method;
#[doc(hidden)]
pub mod places;
pub mod policy;
pub mod target;

#[doc(inline)]
pub use prox_runtime::{Endpoint, Host, Weighted};
pub use std::time::Duration;

#[doc(no_inline)]
pub use self::{
    discovery::{dns, srv},
    guard::{client_ip, cookie, header, query},
    health::{grpc, http, tcp},
    layer::{admits, claim, principal, public, upstream_auth},
    policy::{hash, least_conn, p2c, random, rr, weighted},
    target::{cluster, gateway, handler, redirect, respond, service},
};

#[doc(inline)]
pub use prox_runtime::middleware::{param, route};

/// A word that has no value: what it means is in its documentation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Word;
