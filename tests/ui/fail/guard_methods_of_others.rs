//! Methods that the guards of other routers have.

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/a" if header("x-beta").contains("1") => users,
    "/b" if header("x-beta").matches("^1") => users,
    "/c" if query("v").is_not("1") => users,
    "/d" if query("v").not_in(["1", "2"]) => users,
    "/e" if cookie("group").is("b").or_else(query("v").is("1")) => users,
    "/f" if client_ip().not_in("10.0.0.0/8") => users,
    "/g" if header("x-beta").is("1").negate() => users,
    "/h" if header("x-beta").or(query("v").is("1")) => users,
    "/i" if header("x-beta").is("1").exists() => users,
    "/j" if header("x-beta").is("1").and(query("v").ends_with("1")) => users,
    "/users" => users,
    "/canary" => canary,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
