//! The gateway with a name.

use prox::{
    IntoResponse, Request,
    middleware::{RateLimit, Recover},
};

prox::gateway! {
    /// The public edge of the shop.
    pub struct Shop { greeting: String }

    /// Where the users are.
    env USERS_URL: Endpoint;
    env RATE: u32 = 100;

    let ratelimit = RateLimit::per_second(RATE).burst(20);

    /// Everybody who has an account.
    backend users = cluster(least_conn, [USERS_URL, "http://10.0.0.2:8080".weight(3)]).timeout(3s);
    backend canary = cluster(rr, ["http://10.0.1.1:8080"]);

    with [Recover::new()];

    host "api.example.com" with [ratelimit] {
        "/v1" => cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.3:8080"]),

        "/v1/users" {
            GET "/{id}"                             => users.rewrite("/people/{id}"),
            GET "/{id}" if header("x-beta").is("1") => canary,
            POST exact "/"                          => users.timeout(10s),
        }
        "/checkout" => split { 95 => users, 5 => canary },
        GET "/hello" => handler(hello),
        GET "/greeting" => respond(200, greeting),
        "/old"  => redirect(308, "/v1"),
        "/orders" => gateway(orders::Orders),
    }
    host "*.tenants.example.com" { "/" => "http://tenants:8080" }

    expect GET  "https://api.example.com/v1/users/7" => users;
    expect POST "https://api.example.com/nowhere"    => 404;
}

/// Says hello.
async fn hello(_: Request) -> impl IntoResponse {
    "hello"
}

/// How many endpoints serve users, which needs the field of the backend.
pub fn endpoints(shop: &Shop) -> usize {
    shop.backends().users.endpoints().len()
}

/// What is mounted.
pub mod orders {
    prox::gateway! {
        /// The orders of the shop.
        pub struct Orders;

        GET "/{id: int}" => "http://10.0.0.4:8080",
    }
}
