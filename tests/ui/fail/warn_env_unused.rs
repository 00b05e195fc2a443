//! A variable that nothing reads: a warning, here denied.

#![deny(warnings)]

prox::gateway! {
    pub struct Shop;

    env USERS_URL: Endpoint;
    env USER_URL: Endpoint;

    "/users" => cluster(rr, [USERS_URL]),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
