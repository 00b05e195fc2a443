//! One variable for two host blocks.

prox::gateway! {
    pub struct Shop;

    env API_HOST: Host = "api.example.com";

    host API_HOST { "/v1" => respond(200, "one") }
    host API_HOST { "/v2" => respond(200, "two") }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
