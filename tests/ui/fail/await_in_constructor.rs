//! Something is awaited in the constructor, which is not async.

async fn greeting() -> String {
    "hello".to_owned()
}

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    let greeting = greeting().await;

    GET "/users" => users,
    GET "/hello" => respond(200, greeting),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
