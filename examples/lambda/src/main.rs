//! A gateway as a function of AWS Lambda, and by a socket everywhere else.
//!
//! `cargo run -p lambda` serves by a socket, with a demo of a service, and prints what to `curl`. In a function, where
//! `AWS_LAMBDA_RUNTIME_API` is set, the same binary answers events. `tests/events.rs` does that with an emulator.

mod demo;

use std::process::ExitCode;

prox::gateway! {
    /// A gateway as a function.
    pub struct Shop;

    /// The service of the users.
    env USERS_URL: Endpoint;

    // A function has to be done before its own time limit.
    backend users = cluster(rr, [USERS_URL]).timeout(20s).retry(1);

    "/users" => users,
    GET exact "/" => respond(200, "the shop is open\n"),

    expect GET "/users/7" => users;
    expect GET "/nowhere" => 404;
}

fn main() -> prox::Result<ExitCode> {
    let variables = demo::variables("AWS_LAMBDA_RUNTIME_API")?;
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
