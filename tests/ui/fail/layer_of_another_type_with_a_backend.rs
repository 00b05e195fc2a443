//! A layer that names a backend, and is of a type that is not a layer.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    "/orders" => "http://10.0.0.2:8080" with [Watch::new(users)],
    "/users" => users,
}

struct Watch;

impl Watch {
    fn new(_: prox::Cluster) -> Self {
        Self
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
