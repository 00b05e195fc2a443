//! The same endpoint in upper and lower case.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://Users.example:8080", "http://users.example:8080/"]);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
