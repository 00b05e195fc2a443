//! What can follow `if`: which of the requests with the right path and method a route takes.
//!
//! ```text
//! GET "/users" if header("x-beta").is("1") => canary,
//! GET "/users" if |req: &prox::Parts| req.uri.query().is_none() => cached,
//! GET "/users" => users,
//! ```
//!
//! A route with a guard stands before the one without. A guard of one's own is any `Fn(&prox::Parts) -> bool`.

#[doc(inline)]
pub use prox_runtime::{client_ip, cookie, header, query};

/// Takes only those of the requests with the right path and method that this accepts.
///
/// ```text
/// GET "/users" if header("x-beta").is("1") => canary,
/// ```
///
/// What follows is a key of the request ([`header`], [`query`], [`cookie`], [`client_ip`]) with a comparison, or any
/// `Fn(&prox::Parts) -> bool`. A route with a guard stands before the one without.
#[allow(non_upper_case_globals, reason = "this is the word as it is written")]
#[doc(hidden)]
pub const r#if: super::Word = super::Word;
