//! A default without its unit.

prox::gateway! {
    pub struct Shop;

    env TIMEOUT: Duration = 5;

    "/users" => cluster(rr, ["http://10.0.0.1:8080"]).timeout(TIMEOUT),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
