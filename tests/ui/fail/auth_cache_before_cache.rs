//! A cache stands before another one.

use prox::middleware::{Cache, ClientCerts};

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [ClientCerts::any(), Cache::new(64MiB), Cache::new(64MiB)],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
