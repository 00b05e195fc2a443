//! Without a `struct` line: an expression that sees the variables around it, and `?`, and the parameters of a generic function.

#![deny(warnings, dead_code)]

use prox::{Balancer, Endpoint, Gateway, Handler, middleware::Recover};
use std::time::Duration;

fn edge<B: Balancer, H: Handler>(policy: B, own: H, ports: &[u16]) -> prox::Result<Gateway> {
    let urls: Vec<String> = ports
        .iter()
        .map(|port| format!("http://127.0.0.1:{port}"))
        .collect();
    let patience = Duration::from_secs(2);
    let greeting = String::from("hello");
    prox::gateway! {
        env EDGE_RATE: u32 = 10;
        let more = format!("{greeting}, at most {} times", EDGE_RATE);
        backend users = cluster(policy, urls).timeout(patience);
        with [Recover::new()];
        "/users" => users,
        "/own" => own,
        "/hello" => respond(200, more),
    }
}

async fn awaited() -> prox::Result<Gateway> {
    prox::gateway! {
        let greeting = std::future::ready("hello").await;
        let parsed: u16 = "204".parse().map_err(std::io::Error::other)?;
        "/" => respond(parsed, greeting),
    }
}

fn main() -> prox::Result {
    let one: Endpoint = "http://127.0.0.1:9000".parse().unwrap();
    let other = one.clone();
    let gateway = prox::gateway! { "/" => one, "/other" => cluster(rr, [other]) }?;
    assert_eq!(gateway.routes().len(), 2);

    let own = prox::dsl::handler(async |_| "own");
    let gateway = edge(prox::dsl::rr, own, &[9001, 9002])?;
    assert_eq!(gateway.backend("users").unwrap().endpoints().len(), 2);

    drop(awaited());
    if std::env::args().count() > 1 {
        prox::run(prox::gateway! { "/" => "http://127.0.0.1:9000" })?;
    }
    Ok(())
}
