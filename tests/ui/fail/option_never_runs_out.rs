//! A timeout that is longer than that of the request as a whole.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]).connect_timeout(5s).timeout(3s);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
