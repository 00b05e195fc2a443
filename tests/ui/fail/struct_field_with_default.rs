//! A field with a default.

prox::gateway! {
    pub struct Shop { name: &'static str = "shop" }

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/users" => users,
    "/name" => respond(200, name),
}

fn main() -> prox::Result {
    let shop = Shop::new("shop")?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
