//! An expectation repeats the options of the route.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,

    expect GET "/users" => users.timeout(5s);
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", edge.backends().users.name());
    prox::run(edge)
}
