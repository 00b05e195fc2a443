//! Two fields of the same name.

prox::gateway! {
    pub struct Shop {
        greeting: String,
        greeting: String,
    }

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    GET "/users" => users,
    GET "/hello" => respond(200, greeting),
}

fn main() -> prox::Result {
    println!("{}{}", Shop::ROUTES, Shop::explain("GET", "/users/7"));
    Ok(())
}
