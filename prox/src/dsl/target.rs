//! What can follow `=>`: who answers.
//!
//! ```text
//! "/users"    => "http://10.0.0.1:8080",                 // a URL in quotes: one upstream
//! "/search"   => search,                                 // the name of a backend
//! "/v1"       => cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]),
//! "/checkout" => split { 95 => users, 5 => canary },
//! "/hello"    => handler(hello),                         // an async function
//! "/admin"    => service(axum_router),                   // a tower service
//! "/orders"   => gateway(orders::Orders),                // another gateway with a name, of any module or crate
//! "/old"      => redirect(308, "/v1"),
//! "/gone"     => respond(410, "moved away in 2025"),
//! ```

#![allow(non_upper_case_globals, reason = "this is the word as it is written")]

#[doc(inline)]
pub use prox_runtime::{cluster, handler, redirect, respond, service};

use super::Word;

/// Mounts another gateway below the path of the route: one with a name, of any module or crate.
///
/// ```text
/// "/orders" => gateway(orders::Orders),
/// "/stock"  => gateway(stock::Stock::new(db)) with [auth],
/// host "billing.example.com" { "/" => gateway(billing::Billing) }
/// ```
///
/// All of it becomes part of this gateway: its routes, variables, backends and layers. The guide is in
/// [`gateway!`](crate::gateway#gateways-in-several-modules-and-crates).
///
/// What stands in the brackets is a type, since its routes are read while compiling, or its `new` with what the gateway is made from.
/// The word is only known behind `=>` of a route; called anywhere else it does nothing.
pub fn gateway<T>(_: T) -> Word {
    Word
}

/// Shares requests between targets in proportion to their weights, exactly and smoothly interleaved.
///
/// ```text
/// "/checkout" => split { 95 => users, 5 => canary },
/// "/checkout" => split { 95 => users, 5 => canary }.sticky(cookie("variant")),
/// ```
///
/// A weight is a number from 1 on; they need not add up to 100. An arm is any other target. With `.sticky(cookie("name"))` a
/// client stays where it was first; see [`Split::sticky`](prox_runtime::Split::sticky).
pub const split: Word = Word;
