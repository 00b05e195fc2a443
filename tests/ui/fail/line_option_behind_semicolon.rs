//! A `;` before an option.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    backend orders = cluster(rr, ["http://10.0.1.1:8080"]);
        .timeout(3s);

    GET "/users" => users,
    GET "/orders" => orders,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
