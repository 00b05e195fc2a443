//! Two backends are mirrors of each other.

prox::gateway! {
    pub struct Edge;

    backend blue = cluster(rr, ["http://10.0.0.1:8080"]).mirror(green, 0.1);
    backend green = cluster(rr, ["http://10.0.0.2:8080"]).mirror(blue, 0.1);

    "/blue" => blue,
    "/green" => green,
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", Edge::ROUTES);
    prox::run(edge)
}
