//! A listener whose name has no quotes.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    on internal { "/metrics" => users }
    GET "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
