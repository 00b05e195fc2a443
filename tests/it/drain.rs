//! The end of a server, step by step, with every kind of client at once.

use std::{process::Stdio, time::Duration};

use prox_tests::{
    client::{HyperClient, RawClient, Speaks, head, read, text},
    events::Events,
    gateway::Served,
    origin::{Origin, Reply},
    ports::free_port,
    wait::{Gate, eventually, within},
    wire::{End, Framing},
};
use tokio::{process::Command, time::Instant};

use crate::{
    load::{Load, upstream},
    run::signal,
    upgrades::{Upstream, WEBSOCKET, expect, write},
};

/// How long idle connections wait, and when the rest is cut.
const IDLE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(6);

fn refuses(gateway: &Served) -> bool {
    std::net::TcpStream::connect(gateway.address()).is_err()
}

#[tokio::test]
async fn every_kind_of_client_gets_its_answer_and_what_is_left_is_cut_and_counted() {
    let events = Events::record();
    let gate = Gate::new();
    let half = Reply::new()
        .head(200, &[], "Content-Length: 9")
        .write("half,");
    let origin = Origin::with({
        let gate = gate.clone();
        move |seen| match seen.target() {
            "/slow" => Reply::new()
                .wait(&gate)
                .head(200, &[], "Content-Length: 2")
                .write("ok"),
            "/down" => half.clone().wait(&gate).write("rest"),
            _ => Reply::ok("ok"),
        }
    })
    .await;
    let sockets = Upstream::start().await;
    let (url, chat) = (origin.endpoint(), sockets.endpoint());
    let gateway = prox::gateway! {
        GET "/readyz" => prox::readiness(),
        "/chat" => chat,
        "/" => url,
    };
    let mut gateway = Served::with(gateway, |server| {
        server
            .shutdown_delay(Duration::from_millis(500))
            .drain_idle(IDLE)
            .drain_timeout(TIMEOUT)
    })
    .await;

    // One of each kind, all under way.
    let mut idle = gateway.client().await;
    idle.get("/").await.expect(200);
    let mut next = gateway.client().await;
    next.get("/").await.expect(200);
    let mut slow = gateway.client().await;
    slow.request("GET", "/slow").await;
    let mut down = gateway.client().await;
    down.request("GET", "/down").await;
    assert_eq!(down.response_head().await.status, 200);
    let mut up = gateway.client().await;
    up.send(head("POST", "/up", "Content-Length: 10\r\n") + "hello")
        .await;
    let mut streams = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let request = Speaks::Http2
        .request("/slow")
        .body(text(""))
        .expect("a request");
    let stream = tokio::spawn(streams.begin(request));
    let mut socket = gateway.client().await;
    socket.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, mut far) = sockets.switch().await;
    assert_eq!(socket.response_head().await.status, 101);
    origin.reached(6).await;

    // At once: not ready, and all is served.
    gateway.begin_shutdown();
    let signalled = Instant::now();
    within("the gateway to be unready", async {
        while gateway.get("/readyz").await.status != 503 {}
    })
    .await;
    assert!(!gateway.get("/").await.expect(200).closes());

    // Then: no new connections. What is under way ends in its own time, and says that it ends.
    eventually("new connections to be refused", || refuses(&gateway)).await;
    let drained = Instant::now();
    assert!(signalled.elapsed() >= Duration::from_millis(500));
    assert!(
        next.get("/").await.expect(200).closes(),
        "an idle one may ask once more"
    );
    assert!(next.closed().await.is_empty());
    socket.send("ping").await;
    expect(&mut far, "ping").await;
    write(far.stream(), "pong").await;
    assert_eq!(socket.body(Framing::Length(4)).await.text(), "pong");
    up.send("hello").await;
    assert!(up.response("POST").await.expect(200).closes());
    gate.open();
    assert!(slow.response("GET").await.expect(200).closes());
    let body = down.body(Framing::Length(9)).await;
    let whole = (body.text().as_str(), body.end) == ("half,rest", End::Complete);
    assert!(whole, "{body:?}");
    let answer = stream.await.expect("no panic").expect("it is answered");
    assert_eq!(
        (answer.status().as_u16(), read(answer).await.as_str()),
        (200, "ok")
    );
    let late = Speaks::Http2
        .request("/")
        .body(text(""))
        .expect("a request");
    assert!(streams.send(late).await.is_err(), "GOAWAY was said");

    // The idle one has waited, and is closed before the rest is cut.
    assert!(idle.closed().await.is_empty());
    let waited = drained.elapsed();
    assert!(waited + Duration::from_millis(100) >= IDLE, "{waited:?}");
    assert!(!gateway.has_ended());

    // The tunnel is cut at the end, counted, and told.
    gateway.stop().await;
    assert!(socket.closed().await.is_empty());
    let cut = events.first("cut off at the end of the drain");
    assert_eq!(cut.field("connections"), Some("1"));
    assert!(drained.elapsed() + Duration::from_millis(100) >= TIMEOUT);
}

#[tokio::test]
async fn no_client_of_any_kind_loses_an_exchange_when_the_server_ends_under_load() {
    let events = Events::record();
    let (origin, echo, _echoing) = upstream().await;
    let (url, chat) = (
        origin.endpoint(),
        format!("http://{echo}")
            .parse::<prox::Endpoint>()
            .expect("an address"),
    );
    let gateway = prox::gateway! {
        "/chat" => chat,
        "/" => url,
    };
    let mut gateway = Served::with(gateway, |server| {
        server
            .shutdown_delay(Duration::from_millis(300))
            .drain_idle(IDLE)
            // The end of the drain is not what ends any client.
            .drain_timeout(Duration::from_mins(10))
    })
    .await;
    // A connection in the queue of a listener that closes may be reset, so a client that opens one after the other is not asked of.
    let load = Load::start(gateway.address(), gateway.address()).without("one-shot");
    load.goes_on(1).await;
    gateway.begin_shutdown();
    // Each answer is whole. The last one says that its connection ends, and no other can be opened then.
    load.ends_but_for("tunnel").await;
    assert!(refuses(&gateway));
    load.has("tunnel", 2).await;
    assert!(!gateway.has_ended());
    load.end().await;
    gateway.stop().await;
    let mut told = events.all().into_iter();
    assert!(!told.any(|told| told.message().contains("cut off")));
}

#[tokio::test]
async fn the_variables_say_how_a_process_ends_and_it_ends_with_success() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let (port, url) = (free_port(), origin.url());
    let address = ([127, 0, 0, 1], port).into();
    for (name, idle, at_least) in [
        ("TERM", "1s", Duration::from_secs(1)),
        // A person does not wait for what a balancer needs.
        ("INT", "1h", Duration::ZERO),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_run_probe"))
            .env_clear()
            .envs([
                ("HOST", "127.0.0.1"),
                ("DRAIN_IDLE", idle),
                ("DRAIN_TIMEOUT", "2h"),
            ])
            .env("PORT", port.to_string())
            .env("UPSTREAM", &url)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the probe can be run");
        eventually("the gateway to listen", || {
            std::net::TcpStream::connect(address).is_ok()
        })
        .await;
        let mut idle = RawClient::connect(address).await;
        idle.get("/").await.expect(200);
        let began = Instant::now();
        signal(&child, name).await;
        assert!(idle.closed().await.is_empty());
        assert!(began.elapsed() >= at_least, "{name}: {:?}", began.elapsed());
        let status = within("the process to end", child.wait()).await;
        assert_eq!(status.expect("a child can be waited for").code(), Some(0));
    }
}
