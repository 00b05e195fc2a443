//! An expectation for a variable that no host block has.

prox::gateway! {
    pub struct Shop;

    env API_HOST: Host = "api.example.com";

    host API_HOST { "/" => respond(200, "api") }

    expect GET "https://{WEB_HOST}/" => 200;
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
