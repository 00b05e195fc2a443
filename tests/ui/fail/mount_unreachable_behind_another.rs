//! A route of a mounted gateway that a gateway below it takes.

mod orders {
    prox::gateway! {
        pub struct Orders;

        GET "/health" => respond(200, "ok"),
        "/{id}" => "http://10.0.0.2:8080",
    }
}

mod health {
    prox::gateway! {
        pub struct Health;

        "/" => respond(200, "all is well"),
    }
}

prox::gateway! {
    pub struct Shop;

    "/orders" => gateway(orders::Orders),
    "/orders/health" => gateway(health::Health),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
