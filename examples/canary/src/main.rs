//! A new version for some of the clients: testers choose it, and a share of the others get it and stay there.
//!
//! `cargo run -p canary` serves with two demo services, and prints what to `curl`.

mod demo;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use prox::{Env, Sticky, middleware::AccessLog};

prox::gateway! {
    /// Two versions of one service.
    pub struct Versions;

    env STABLE_URL: Endpoint;
    env CANARY_URL: Endpoint;
    /// Of 100 new clients.
    env CANARY: u32 = 5;

    backend stable = cluster(rr, [STABLE_URL]);
    backend canary = cluster(rr, [CANARY_URL]);

    with [AccessLog::new()];

    // Testers choose.
    "/" if header("x-version").is("canary") => canary,
    "/" if header("x-version").is("stable") => stable,
    // A client stays where it was first.
    "/" => split { 95 => stable, CANARY => canary }.sticky(Sticky::cookie("version").max_age(24h)),
}

fn main() -> prox::Result<ExitCode> {
    let mut variables = Env::process();
    if std::env::args().len() == 1 && std::env::var_os("STABLE_URL").is_none() {
        let (stable, canary) = (demo::start("stable")?, demo::start("canary")?);
        variables = variables
            .set("STABLE_URL", stable)
            .set("CANARY_URL", canary);
        let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
        print!(
            "try:
  curl -i localhost:{port}/                         # one of the two, and a cookie
  curl -i localhost:{port}/ -H 'x-version: canary'  # the new version
  curl -i localhost:{port}/ -H 'x-version: stable'  # the old one
"
        );
    }
    Ok(prox::cli(move || Versions::with_env(variables)))
}
