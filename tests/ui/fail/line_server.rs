//! An endpoint of HAProxy or nginx on a line of its own.

prox::gateway! {
    pub struct Shop;

    server s1 10.0.0.1:8080 weight 3;

    "/users" => "http://10.0.0.1:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
