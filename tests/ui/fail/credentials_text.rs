//! A token where a source of tokens belongs.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["https://users.example.com"]).credentials("hunter2");

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
