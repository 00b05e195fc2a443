//! A slip in the first word of a line.

prox::gateway! {
    pub struct Shop;

    bakend users = "http://10.0.0.1:8080";

    "/users" => users,
}

fn main() -> prox::Result {
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(Shop::new()?)
}
