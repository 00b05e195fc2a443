//! A gateway as an arm of a split.

mod orders {
    prox::gateway! {
        pub struct Orders;

        GET "/health" => respond(200, "ok"),
        "/{id}" => "http://10.0.0.2:8080",
    }
}

prox::gateway! {
    pub struct Shop;

    "/orders" => split { 9 => gateway(orders::Orders), 1 => "http://10.0.0.1:8080" },
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
