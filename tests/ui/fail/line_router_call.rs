//! A route of axum.

async fn hello(_: prox::Request) -> &'static str {
    "hello"
}

prox::gateway! {
    pub struct Shop;

    .route("/hello", get(hello))

    "/users" => "http://10.0.0.1:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
