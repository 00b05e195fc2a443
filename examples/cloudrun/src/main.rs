//! A gateway for Google Cloud Run, and for your own machine.
//!
//! `cargo run -p cloudrun` serves with a demo of a service, and prints what to `curl`. On Cloud Run, which sets `K_SERVICE`, the service
//! is the one that `USERS_URL` names.

mod demo;

use std::process::ExitCode;

use prox::middleware::{RequestId, SecurityHeaders};

prox::gateway! {
    /// A gateway on Cloud Run.
    pub struct Shop;

    /// The service of the users, such as https://users-abc.a.run.app.
    env USERS_URL: Endpoint;

    // Cloud Run chooses the instance. A service that starts from nothing takes some seconds.
    // If the service is not public: `.credentials(prox::google_id_token())`.
    backend users = cluster(rr, [USERS_URL]).response_timeout(30s).retry(1);

    with [RequestId::new(), SecurityHeaders::new()];

    "/users" => users,
    GET exact "/" => respond(200, "the shop is open\n"),

    expect GET "/users/7" => users;
    expect GET "/nowhere" => 404;
}

fn main() -> prox::Result<ExitCode> {
    let variables = demo::variables("K_SERVICE")?;
    Ok(prox::cli(move || Shop::with_env(variables)))
}

fn try_it(port: &str) -> String {
    format!(
        "try:
  curl -i localhost:{port}/           # an answer of the gateway's own
  curl -i localhost:{port}/users/7    # from the service
  curl -i localhost:{port}/nowhere    # 404
"
    )
}
