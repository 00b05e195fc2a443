//! A lifetime that nothing declares in the type of a `let`.

prox::gateway! {
    pub struct Shop;

    let text: &'a str = "hello";
    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/users" => users,
    "/text" => respond(200, text),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
