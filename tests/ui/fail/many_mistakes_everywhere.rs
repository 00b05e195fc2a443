//! Mistakes of every kind: each is told once, and nothing follows from them.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    use prox::middleware::Recover;
    env USERS_URL
    backend orders = ["http://10.0.1.1:8080", USERS_URL],
    backend search = cluster(round_robin, "http://10.0.2.1:8080", "http://10.0.2.256:8080");
    with {Recover::new()};
    listen 8080;

    host(".example.com") {
        get POST "/users?tab=1" => users timeout(5),
        "/orders" GET => orders.timeout("5s") with [users];
        location /search { proxy_pass "http://10.0.2.1:8080"; }
        "/search" -> search with [Recover::new() Recover::new()]
        "/old" => redirect(308, "/old/new")
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
