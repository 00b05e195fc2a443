//! A gateway with several listeners in a process of its own: `public` and `internal` say nothing of where they are.

use std::process::ExitCode;

use prox::Listener;

prox::gateway! {
    struct Probe;

    on "internal" { "/metrics" => respond(200, "metrics") }
    "/" => respond(200, "site"),
}

fn main() -> ExitCode {
    prox::cli_with(Probe::new, |server| {
        let server = server.workers(2).listener(Listener::new("public"));
        if std::env::var_os("WITHOUT").is_some() {
            return server;
        }
        server.listener(Listener::new("internal"))
    })
}
