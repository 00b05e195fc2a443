//! A gateway that hands over, in a process of its own. `THREADS` is the number of its workers, `READY_WITHIN` the milliseconds that it
//! waits for its readiness. With `ASK` set, it asks the process at this path for its sockets, and prints the first line of the answer.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::Duration,
};

use prox::Handover;

prox::gateway! {
    struct Probe;

    env UPSTREAM: Endpoint;
    /// Without it the gateway is not ready.
    env NEEDED: Endpoint;

    backend needed = cluster(rr, [NEEDED])
        .health(tcp().every(20ms).every_while_changing(20ms).rise(1))
        .required();

    GET "/pid" => respond(200, std::process::id().to_string()),
    "/needed" => needed,
    "/" => UPSTREAM,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn ask(path: &str) -> io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    // A process that refuses may have closed the connection already.
    let _ = stream.write_all(b"prox-handover 1 take\n");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    print!("{line}");
    Ok(())
}

fn main() -> ExitCode {
    if let Ok(path) = std::env::var("ASK") {
        return match ask(&path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let workers = number("THREADS").and_then(|count| usize::try_from(count).ok());
    prox::cli_with(Probe::new, |server| {
        let server = server.workers(workers.unwrap_or(2));
        match (number("READY_WITHIN"), std::env::var("HANDOVER")) {
            (Some(limit), Ok(path)) => {
                server.handover(Handover::at(path).ready_within(Duration::from_millis(limit)))
            }
            _ => server,
        }
    })
}
