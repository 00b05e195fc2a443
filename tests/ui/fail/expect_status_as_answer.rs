//! An expectation says its status as a route does.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,

    expect GET "/nowhere" => respond(404, "not found");
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", edge.backends().users.name());
    prox::run(edge)
}
