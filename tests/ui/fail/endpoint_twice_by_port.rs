//! The same endpoint with its port and without, which is the default.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://users.example:80", "http://users.example"]);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
