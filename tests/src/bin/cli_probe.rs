//! A gateway with the arguments of `prox::cli`: one with a name, or, with `NAMELESS` set, one without.
//! With `FIXED` set it listens on that address, and trusts no proxy.

use std::process::ExitCode;

prox::gateway! {
    struct Probe { motto: String }

    /// Where the users live.
    env USERS_URL: Endpoint;
    /// Requests a second.
    env RATE: u32 = 100;
    env WAIT: Duration = 5s;
    env NAME: Option<String>;
    env STAFF: Host = "admin.example.org";

    backend users = cluster(rr, [USERS_URL]).response_timeout(WAIT);

    host "api.example.com" | "*.example.com" {
        GET "/users/{id}" => users,
        GET "/users/{id}" if header("x-beta").is("1") => respond(200, "beta"),
    }
    host STAFF { "/" => respond(200, "admin") }
    "/told" => respond(200, tell(&motto, RATE, NAME.as_deref())),
}

fn tell(motto: &str, rate: u32, name: Option<&str>) -> String {
    format!("{motto} {rate} {name:?}")
}

fn main() -> ExitCode {
    if std::env::var_os("NAMELESS").is_some() {
        return prox::cli(|| {
            prox::gateway! {
                env USERS_URL: Endpoint;
                "/" => USERS_URL,
            }
        });
    }
    prox::cli_with(
        || {
            // What the gateway is made from is not there when it is only described.
            eprintln!("made");
            Probe::new(String::from("hello"))
        },
        |server| {
            let fixed = std::env::var("FIXED").ok();
            match fixed.and_then(|fixed| fixed.parse().ok()) {
                Some(address) => server.address(address).trusted_proxies::<&str>([]),
                None => server.workers(1),
            }
        },
    )
}
