//! A limit is kept for each value that a client can choose.

use prox::middleware::{ClientCerts};

/// Keeps something for each value of a field.
struct ByKey;

impl prox::Middleware for ByKey {
    async fn handle(&self, req: prox::Request, next: prox::Next) -> prox::Response {
        next.run(req).await
    }
}

impl prox::middleware::Declares for ByKey {
    type Role = prox::middleware::role::KeyedByClient;
}

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [ByKey, ClientCerts::any()],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
