//! A number where a truth value is expected.

prox::gateway! {
    pub struct Shop;

    env DEBUG: bool = 1;

    "/users" if move |_: &prox::Parts| DEBUG => "http://10.0.0.2:8080",
    "/users" => "http://10.0.0.1:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
