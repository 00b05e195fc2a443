//! A gateway in each position, for the scenarios to look into.

mod shop;

use prox::{
    IntoResponse, Next, Request, Response,
    middleware::{AccessLog, RateLimit},
};

fn main() -> prox::Result {
    let port = 9000_u16;
    let local = format!("http://127.0.0.1:{port}");

    let gateway = prox::gateway! {
        /// How many requests a second.
        env RATE: u32 = 100;

        let limit = RateLimit::per_second(RATE);

        backend files = cluster(least_conn, [local, "http://127.0.0.1:9001".weight(2)]).timeout(250ms);
        backend pages = cluster(rr, ["http://127.0.0.1:9002"]);

        with [AccessLog::text(), stamp];

        "/files" => files.rewrite("/static") with [limit],
        GET | POST "/pages" if header("x-beta").is("1") => pages,
        "/pages" => split { 9 => pages, 1 => files },
        GET exact "/hello" => handler(hello),

        expect GET "/files/logo.png" => files;
        expect PUT "/hello" => 405;
    }?;

    prox::run(gateway)
}

/// Says hello.
async fn hello(_: Request) -> impl IntoResponse {
    "hello"
}

/// Marks a response.
async fn stamp(req: Request, next: Next) -> Response {
    next.run(req).await
}
