//! A type that is not a gateway with a name.


prox::gateway! {
    pub struct Shop;

    "/orders" => gateway(String),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
