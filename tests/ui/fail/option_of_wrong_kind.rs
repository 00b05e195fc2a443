//! Options with an argument of another kind than they take.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"])
        .retry(3s)
        .max_connections("100")
        .queue(50)
        .breaker(5)
        .health("/healthz")
        .sticky("session");

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
