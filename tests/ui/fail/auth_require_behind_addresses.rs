//! An address says nothing of who the caller is.

use prox::middleware::{IpRules, Require};

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [IpRules::allow(["10.0.0.0/8"]), Require::scope("users")],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
