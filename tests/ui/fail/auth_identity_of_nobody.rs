//! Upstreams are to be told who the caller is, and nothing knows.

use prox::middleware::{IdentityHeaders};

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [public, IdentityHeaders::new().subject("x-user")],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
