//! A default without a scheme.

prox::gateway! {
    pub struct Shop;

    env USERS_URL: Endpoint = "users:8080";

    "/users" => cluster(rr, [USERS_URL]),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
