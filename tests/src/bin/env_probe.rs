//! Reads variables of every kind, and says what they are: a process of its own, because a test cannot set variables.

use std::process::ExitCode;

prox::gateway! {
    struct Probe;

    /// Where the users live.
    env USERS_URL: Endpoint;
    env MORE_URLS: Vec<Endpoint>;
    /// Requests a second.
    env RATE: u32 = 100;
    env WAIT: Duration = 5s;
    env NAME: Option<String>;
    env API_TOKEN: u64 = 7;

    backend users = cluster(rr, [USERS_URL]).response_timeout(WAIT);
    backend more = cluster(rr, MORE_URLS);

    "/"     => users,
    "/more" => more,
    "/told" => respond(200, tell(RATE, WAIT, NAME.as_deref(), API_TOKEN)),
}

fn tell(rate: u32, wait: std::time::Duration, name: Option<&str>, token: u64) -> String {
    println!("rate={rate} wait={wait:?} name={name:?} token={token}");
    String::new()
}

fn urls(backend: &prox::Cluster) -> Vec<prox::Endpoint> {
    let endpoints = backend.endpoints();
    endpoints.map(|state| state.endpoint().clone()).collect()
}

fn main() -> ExitCode {
    match Probe::new() {
        Ok(probe) => {
            let backends = probe.backends();
            println!("users={:?}", urls(&backends.users));
            println!("more={:?}", urls(&backends.more));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}
