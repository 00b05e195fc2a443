//! A type that is no balancing policy.

struct Fastest;

prox::gateway! {
    pub struct Shop;

    backend users = cluster(Fastest, ["http://10.0.0.1:8080"]);

    GET "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
