//! Routes for every other host, where the mount is for the named one.

mod hosts {
    prox::gateway! {
        pub struct Hosts;

        host "*.example.com" { "/" => respond(200, "orders"), }
        "/other" => respond(200, "any"),
    }
}

prox::gateway! {
    pub struct Shop;

    host "orders.example.com" {
        "/" => gateway(hosts::Hosts),
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
