//! A function turns callers away, and nothing says so.

async fn check_session(req: prox::Request, next: prox::Next) -> prox::Response {
    next.run(req).await
}

prox::gateway! {
    pub struct Shop;

    require auth;

    backend users = "http://10.0.0.1:8080";

    GET "/users" => users with [check_session],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
