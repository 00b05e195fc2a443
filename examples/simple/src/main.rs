//! A gateway in front of two small upstreams that run in this same process, so that it works on a fresh machine.
//!
//! `cargo run -p simple` prints what to `curl`. `PORT=9090 cargo run -p simple` listens elsewhere.

mod upstream;

use prox::{
    IntoResponse, Next, Request, RequestExt, Response,
    middleware::{AccessLog, RateLimit, Recover, RequestId},
};

fn main() -> prox::Result {
    let one = upstream::start("one")?;
    let two = upstream::start("two")?;

    let gateway = prox::gateway! {
        backend demo = cluster(rr, [one, two]).timeout(5s);

        with [AccessLog::text(), RequestId::new(), Recover::new(), stamp];

        exact "/"  => demo,
        "/api"     => demo,
        "/limited" => demo with [RateLimit::per_second(1).burst(2)],

        GET exact "/hello"  => handler(hello),
        GET "/hello/{name}" => handler(hello),
        GET "/panic"        => handler(broken),

        "/people/{id}" => demo.rewrite("/users/{id}"),
        "/old"         => redirect(308, "/hello"),
        "/gone"        => respond(410, "moved away in 2025\n"),

        expect GET  "/api/anything" => demo;
        expect POST "/hello/you"    => 405;
        expect GET  "/nowhere"      => 404;
    }?;

    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    println!("{}\n{}", gateway.routes(), try_it(&port));
    prox::run(gateway)
}

/// A handler: an async function that returns a response.
async fn hello(req: Request) -> impl IntoResponse {
    let name = req.param("name").unwrap_or("world");
    format!("hello, {name}\n")
}

/// A handler with a bug; `Recover` turns it into a 500, and the connection lives on.
async fn broken(_: Request) -> &'static str {
    panic!("this handler has a bug");
}

/// A layer: an async function that asks what comes next.
async fn stamp(req: Request, next: Next) -> Response {
    let mut response = next.run(req).await;
    let value = "prox"
        .parse()
        .expect("a literal without control characters is a header value");
    response.headers_mut().insert("x-gateway", value);
    response
}

fn try_it(port: &str) -> String {
    format!(
        "try:
  curl -i localhost:{port}/            # again and again: round robin over `one` and `two`
  curl -i localhost:{port}/hello/you   # a handler with a parameter
  curl -i -X PUT localhost:{port}/hello  # 405, with the methods that are there
  curl -i localhost:{port}/nowhere     # 404
  curl -i localhost:{port}/old         # a redirect
  curl -i localhost:{port}/people/7    # a rewritten path
  curl -i localhost:{port}/limited     # three times in a second: 429
  curl -i localhost:{port}/panic       # 500, and it goes on
"
    )
}
