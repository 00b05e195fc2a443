//! Shares of a mirror that are none: too much, a percentage, less than nothing.

prox::gateway! {
    pub struct Shop;

    backend canary = cluster(rr, ["http://10.0.0.2:8080"]);
    backend users = cluster(rr, ["http://10.0.0.1:8080"]).mirror(canary, 1.5);

    "/users" => users,
    "/orders" => users.mirror(canary, 10),
    "/carts" => users.mirror(canary, 10%),
    "/items" => users.mirror(canary, -0.1),
    "/all" => users.mirror(canary, 1),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
