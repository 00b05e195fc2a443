//! A function has the name of a word, and can be called like it.

/// What older code of this program answers with.
fn redirect(status: u16, to: &str) -> String {
    format!("{status} {to}")
}

prox::gateway! {
    pub struct Edge;

    "/old" => redirect(308, "/new"),
    "/older" => redirect(308, "/newer"),
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{} {}", Edge::ROUTES, redirect(301, "/"));
    prox::run(edge)
}
