//! A limit by a field that a stranger can choose.

use prox::middleware::RateLimit;

prox::gateway! {
    pub struct Shop;

    let limit = RateLimit::per_second(5).by(header("x-api-key"));

    "/users" => "http://10.0.0.1:8080" with [limit],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
