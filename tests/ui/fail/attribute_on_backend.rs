//! An attribute on a backend that would be lost.

prox::gateway! {
    pub struct Shop;

    #[cfg(debug_assertions)]
    backend users = "http://10.0.0.1:8080";

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
