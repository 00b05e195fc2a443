//! JSON that is no text.

prox::gateway! {
    pub struct Shop;

    "/health" => respond(200, { "status": "ok" }),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
