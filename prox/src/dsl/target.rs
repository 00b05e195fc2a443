//! What can follow `=>`: who answers.
//!
//! ```text
//! "/users"    => "http://10.0.0.1:8080",                 // a URL in quotes: one upstream
//! "/search"   => search,                                 // the name of a backend
//! "/v1"       => cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]),
//! "/checkout" => split { 95 => users, 5 => canary },
//! "/hello"    => handler(hello),                         // an async function
//! "/admin"    => service(axum_router),                   // a tower service
//! "/old"      => redirect(308, "/v1"),
//! "/gone"     => respond(410, "moved away in 2025"),
//! ```

#![allow(non_upper_case_globals, reason = "this is the word as it is written")]

#[doc(inline)]
pub use prox_runtime::{cluster, handler, redirect, respond, service};

use super::Word;

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
