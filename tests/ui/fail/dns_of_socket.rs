//! A lookup of a Unix socket.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, dns("unix:/run/app.sock"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
