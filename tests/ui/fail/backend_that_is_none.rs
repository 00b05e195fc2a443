//! A handler as a backend.

async fn hello(_: prox::Request) -> &'static str {
    "hello"
}

prox::gateway! {
    pub struct Shop;

    backend users = handler(hello);

    GET "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
