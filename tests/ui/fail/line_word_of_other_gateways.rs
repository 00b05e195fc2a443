//! What other gateways call a backend.

prox::gateway! {
    pub struct Shop;

    upstream users = cluster(rr, ["http://10.0.0.1:8080"]);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    prox::run(shop)
}
