//! Redirects in a circle over two hosts.

prox::gateway! {
    pub struct Shop;

    host "users.example.com" {
        "/" => redirect(308, "https://people.example.com/"),
    }
    host "people.example.com" {
        "/" => redirect(308, "https://users.example.com/"),
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
