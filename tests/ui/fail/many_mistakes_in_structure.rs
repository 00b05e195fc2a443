//! What stands between mistakes is still understood.

use prox::middleware::RateLimit;

prox::gateway! {
    pub struct Shop;

    env USERS_URL;
    let ratelimit = RateLimit::per_second(100)
    backend users = cluster(rr, [USERS_URL]),
    with ratelimit;

    "/v1" => {
        GET "/users" -> users,
        GET "/orders" =>
    }
    expect GET "/v1/users" => user;
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
