//! A variable with a default that nothing reads: a warning, here denied.

#![deny(warnings)]

prox::gateway! {
    pub struct Shop;

    env RATE: u32 = 100;

    "/users" => respond(200, "nobody"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
