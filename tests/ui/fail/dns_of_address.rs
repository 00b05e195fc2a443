//! A lookup of what is an address already.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, dns("http://10.0.0.1:8080"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
