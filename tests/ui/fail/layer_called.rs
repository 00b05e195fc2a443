//! An async function as a layer, called.

async fn auth(req: prox::Request, next: prox::Next) -> prox::Response {
    next.run(req).await
}

prox::gateway! {
    pub struct Shop;

    "/users" => "http://10.0.0.1:8080" with [auth()],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
