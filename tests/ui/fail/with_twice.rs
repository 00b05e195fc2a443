//! Two lists of layers.

use prox::{Next, Request, Response};

async fn auth(req: Request, next: Next) -> Response {
    next.run(req).await
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" => users with [auth] with [auth],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
