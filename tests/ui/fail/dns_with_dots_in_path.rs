//! A lookup whose URL leaves its base path.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, dns("http://users:8080/../internal"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
