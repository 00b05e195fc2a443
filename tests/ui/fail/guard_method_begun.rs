//! Methods of guards whose arguments are missing.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/a" if header("x-beta").exists => users,
    "/b" if header("x-beta").starts => users,
    "/c" if header("x-beta").is("1").an => users,
    "/d" if header("x-beta"). => users,
    "/e" if header("x-beta").is("1"). => users,
    "/users" => users,
    "/canary" => canary,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
