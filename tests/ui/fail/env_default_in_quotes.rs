//! A number in quotes as a default.

use prox::middleware::RateLimit;

prox::gateway! {
    pub struct Shop;

    env RATE: u32 = "100";

    with [RateLimit::per_second(RATE)];

    "/users" => "http://10.0.0.1:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
