//! A balancing policy in quotes.

prox::gateway! {
    pub struct Shop;

    backend users = cluster("round_robin", ["http://10.0.0.1:8080"]);

    GET "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
