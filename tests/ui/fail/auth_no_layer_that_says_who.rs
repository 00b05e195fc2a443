//! None of the layers says who may enter, as their types tell.

use prox::middleware::{AccessLog, ClientCerts, RateLimit, Recover};

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";

    with [AccessLog::json(), Recover::new()];

    GET "/users" => users with [ClientCerts::any()],
    GET "/search" => users with [RateLimit::per_second(10)],
    GET "/healthz" => respond(200, "ok"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
