//! A host of a mounted gateway that has a block of its own outside.

mod hosts {
    prox::gateway! {
        pub struct Hosts;

        host "orders.example.com" { "/" => respond(200, "orders"), }
    }
}

prox::gateway! {
    pub struct Shop;

    "/orders" => gateway(hosts::Hosts),
    host "orders.example.com" { "/" => respond(200, "outer"), }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
