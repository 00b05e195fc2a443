//! A redirect of a listener and one of every listener that lead to each other.

prox::gateway! {
    pub struct Shop;

    "/new" => redirect(308, "/old"),
    "/users" => "http://10.0.0.1:8080",
    on "internal" {
        "/old" => redirect(308, "/new"),
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
