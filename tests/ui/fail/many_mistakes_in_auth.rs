//! Each of these chains is wrong, and each is told at its own token.

use prox::middleware::{ClientCerts, Cors, IdentityHeaders, IpRules, RateLimit, Require};

async fn check_session(req: prox::Request, next: prox::Next) -> prox::Response {
    next.run(req).await
}

/// Answers from a store.
struct Store;

impl prox::Middleware for Store {
    async fn handle(&self, req: prox::Request, next: prox::Next) -> prox::Response {
        next.run(req).await
    }
}

impl prox::middleware::Declares for Store {
    type Role = prox::middleware::role::Caches;
}

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";
    let auth = ClientCerts::any();
    let cors = Cors::origins(["https://shop.example.com"]);

    GET "/a" => users,
    GET "/b" => users with [RateLimit::per_second(1)],
    GET "/c" => users with [auth, public],
    GET "/d" => users with [auth, cors],
    GET "/e" => users with [public, Require::scope("e")],
    GET "/f" => users with [IdentityHeaders::new().subject("x-user"), auth],
    GET "/g" => users with [Store, auth],
    GET "/h" => users with [Store, IpRules::allow(["private"])],
    GET "/i" => users with [auth, Store, Require::scope("i")],
    GET "/j" => users with [check_session],
    host "api.example.com" with [auth] {
        "/v1" with [cors] {
            GET "/k" => users with [public],
        }
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
