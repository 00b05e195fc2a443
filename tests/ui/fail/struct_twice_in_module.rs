//! Two gateways in one module have the same name.

prox::gateway! {
    pub struct Edge;

    backend users = "http://10.0.0.1:8080";

    "/users" => users,
}

prox::gateway! {
    /// The internal one, copied from above.
    pub struct Edge;

    backend orders = "http://10.0.0.2:8080";

    "/orders" => orders,
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{} {}", Edge::ROUTES, edge.backends().users.name());
    prox::run(edge)
}
