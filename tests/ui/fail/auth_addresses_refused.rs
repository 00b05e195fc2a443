//! Rules that refuse some addresses say nothing of the others.

use prox::middleware::{IpRules};

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [IpRules::deny(["203.0.113.0/24"])],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
