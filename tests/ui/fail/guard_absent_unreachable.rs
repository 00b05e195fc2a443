//! A route behind guards that take everything.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/users" if header("x-color").absent() => users,
    "/users" if header("x-color").exists() => users,
    "/users" => "http://10.0.0.3:8080",
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
