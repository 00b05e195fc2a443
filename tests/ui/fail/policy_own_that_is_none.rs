//! A value that is no policy has the name of one.

use prox::middleware::RateLimit;

prox::gateway! {
    pub struct Edge;

    let rr = RateLimit::per_second(5);

    backend users = cluster(rr, ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]);

    "/users" => users with [rr],
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", Edge::ROUTES);
    prox::run(edge)
}
