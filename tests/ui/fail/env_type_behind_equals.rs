//! The type of a variable where its default would be.

prox::gateway! {
    pub struct Shop;

    env USERS_URL = Endpoint;
    backend users = cluster(rr, [USERS_URL, "http://10.0.0.2:8080"]);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
