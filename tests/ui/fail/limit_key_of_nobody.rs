//! A limit by who the caller is, which no layer says.

use prox::middleware::RateLimit;

prox::gateway! {
    pub struct Shop;

    "/users" => "http://10.0.0.1:8080" with [RateLimit::per_second(5).by(principal())],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
