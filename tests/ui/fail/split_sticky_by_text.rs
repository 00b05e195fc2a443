//! The name of a cookie where a cookie belongs.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]);
    backend canary = cluster(rr, ["http://10.0.0.2:8080"]);

    "/users" => split { 95 => users, 5 => canary }.sticky("variant"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
