//! A guard on all of IPv4, which leaves the clients with IPv6: a warning, here denied.

#![deny(warnings)]

prox::gateway! {
    pub struct Shop;

    "/users" if client_ip().within("0.0.0.0/0") => respond(200, "everybody"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
