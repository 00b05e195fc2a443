//! A variable is declared twice.

prox::gateway! {
    pub struct Shop;

    env USERS_URL: Endpoint;
    env USERS_URL: Endpoint;

    backend users = cluster(rr, [USERS_URL]);

    GET "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
