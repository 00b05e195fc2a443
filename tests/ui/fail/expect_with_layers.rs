//! Layers stand behind an expectation.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,

    expect GET "/users" => users with [prox::middleware::AccessLog::json()];
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", edge.backends().users.name());
    prox::run(edge)
}
