//! A process that is stopped for a while, as on a platform that takes the CPU away between requests.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use prox_tests::{
    client::get,
    origin::{Origin, Reply},
    ports::free_port,
    wait::{Gate, eventually, within},
};
use tokio::process::Command;

use crate::run::signal;

#[tokio::test]
async fn an_endpoint_that_is_well_stays_in_use_after_a_stop_of_the_gateway() {
    let (held, gate) = (Arc::new(AtomicBool::new(false)), Gate::new());
    let users = {
        let (held, gate) = (Arc::clone(&held), gate.clone());
        Origin::with(move |seen| {
            let is_held = seen.target() == "/healthz" && held.load(SeqCst);
            if is_held {
                Reply::new().wait(&gate).head(200, &[], "content-length: 0")
            } else {
                Reply::ok("users")
            }
        })
        .await
    };
    let port = free_port();
    let child = Command::new(env!("CARGO_BIN_EXE_run_probe"))
        .env_clear()
        .env("UPSTREAM", users.url())
        .env("CHECKED", "yes")
        .env("HOST", "127.0.0.1")
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the probe can be run");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the gateway to listen", || {
        std::net::TcpStream::connect(address).is_ok()
    })
    .await;
    let checks = || {
        let all = users.requests();
        all.iter()
            .filter(|seen| seen.target() == "/healthz")
            .count()
    };
    eventually("some checks", || checks() > 2).await;
    held.store(true, SeqCst);
    let before = users.count();
    eventually("a check that is not answered", || users.count() > before).await;
    // Longer than the 4 s of a check, and the 2 s that a timer may be late.
    signal(&child, "STOP").await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    held.store(false, SeqCst);
    gate.open();
    signal(&child, "CONT").await;
    let seen = checks();
    for _ in 0..20 {
        assert_eq!(get(address, "/").await.expect(200).text(), "users");
    }
    eventually("more checks", || checks() > seen + 3).await;
    assert_eq!(get(address, "/").await.expect(200).text(), "users");
    signal(&child, "KILL").await;
    let output = within("the end", child.wait_with_output()).await;
    let told = String::from_utf8_lossy(&output.expect("an output").stderr).into_owned();
    assert!(told.contains("listening"), "{told}");
    assert!(!told.contains("fails its checks"), "{told}");
}
