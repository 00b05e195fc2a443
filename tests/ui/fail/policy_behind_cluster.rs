//! A policy as an option.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(["http://10.0.0.1:8080"]).policy(least_conn);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
