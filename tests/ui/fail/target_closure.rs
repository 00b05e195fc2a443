//! A closure as a target.

prox::gateway! {
    pub struct Shop;

    "/users" => |_| async { "hello" },
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
