//! An expectation of another target where a gateway is mounted.

mod orders {
    prox::gateway! {
        pub struct Orders;

        GET "/health" => respond(200, "ok"),
        "/{id}" => "http://10.0.0.2:8080",
    }
}

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    "/orders" => gateway(orders::Orders),
    "/users" => users,

    expect GET "/orders/7" => users;
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
