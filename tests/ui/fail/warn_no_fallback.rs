//! Guards on a value and its opposite, and nothing for a request that has neither: a warning, here denied.

#![deny(warnings)]

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.1.1:8080";

    host "api.example.com" {
        "/users" if header("x-beta").is("1") => canary,
        "/users" if header("x-beta").is("0") => users,
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
