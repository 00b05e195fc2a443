//! A wait for another try that the request does not live to see.

use prox::RetryOptions;

prox::gateway! {
    pub struct Shop;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]).retry(RetryOptions::new(2).patience(10s));

    "/users" => users.timeout(5s).retry(RetryOptions::new(2).patience(5s)),
}

fn main() -> prox::Result {
    let shop = Shop::new()?;
    println!("{:?}", shop.backends());
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    prox::run(shop)
}
