//! A service with a port of its own.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, srv("http://_http._tcp.users.internal:8080"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
