//! A host block of a variable that is not declared.

prox::gateway! {
    pub struct Shop;

    host API_HOST { "/" => respond(200, "api") }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
