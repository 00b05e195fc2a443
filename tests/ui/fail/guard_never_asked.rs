//! A route without a guard takes everything before the guard is asked.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    exact "/users" => users,
    "/users/{*rest}" => users,
    "/users" if header("x-beta").is("1") => "http://10.0.0.9:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
