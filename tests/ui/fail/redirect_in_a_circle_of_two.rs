//! Two redirects that lead to each other.

prox::gateway! {
    pub struct Shop;

    "/users" => redirect(308, "/people"),
    "/people" => redirect(308, "/users"),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
