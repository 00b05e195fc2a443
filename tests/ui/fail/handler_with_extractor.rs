//! A handler that takes a parameter of the path, as those of axum do.

async fn user(id: u64) -> String {
    format!("user {id}")
}

prox::gateway! {
    pub struct Shop;

    GET "/users/{id}" => handler(user),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
