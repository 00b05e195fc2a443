//! The `struct` line below a route.

prox::gateway! {
    backend users = cluster(rr, ["http://10.0.0.1:8080"]);

    GET "/users" => users,

    pub struct Shop;
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
