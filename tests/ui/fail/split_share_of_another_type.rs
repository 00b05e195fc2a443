//! Shares of other types than `u32`: a variable, and a value.

prox::gateway! {
    pub struct Shop;

    env CANARY: String = "5";

    let share = 5_i64;

    "/value" => split { 95 => respond(200, "a"), share => respond(200, "b") },
    "/" => split { 95 => respond(200, "a"), CANARY => respond(200, "b") },
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
