//! An async function as a layer, which holds what cannot be sent to another thread.

use std::rc::Rc;

async fn count(req: prox::Request, next: prox::Next) -> prox::Response {
    let counter = Rc::new(1);
    let response = next.run(req).await;
    drop(counter);
    response
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" => users with [count],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
