//! A weight beyond the largest number.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(weighted, ["http://10.0.0.1:8080".weight(5_000_000_000), "http://10.0.0.2:8080"]);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
