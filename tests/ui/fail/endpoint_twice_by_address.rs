//! The same IPv6 address in two spellings.

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://[2001:db8::1]:8080", "http://[2001:db8:0::1]:8080"]);

    "/users" => users,
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
