//! A token for another service would be right: nothing says for whom tokens are.

use prox::middleware::Introspect;

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [Introspect::new("http://10.0.0.5:8080").uri("/oauth2/introspect")],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
