//! Layers that are not imported.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    with [AccessLog::json()];

    "/users" => users with [RateLimit::per_second(100).burst(20)],
    "/others" => users with [RateLimit::per_second(100)],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
