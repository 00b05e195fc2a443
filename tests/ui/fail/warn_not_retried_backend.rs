//! Retries for a backend that gets nothing that is sent twice.

#![deny(warnings)]

prox::gateway! {
    pub struct Shop;

    backend orders = cluster(rr, ["http://10.0.0.1:8080"]).retry(3);

    POST "/orders" => orders,
    PATCH "/orders/{id}" => orders,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
