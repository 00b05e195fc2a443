//! A redirect whose status is a method.

prox::gateway! {
    pub struct Shop;

    "/old" => redirect("/new").permanent(),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
