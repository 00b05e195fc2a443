//! The service would be asked about preflights, which carry no session: it turns them away.

use prox::middleware::{Cors, ForwardAuth};

prox::gateway! {
    pub struct Shop;

    require auth;

    backend office = "http://10.0.0.1:8080";
    backend login = "http://10.0.0.3:9091";

    GET "/office" => office with [
        ForwardAuth::new(login).uri("/verify").copy(["remote-user"]),
        Cors::origins(["https://shop.example.com"]),
    ],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().office);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/office"));
    prox::run(shop)
}
