//! A cache would answer callers whom the layers behind it turn away.

use prox::middleware::{ClientCerts};

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

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [Store, ClientCerts::any()],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
