//! A host of a mounted gateway that is not one of the mount.

mod hosts {
    prox::gateway! {
        pub struct Hosts;

        host "orders.example.com" { "/" => respond(200, "orders"), }
        "/" => respond(200, "any"),
    }
}

prox::gateway! {
    pub struct Shop;

    host "shop.example.com" {
        "/orders" => gateway(hosts::Hosts),
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
