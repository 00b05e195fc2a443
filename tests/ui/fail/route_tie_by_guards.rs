//! Two guards can both accept a request, and neither is more specific.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" if header("x-beta").is("1") => users,
    GET "/users" if query("beta").exists() => users.timeout(10s),
    GET "/users" => "http://10.0.0.9:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
