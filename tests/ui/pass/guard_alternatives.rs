//! Guards joined by `.or(..)` and negated by `.not()`, in every nesting, beside closures.

use prox::{Parts, dsl::header};

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";
    backend canary = "http://10.0.0.2:8080";

    "/a" if header("x-beta").exists().or(query("beta").exists()) => canary,
    "/a" if header("x-beta").exists().or(query("beta").exists()).not() => users,
    "/b" if (cookie("group").is("b").or(client_ip().within("10.0.0.0/8"))).and(query("v").is("2")) => canary,
    "/b" if client_ip().within("10.0.0.0/8").not() => users,
    "/c" if header("x-beta").is("1").or(|req: &Parts| req.version == prox::http::Version::HTTP_2) => canary,
    "/c" if header("x-beta").is("1").and(is_internal).not() => users,
    "/d" if query("v").one_of(["1", "2"]).or(query("v").starts_with("3")) => canary,
    "/" => users,

    expect GET "/a" => users;
    expect GET "/a?beta=1" => canary;
    expect GET "/d?v=30" => canary;
    expect GET "/d?v=4" => users;
}

fn is_internal(req: &Parts) -> bool {
    req.headers.contains_key("x-internal")
}

/// A variable with this name is nearer.
#[allow(dead_code)]
fn either() -> bool {
    true
}

fn main() -> prox::Result {
    let either = header("x-a").exists().or(header("x-b").exists().not());
    let _ = prox::gateway! { "/" if either => respond(200, "either"), "/" => respond(200, "rest") }?;
    let shop = Shop::new()?;
    println!("{:?}{:?}", shop.backends().users, shop.backends().canary);
    Ok(())
}
