//! A tower service whose future holds what cannot be sent to another thread.

use std::{convert::Infallible, rc::Rc};

async fn hello(_: prox::Request) -> Result<prox::Response, Infallible> {
    let counter = Rc::new(1);
    std::future::ready(()).await;
    drop(counter);
    Ok(prox::Response::default())
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" => users, "/hello" => service(tower::service_fn(hello)),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
