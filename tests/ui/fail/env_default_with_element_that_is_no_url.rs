//! A list of URLs with one that is none.

prox::gateway! {
    pub struct Shop;

    env USERS_URLS: Vec<Endpoint> = ["http://10.0.0.1:8080", "10.0.0.2:8080"];

    "/users" => cluster(rr, USERS_URLS),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
