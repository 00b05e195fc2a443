//! A gateway that mounts itself.


prox::gateway! {
    pub struct Shop;

    "/shop" => gateway(Shop),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
