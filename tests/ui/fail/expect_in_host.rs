//! An expectation stands in a host.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    host "api.example.com" {
        "/users" => users,
        expect GET "/users" => users;
    }
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", Edge::ROUTES);
    prox::run(edge)
}
