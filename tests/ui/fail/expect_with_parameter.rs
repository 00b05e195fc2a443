//! The URL of an expectation has a parameter in it.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,

    expect GET "https://api.example.com/users/{id}" => users;
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", edge.backends().users.name());
    prox::run(edge)
}
