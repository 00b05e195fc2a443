//! The name of a gateway in quotes.

mod orders {
    prox::gateway! {
        pub struct Orders;

        GET "/health" => respond(200, "ok"),
        "/{id}" => "http://10.0.0.2:8080",
    }
}

prox::gateway! {
    pub struct Shop;

    "/orders" => gateway("orders::Orders"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
