//! The match tree as code and as tables, of the same gateway, give the same candidates.

#![allow(missing_docs, reason = "a test has no documentation")]

use proptest::prelude::*;

/// What the expansion needs of the facade, which depends on this crate.
mod facade {
    pub(crate) use prox_runtime::*;

    pub(crate) mod __private {
        pub(crate) use prox_runtime::*;
        pub(crate) use std::time::Duration;

        macro_rules! service_impl {
            ($name:ident) => {};
        }
        pub(crate) use service_impl;
    }
}

prox_macros::gateway_impl! {
    facade
    struct Edge;

    host "a.example.com" {
        GET "/" => respond(200, ""),
        exact "/" => respond(201, ""),
        "/v1" {
            GET "/users/{id}" => respond(200, ""),
            GET exact "/users/{id}" => respond(201, ""),
            "/users/{id}/orders/{order}" => respond(200, ""),
            "/users/me/orders" => respond(200, ""),
            exact "/users/" => respond(200, ""),
            "/{kind}/me" => respond(200, ""),
            POST "/eight-ch" => respond(200, ""),
            POST "/eight-chars" => respond(200, ""),
            POST "/eight-character-names-1" => respond(200, ""),
            "/files/{*path}" => respond(200, ""),
        }
        "/{anything}/7" => respond(200, ""),
    }
    host "*.example.com" { exact "/v1" => redirect(308, "/v2"), "/v2/{a}/{b}" => respond(200, "") }
    "/only" => respond(200, ""),
}

const SEGMENTS: [&str; 14] = [
    "",
    "v1",
    "v2",
    "users",
    "me",
    "7",
    "orders",
    "files",
    "eight-ch",
    "eight-chars",
    "eight-character-names-1",
    "eight-character-names-2",
    "only",
    "v",
];

proptest! {
    #[test]
    fn code_and_tables_give_the_same_candidates(
        host in prop::sample::select(&["a.example.com", "b.example.com", "elsewhere", ""][..]),
        segments in prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 1..7),
    ) {
        let path = format!("/{}", segments.join("/"));
        let table = Edge::__table();
        prop_assert_eq!(table.find(host, &path), table.find_by_tables(host, &path), "{} {}", host, path);
    }
}

#[test]
fn the_tables_of_a_gateway_can_be_read() {
    assert_eq!(Edge::ROUTES.len(), 16);
    assert!(
        Edge::ROUTES
            .iter()
            .all(|route| route.file.ends_with("code.rs") && route.line > 20)
    );
    let explanation = Edge::explain("GET", "https://a.example.com/v1/users/7");
    assert_eq!(
        explanation.route().unwrap().to_string(),
        "GET exact /v1/users/{id}"
    );
    let text = explanation.to_string();
    assert!(text.contains("takes it"), "{text}");
    assert!(Edge::explain("GET", "/nowhere").status().unwrap() == 404);
    let _ = Edge::backends;
    let _ = Edge::new;
}
