//! A gateway in a crate with all lints of clippy: what the macro writes sets none of them off. `cargo clippy` is what tests it.

#![warn(clippy::pedantic, clippy::nursery, clippy::restriction)]
#![allow(
    clippy::allow_attributes_without_reason,
    clippy::blanket_clippy_restriction_lints,
    clippy::absolute_paths,
    clippy::implicit_return,
    clippy::missing_docs_in_private_items,
    clippy::single_call_fn,
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "of this code itself"
)]

use prox::middleware::{RateLimit, Recover};

async fn hello(_: prox::Request) -> &'static str {
    "hello"
}

prox::gateway! {
    /// The public edge of the shop.
    pub(crate) struct Shop { name: &'static str }

    env USERS_URL: Endpoint = "http://10.0.0.9:8080";
    env RATE: u32 = 100;
    env URLS: Vec<Endpoint> = ["http://a.example", "http://b.example"];
    env TIMEOUT: Duration = 5s;
    env SIZE: usize = 16KiB;

    let ratelimit = RateLimit::per_second(RATE).burst(20);

    /// Users.
    backend users = cluster(least_conn, [USERS_URL, "http://10.0.0.2:8080".weight(3)])
        .health(http("/healthz").every(5s).timeout(1s))
        .retry(2)
        .timeout(TIMEOUT)
        .max_connections(SIZE);
    backend canary = cluster(rr, ["http://10.0.1.1:8080"]);

    with [Recover::new()];

    host "api.example.com" with [Recover::new()] {
        "/v1" => cluster(rr, URLS) with [ratelimit],
        "/v1/users" {
            GET "/{id}" => users.rewrite("/people/{id}"),
            GET "/{id}" if header("x-beta").is("1") => canary,
            POST exact "/" => users.timeout(10s),
        }
        "/checkout" => split { 95 => users.mirror(canary, 0.1), 5 => canary }.sticky(cookie("variant")),
        GET "/hello" => handler(hello),
        "/hi" => handler(async |_: prox::Request| "hi"),
        "/old" => redirect(308, "/v1"),
        "/gone" => respond(410, "moved away in 2025"),
        "/name" => { let text = name; respond(200, text) },
    }
    host "*.tenants.example.com" | "tenants.example.com" { "/" => "http://tenants:8080" }
    host _ { "/files/{*rest}" => users }

    expect GET  "https://api.example.com/v1/users/7" => users;
    expect POST "https://api.example.com/nowhere" => 404;
}

fn here(upstream: &str) -> prox::Result<prox::Gateway> {
    prox::gateway! {
        backend other = cluster(rr, [upstream]);
        "/" => other.timeout(5s),
        "/x" if |parts: &prox::Parts| parts.headers.is_empty() => respond(200, "x") with [Recover::new()],
    }
}

#[test]
fn the_gateway_without_a_lint_starts() {
    let shop = Shop::new("shop").unwrap();
    assert_eq!(shop.routes().len(), 12);
    assert_eq!(here("http://10.0.0.1:8080").unwrap().routes().len(), 2);
    drop(shop.backends().users.clone());
    drop(Shop::explain("GET", "/"));
}
