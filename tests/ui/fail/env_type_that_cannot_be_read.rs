//! A type that cannot be read from a text.

use prox::middleware::RateLimit;

struct Limits {
    rate: u32,
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    env LIMITS: Limits;

    GET "/users" => users with [RateLimit::per_second(LIMITS.rate)],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
