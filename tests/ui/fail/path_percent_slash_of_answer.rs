//! An encoded slash before a target that is not a backend.

prox::gateway! {
    pub struct Shop;

    "/users%2Factive" => respond(200, "active"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
