//! A gateway in a process of its own, as a user would write it. With `DELAY` set, it serves on for so many seconds at its end.

use std::time::Duration;

fn main() -> prox::Result {
    let gateway = prox::gateway! {
        env UPSTREAM: Endpoint;
        GET "/readyz" => prox::readiness(),
        "/" => UPSTREAM,
    };
    let seconds = std::env::var("DELAY")
        .ok()
        .and_then(|text| text.parse().ok());
    prox::Server::new(gateway)
        .shutdown_delay(Duration::from_secs(seconds.unwrap_or(0)))
        .run()
}
