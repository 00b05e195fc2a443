//! An attribute that allows what is no warning of a route.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    #[allow(dead_code)]
    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
