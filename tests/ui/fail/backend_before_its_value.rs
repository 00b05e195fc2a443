//! A backend is used above the value that it needs.

prox::gateway! {
    pub struct Edge;

    backend users = cluster(rr, ["http://10.0.0.1:8080"]).mirror(shadow, 0.1);

    let limit = 5s;

    backend shadow = cluster(rr, ["http://10.0.0.2:8080"]).timeout(limit);

    "/users" => users,
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", Edge::ROUTES);
    prox::run(edge)
}
