//! A handler that is called with a request that is not there yet.

async fn hello(_: prox::Request) -> &'static str {
    "hello"
}

prox::gateway! {
    pub struct Shop;

    "/users" => handler(hello(req)),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
