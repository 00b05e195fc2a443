//! A default of a variable that is not a host.

prox::gateway! {
    pub struct Shop;

    env API_HOST: Host = "https://api.example.com";

    host API_HOST { "/" => respond(200, "api") }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
