//! Guards with the names that other gateways have for what a route matches.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/a" if method("POST") => users,
    "/b" if host("api.example.com") => users,
    "/c" if path("/users") => users,
    "/d" if remote_addr().within("10.0.0.0/8") => users,
    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
