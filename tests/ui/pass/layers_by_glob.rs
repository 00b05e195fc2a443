//! Layers that a glob import brings, beside a type of the user's own with the name of one.

use prox::middleware::*;

/// The user's own limit.
struct RateLimit;

impl prox::Middleware for RateLimit {
    async fn handle(&self, req: prox::Request, next: prox::Next) -> prox::Response {
        next.run(req).await
    }
}

prox::gateway! {
    pub struct Shop;

    let limit = BodyLimit::max(16KiB);

    with [Recover::new(), AccessLog::json()];

    "/" => respond(200, "hello") with [RateLimit, limit, Compress::new()],
}

fn main() -> prox::Result {
    Shop::new().map(drop)
}
