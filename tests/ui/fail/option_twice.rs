//! An option that is there twice, of which the second would silently replace the first.

prox::gateway! {
    pub struct Shop;

    backend canary = cluster(rr, ["http://10.0.0.2:8080"]);
    backend users = cluster(rr, ["http://10.0.0.1:8080"])
        .mirror(canary, 0.1)
        .connect_timeout(1s)
        .mirror(canary, 0.2);

    "/users" => users.timeout(10s).retry(2).timeout(5s),
    "/orders" => users.retry(prox::RetryOptions::new(2).patience(1s).patience(2s)),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
