//! A closure as a guard that does not return a bool.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/users" if |req| req.headers.get("x-beta") => canary,
    "/users" => users,
    "/canary" => canary,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
