//! Two gateways at one path.

mod orders {
    prox::gateway! {
        pub struct Orders;

        GET "/health" => respond(200, "ok"),
        "/{id}" => "http://10.0.0.2:8080",
    }
}

mod stock {
    prox::gateway! {
        pub struct Stock;

        "/levels" => respond(200, "levels"),
    }
}

prox::gateway! {
    pub struct Shop;

    "/orders" => gateway(orders::Orders),
    "/orders" => gateway(stock::Stock),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
