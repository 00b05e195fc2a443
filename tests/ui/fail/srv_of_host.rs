//! The places of a name that is none of a service.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, srv("http://users.internal"));

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
