//! An optional authenticator lets callers without credentials pass.

use prox::middleware::{AuthenticateExt, ClientCerts};

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [ClientCerts::any().optional()],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
