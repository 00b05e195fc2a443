//! A variable with one default outside and another in a mounted gateway.

mod limits {
    prox::gateway! {
        pub struct Limits;

        env RATE: u32 = 100;

        "/" => respond(200, RATE.to_string()),
    }
}

prox::gateway! {
    pub struct Shop;

    env RATE: u32 = 10;

    "/limits" => gateway(limits::Limits),
    "/rate" => respond(200, RATE.to_string()),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
