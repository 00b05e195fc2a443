//! A secret with a default, which would be in the binary.

use prox::{Secret, middleware::Jwt};

prox::gateway! {
    pub struct Shop;

    env SHARED: Secret = "0123456789abcdef0123456789abcdef";

    "/users" => "http://10.0.0.1:8080" with [Jwt::secret(SHARED).audience("shop")],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
