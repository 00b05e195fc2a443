//! A closure as a guard that takes a whole request.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/users" if |req: &prox::Request| req.headers().contains_key("x-beta") => canary,
    "/users" => users,
    "/canary" => canary,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
