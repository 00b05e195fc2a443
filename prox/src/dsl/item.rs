//! The words that start a line, and those that stand in one.
//!
//! ```text
//! pub struct Edge;                                 // a name, or none for a gateway that is an expression
//!
//! env USERS_URL: Endpoint;
//! let limit = RateLimit::per_second(100);
//! backend users = cluster(rr, [USERS_URL]);
//! with [AccessLog::json()];
//!
//! host "api.example.com" {
//!     GET exact "/users" => users with [limit],
//! }
//!
//! expect GET "https://api.example.com/users" => users;
//! ```
//!
//! The words of Rust (`let`, `if`, `pub`, `struct`) are not among them; a route starts with a [method](super::method) or with
//! its path.

#![allow(
    non_upper_case_globals,
    reason = "these are the words as they are written"
)]

use super::Word;

/// A variable of the environment, read when the gateway starts.
///
/// ```text
/// env USERS_URL: Endpoint;               // has to be set
/// env RATE: u32 = 100;                   // has a default
/// env PEERS: Vec<Endpoint>;              // separated by commas
/// ```
///
/// It declares a variable of this name. The type is any `FromStr`, a `Vec` of one, an `Option` of one, or a `Duration`
/// (`250ms`). All that are missing or malformed are reported together, before anything is served. A comment with `///` above
/// it is shown in the tables of the gateway.
pub const env: Word = Word;

/// A name for what answers, to be used by any number of routes.
///
/// ```text
/// backend users = cluster(least_conn, [USERS_URL, "http://10.0.0.2:8080".weight(3)]).timeout(3s);
/// backend canary = "http://10.0.1.1:8080";
/// ```
///
/// It declares a variable, and a field of the gateway's `backends()`: a [`Cluster`](crate::Cluster). Routes that use it share
/// its endpoints and connections; `users.timeout(10s)` on a route changes that route alone. The lines of backends have no
/// order.
pub const backend: Word = Word;

/// Layers around routes, the outermost first.
///
/// ```text
/// with [AccessLog::json(), Recover::new()];        // around everything
/// host "api.example.com" with [auth] { .. }        // around the routes of a host or a scope
/// "/search" => search with [limit],                // around one route
/// ```
///
/// A layer is an `impl` [`Middleware`](crate::Middleware) (see [`middleware`](crate::middleware) for those that are there), a
/// tower `Layer`, or an async function `async fn(prox::Request, prox::Next) -> impl prox::IntoResponse`.
pub const with: Word = Word;

/// Every route below has a layer that says who may enter, or the gateway does not compile.
///
/// ```text
/// require auth;                                    // at the top, in a host or in a scope; for all below
/// "/healthz" => prox::readiness() with [public],   // anybody, on purpose
/// "/orders"  => orders with [auth],
/// ```
///
/// [The guide](crate::docs::authentication) has the layers that say so.
pub const require: Word = Word;

/// Routes for requests that name this host.
///
/// ```text
/// host "api.example.com" | "api.example.org" { .. }
/// host "*.tenants.example.com" with [auth] { .. }  // one label or more before the suffix
/// host API_HOST { .. }                             // the value of `env API_HOST: Host;`
/// host _ { .. }                                    // every other
/// ```
///
/// The host is chosen first: the exact name, else the longest suffix, else the routes outside of a `host`. There is no
/// falling through from one to another.
pub const host: Word = Word;

/// Routes for requests that come to the listener of this name.
///
/// ```text
/// on "internal" {                                  // Server::listener(Listener::new("internal").bind(":9000"))
///     "/metrics" => metrics,
///     host "admin.example.com" with [auth] { .. }
/// }
/// "/" => site,                                     // on every listener
/// ```
///
/// The listener is chosen before the host: its own routes are asked first, as if the gateway had no others. What none of them
/// takes goes to the routes outside of `on`, so a route here and the same route outside do not conflict. A name that no
/// [`Listener`](crate::Listener) of the server has is an error when it starts.
pub const on: Word = Word;

/// What has to come of a request, decided while compiling.
///
/// ```text
/// expect GET  "https://api.example.com/v1/users/7" => users;   // a backend, or a handler
/// expect POST "https://api.example.com/nowhere"    => 404;     // an answer of the gateway itself
/// expect on "internal" GET "/metrics"              => metrics; // at the listener of this name
/// expect GET  "https://{API_HOST}/v1"              => users;   // for the host of `host API_HOST { .. }`
/// ```
///
/// An expectation that does not hold does not compile; the message names the route that wins.
pub const expect: Word = Word;

/// This path alone, and nothing below it.
///
/// ```text
/// exact "/" => home,                     // takes "/"
/// "/api"    => api,                      // takes "/api", "/api/" and "/api/x"
/// ```
///
/// At the same path, `exact` wins over a prefix.
pub const exact: Word = Word;
