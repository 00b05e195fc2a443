//! A lookup before the policy.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(dns("http://users:8080"), least_conn);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
