//! An async function as a handler, which holds what cannot be sent to another thread.

use std::rc::Rc;

async fn hello(_: prox::Request) -> &'static str {
    let counter = Rc::new(1);
    std::future::ready(()).await;
    drop(counter);
    "hello"
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" => users, "/hello" => handler(hello),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
