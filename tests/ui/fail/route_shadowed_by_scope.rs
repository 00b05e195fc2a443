//! The routes of a scope leave nothing for the prefix around it.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/files" {
        exact "/" => users,
        "/{*path}" => users.timeout(10s),
    }
    exact "/files/" => users,
    "/files" => "http://10.0.0.9:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
