//! A value that nothing uses: a warning of rustc, here denied.

#![deny(warnings)]

prox::gateway! {
    pub struct Shop;

    let limit = prox::middleware::RateLimit::per_second(100);

    "/users" => respond(200, "nobody"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
