//! A longest time that is shorter than the shortest.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, dns("http://users:8080").min_ttl(30s).max_ttl(10s));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
