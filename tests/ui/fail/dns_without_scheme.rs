//! A lookup of a name without a scheme.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, dns("users:8080"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
