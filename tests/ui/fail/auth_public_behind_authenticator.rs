//! What is around the route has turned callers away before `public`.

use prox::middleware::{ClientCerts};

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";

    "/v1" with [ClientCerts::any()] {
        GET "/users" => users,
        GET "/healthz" => users with [public],
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
