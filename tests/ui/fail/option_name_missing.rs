//! The name of an option is missing.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/a" => users.,
    "/b" => cluster(rr, ["http://10.0.0.3:8080", "http://10.0.0.4:8080"]).,
    "/users" => users,
    "/canary" => canary,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
