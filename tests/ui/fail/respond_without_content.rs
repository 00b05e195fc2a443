//! A text with a status that has none.

prox::gateway! {
    pub struct Shop;

    "/users" => respond(204, "deleted"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
