//! The words of `with [..]` about who may enter, and what a layer can ask of a caller that is known.
//!
//! ```text
//! require auth;
//! "/healthz" => prox::readiness() with [public],
//! "/legacy"  => legacy with [upstream_auth],
//! "/mine"    => mine with [admits(check_session)],
//! ```

#[doc(inline)]
pub use prox_runtime::auth::{admits, claim, principal, public, upstream_auth};
