//! A gateway with fields, without them.

mod stock {
    prox::gateway! {
        pub struct Stock { limit: u32 }

        "/" => respond(200, limit.to_string()),
    }
}

prox::gateway! {
    pub struct Shop;

    "/stock" => gateway(stock::Stock),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
