//! Addresses of a name that is that of a service.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, dns("http://_http._tcp.users.internal"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
