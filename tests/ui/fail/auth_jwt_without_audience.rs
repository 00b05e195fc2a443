//! A token for another service would be right: nothing says for whom tokens are.

use prox::middleware::Jwt;

prox::gateway! {
    pub struct Shop;

    backend users = "http://10.0.0.1:8080";

    let auth = Jwt::issuer("https://id.example.com/").leeway(5s);

    GET "/named" => users with [auth],
    GET "/optional" => users with [auth.optional()],
    GET "/decided" => users with [auth.any_audience()],
    GET "/users" => users with [Jwt::jwks_file("jwks.json").issued_by("https://id.example.com/")],
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends().users);
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
