//! Every mistake is reported in the same run.

prox::gateway! {
    pub struct Shop;

    bakend users = cluster(rr, ["10.0.0.1:8080"]);

    host "https://api.example.com" {
        get "/users/:id" => users.timeout(5),
        POST "/orders/" => redirect(200, "/users"),
        "/files//{}" => "http://files:0",
    }
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
