//! A gateway in a process of its own, as a user would write it. With `DELAY` set, it serves on for that many seconds at its end. With
//! `CREDENTIALS` set, the upstream gets tokens of Google Cloud. With `CHECKED` set, it is checked again and again, and one failed check takes it out.

use std::time::Duration;

fn main() -> prox::Result {
    let gateway = prox::gateway! {
        env UPSTREAM: Endpoint;
        GET "/readyz" => prox::readiness(),
        "/" => UPSTREAM,
    };
    let is_set = |name| std::env::var_os(name).is_some();
    let gateway = if is_set("CREDENTIALS") {
        prox::gateway! {
            env UPSTREAM: Endpoint;
            "/" => cluster(rr, [UPSTREAM]).credentials(prox::google_id_token()),
        }
    } else if is_set("CHECKED") {
        let check = prox::HttpCheck::new("/healthz")
            .every(Duration::from_millis(100))
            .timeout(Duration::from_secs(4))
            .fall(1);
        prox::gateway! {
            env UPSTREAM: Endpoint;
            "/" => cluster(rr, [UPSTREAM]).health(check),
        }
    } else {
        gateway
    };
    let seconds = std::env::var("DELAY")
        .ok()
        .and_then(|text| text.parse().ok());
    prox::Server::new(gateway)
        .shutdown_delay(Duration::from_secs(seconds.unwrap_or(0)))
        .run()
}
