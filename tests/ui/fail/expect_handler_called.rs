//! An expectation names a handler as a route does.

async fn hello(_: prox::Request) -> &'static str {
    "hello"
}

prox::gateway! {
    pub struct Edge;

    "/hello" => handler(hello),

    expect GET "/hello" => handler(hello);
}

fn main() -> prox::Result {
    let edge = Edge::new()?;
    println!("{}", Edge::ROUTES);
    prox::run(edge)
}
