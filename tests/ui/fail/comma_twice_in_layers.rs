//! Two commas between two layers.

use prox::middleware::{AccessLog, Recover};

prox::gateway! {
    pub struct Shop;

    with [AccessLog::json(),, Recover::new()];

    "/users" => "http://10.0.0.1:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
