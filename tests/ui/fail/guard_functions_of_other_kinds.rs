//! Functions as guards that are async, called, or take other arguments.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/a" if is_async => users,
    "/b" if is_beta() => users,
    "/c" if is_beta(req) => users,
    "/d" if no_arguments => users,
    "/e" if two_arguments => users,
    "/users" => users,
    "/canary" => canary,
}

async fn is_async(_: &prox::Parts) -> bool {
    true
}

fn is_beta(req: &prox::Parts) -> bool {
    req.headers.contains_key("x-beta")
}

fn no_arguments() -> bool {
    true
}

fn two_arguments(_: &prox::Parts, _: &str) -> bool {
    true
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
