//! A gateway for Kubernetes, and for your own machine.
//!
//! `cargo run -p kubernetes` serves with a demo of a service, and prints what to `curl`. In a Pod, where `KUBERNETES_SERVICE_HOST` is set,
//! the service is the one that `USERS_URL` names.

mod demo;

use std::process::ExitCode;

use prox::middleware::{Recover, RequestId};

prox::gateway! {
    /// A gateway in a Pod.
    pub struct Shop;

    /// The headless Service of the users, such as http://users.default.svc.cluster.local:8080.
    env USERS_URL: String;

    // The name of a headless Service has the address of each Pod that is ready.
    backend users = cluster(p2c, dns(USERS_URL).max_ttl(5s)).retry(1).required();

    with [RequestId::new(), Recover::new()];

    "/users" => users,
    GET exact "/" => respond(200, "the shop is open\n"),

    expect GET "/users/7" => users;
    expect GET "/nowhere" => 404;
}

fn main() -> prox::Result<ExitCode> {
    let variables = demo::variables("KUBERNETES_SERVICE_HOST")?;
    Ok(prox::cli(move || Shop::with_env(variables)))
}

fn try_it(port: &str) -> String {
    format!(
        "try:
  curl -i localhost:{port}/           # an answer of the gateway's own
  curl -i localhost:{port}/users/7    # from the service
  curl -i localhost:{port}/nowhere    # 404
with ADMIN=127.0.0.1:9901, what the probes ask:
  curl -i localhost:9901/healthz
  curl -i localhost:9901/readyz       # 503 for SHUTDOWN_DELAY after SIGTERM, while it serves on
"
    )
}
