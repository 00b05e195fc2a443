//! A default beyond the largest number of its type.

prox::gateway! {
    pub struct Shop;

    env RETRIES: u8 = 300;

    "/users" => cluster(rr, ["http://10.0.0.1:8080"]).retry(u32::from(RETRIES)),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
