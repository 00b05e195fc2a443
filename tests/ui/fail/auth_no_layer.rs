//! A route without any layer lets anybody in, where `require auth` holds.

use prox::middleware::{ClientCerts};

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [ClientCerts::any()],
    GET "/healthz" => respond(200, "ok"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
