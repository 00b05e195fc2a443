//! A type in the module has the name of the struct of the backends.

pub struct EdgeBackends;

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", edge.backends().users.name());
    drop(EdgeBackends);
    prox::run(edge)
}
