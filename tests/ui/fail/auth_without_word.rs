//! Nothing stands behind `require`.

use prox::middleware::{ClientCerts};

prox::gateway! {
    pub struct Shop;

    require;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [ClientCerts::any()],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
