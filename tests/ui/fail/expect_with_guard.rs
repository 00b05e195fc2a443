//! An expectation has a guard.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,

    expect GET "/users" if header("x-beta").is("1") => users;
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", edge.backends().users.name());
    prox::run(edge)
}
