//! No preflight gets past an authenticator.

use prox::middleware::{ClientCerts, Cors};

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    let auth = ClientCerts::any();
    let cors = Cors::origins(["https://shop.example.com"]);

    GET "/users" => users with [auth, cors],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
