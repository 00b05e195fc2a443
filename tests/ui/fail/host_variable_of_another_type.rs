//! A host from a variable of another type.

prox::gateway! {
    pub struct Shop;

    env HOST_NAME: String;

    host HOST_NAME {
        "/users" => "http://10.0.0.1:8080",
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
