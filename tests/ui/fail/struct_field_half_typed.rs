//! The type of a field without its last `>`.

prox::gateway! {
    pub struct Shop { names: Vec<String }

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/users" => users,
    "/names" => respond(200, names.concat()),
}

fn main() -> prox::Result {
    let shop = Shop::new(Vec::new())?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
