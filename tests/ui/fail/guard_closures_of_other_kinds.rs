//! Closures as guards that take something else, or wait.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/a" if |req: prox::Request| req.headers().contains_key("x-beta") => users,
    "/b" if |headers: &prox::http::HeaderMap| headers.contains_key("x-beta") => users,
    "/c" if |req: prox::Parts| req.headers.contains_key("x-beta") => users,
    "/d" if || true => users,
    "/e" if |method, path| method == path => users,
    "/f" if async |req| true => users,
    "/g" if async move { true } => users,
    "/h" if move |req: &mut prox::Parts| req.headers.remove("x-beta").is_some() => users,
    "/i" if |req: &prox::http::Request<()>| req.headers().contains_key("x-beta") => users,
    "/users" => users,
    "/canary" => canary,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
