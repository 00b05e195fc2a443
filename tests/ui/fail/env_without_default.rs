//! A default that is missing.

use prox::middleware::RateLimit;

prox::gateway! {
    pub struct Shop;

    env RATE: u32 = ;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]);

    GET "/users" => users with [RateLimit::per_second(RATE)],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
