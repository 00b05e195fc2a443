//! A share that is not a number.

prox::gateway! {
    pub struct Shop;

    env CANARY: String = "5";

    "/" => split { 95 => respond(200, "a"), CANARY => respond(200, "b") },
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
