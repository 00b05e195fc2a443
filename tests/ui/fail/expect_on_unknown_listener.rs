//! An expectation for a listener that no block names.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    on "internal" { "/metrics" => users }
    GET "/users" => users,

    expect on "intrenal" GET "/metrics" => users;
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
