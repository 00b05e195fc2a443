//! The type of a variable without its last `>`.

prox::gateway! {
    pub struct Shop;

    env URLS: Vec<Endpoint;
    backend users = cluster(rr, URLS);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
