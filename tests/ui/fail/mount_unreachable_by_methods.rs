//! A route of a mounted gateway whose methods are taken by two outer routes.

mod stock {
    prox::gateway! {
        pub struct Stock;

        GET | PUT "/levels/{id}" => respond(200, "levels"),
    }
}

prox::gateway! {
    pub struct Shop;

    "/stock" => gateway(stock::Stock),
    GET "/stock/{name}" => respond(200, "read"),
    PUT "/stock/{name}" => respond(200, "written"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
