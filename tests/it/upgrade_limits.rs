//! How long tunnels last, what they cost, and what is told of them.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::Duration,
};

use prox::middleware::{AccessLog, Recover};
use prox_tests::{
    client::{RawClient, head},
    gateway::Served,
    ports::free_port,
    wait::{eventually, within},
    wire::Reader,
};
use tokio::{net::TcpStream, time::Instant};
use tower::ServiceBuilder;

use crate::upgrades::{Upstream, WEBSOCKET, connect, expect, expect_end, serve, write};

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    const IDLE: Duration = Duration::from_secs(2);
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).idle_timeout(IDLE) }).await;
    let (client, mut server) = connect(&gateway, &upstream).await;
    let (mut reader, mut writer) = client.into_halves();
    let start = Instant::now();
    for _ in 0..24 {
        // Either direction is enough.
        tokio::time::sleep(IDLE / 20).await;
        write(&mut writer, "ping").await;
        expect(&mut server, "ping").await;
        tokio::time::sleep(IDLE / 20).await;
        write(server.stream(), "pong").await;
        expect(&mut reader, "pong").await;
    }
    assert!(start.elapsed() > 2 * IDLE);
    let last = Instant::now();
    expect_end(&mut reader).await;
    expect_end(&mut server).await;
    assert!(last.elapsed() > IDLE / 2, "{:?}", last.elapsed());
}

#[tokio::test]
async fn the_limits_of_the_server_for_exchanges_are_not_those_of_tunnels() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let short = Duration::from_millis(500);
    let gateway = Served::with(
        prox::gateway! { "/" => cluster(rr, [url]).timeout(1s) },
        |server| {
            server
                .keep_alive(short)
                .idle_timeout(short)
                .header_timeout(short)
        },
    )
    .await;
    let (client, mut server) = connect(&gateway, &upstream).await;
    let (mut reader, mut writer) = client.into_halves();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    write(&mut writer, "later").await;
    expect(&mut server, "later").await;
    write(server.stream(), "too").await;
    expect(&mut reader, "too").await;
}

#[tokio::test]
async fn the_drain_lets_tunnels_go_on_and_cuts_them_at_its_deadline() {
    const DRAIN: Duration = Duration::from_secs(2);
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let mut gateway = Served::with(prox::gateway! { "/" => url }, |server| {
        server.drain_timeout(DRAIN)
    })
    .await;
    let (client, mut server) = connect(&gateway, &upstream).await;
    let (mut reader, mut writer) = client.into_halves();
    let start = Instant::now();
    gateway.begin_shutdown();
    tokio::time::sleep(DRAIN / 20).await;
    write(&mut writer, "during the drain").await;
    expect(&mut server, "during the drain").await;
    assert!(!gateway.has_ended());
    expect_end(&mut reader).await;
    expect_end(&mut server).await;
    let took = start.elapsed();
    assert!(took >= DRAIN && took < 10 * DRAIN, "{took:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_drain_does_not_wait_longer_than_its_tunnels_last() {
    let upstream = Upstream::start().await;
    let mut gateway = serve(&upstream).await;
    let (client, mut server) = connect(&gateway, &upstream).await;
    gateway.begin_shutdown();
    drop(client);
    expect_end(&mut server).await;
    drop(server);
    within("the server to end", gateway.stop()).await;
}

#[tokio::test]
async fn an_endpoint_counts_its_tunnels_as_requests() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let (a, b) = (first.endpoint(), second.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(least_conn, [a, b]) }).await;
    let mut ends = Vec::new();
    // Whichever is picked first, the next one goes to the other.
    for _ in 0..2 {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", WEBSOCKET)).await;
        let server = tokio::select! {
            (_, server) = first.switch() => (1, server),
            (_, server) = second.switch() => (2, server),
        };
        assert_eq!(client.response_head().await.status, 101);
        ends.push((client, server));
    }
    assert_ne!(ends[0].1.0, ends[1].1.0);
}

/// Lines that a test can read.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_tunnel_passes_through_layers_and_is_one_line_of_the_log_when_it_ends() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let lines = Lines::default();
    let log = AccessLog::json().writer(lines.clone());
    let tower = ServiceBuilder::new()
        .map_response(|mut response: prox::Response| {
            let value = http::HeaderValue::from_static("yes");
            response.headers_mut().insert("x-tower", value);
            response
        })
        .into_inner();
    let gateway = Served::start(prox::gateway! {
        with [log, Recover::new(), tower];
        "/" => url,
    })
    .await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, mut server) = upstream.switch().await;
    let answer = client.response_head().await;
    assert_eq!((answer.status, answer.field("x-tower")), (101, Some("yes")));
    let (mut reader, mut writer) = client.into_halves();
    write(&mut writer, "12345").await;
    expect(&mut server, "12345").await;
    write(server.stream(), "1234567").await;
    expect(&mut reader, "1234567").await;
    assert_eq!(lines.text(), "");
    drop((reader, writer));
    expect_end(&mut server).await;
    drop(server);
    eventually("the line of the tunnel", || lines.text().contains('\n')).await;
    let line = lines.text();
    for part in [
        r#""status":101"#,
        r#""bytes_in":5"#,
        r#""bytes_out":7"#,
        r#""tries":1"#,
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains("aborted"), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[tokio::test]
async fn a_layer_that_makes_a_101_its_own_closes_the_upstream_and_gives_500() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let forgetful = async |req: prox::Request, next: prox::Next| {
        let (status, response) = (next.run(req).await.status(), ());
        (status, response)
    };
    let gateway = Served::start(prox::gateway! { with [forgetful]; "/" => url }).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    let (_, mut server) = upstream.switch().await;
    expect_end(&mut server).await;
    client.response("GET").await.expect(500);
}

#[tokio::test]
async fn a_handler_cannot_switch_by_itself() {
    let switch = async |_: prox::Request| http::StatusCode::SWITCHING_PROTOCOLS;
    let gateway = Served::start(prox::gateway! { "/" => handler(switch) }).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    client.response("GET").await.expect(500);
}

/// A gateway in a process of its own, whose memory is nobody else's; it ends with this.
struct Apart(Child, SocketAddr);

impl Apart {
    fn start(upstream: &Upstream) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let child = Command::new(env!("CARGO_BIN_EXE_peer_prox"))
            .args(["--listen", &address.to_string()])
            .args(["--upstream", &format!("http://{}", upstream.address())])
            .spawn()
            .expect("the gateway starts");
        Self(child, address)
    }

    async fn connect(&self, upstream: &Upstream) -> (RawClient, Reader<TcpStream>) {
        let mut client = RawClient::connect(self.1).await;
        client.send(head("GET", "/chat", WEBSOCKET)).await;
        let (_, server) = upstream.switch().await;
        assert_eq!(client.response_head().await.status, 101);
        (client, server)
    }

    /// The resident set in KiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
        size.and_then(|size| size.parse().ok()).expect("a number")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_thousand_idle_websockets_cost_less_than_20_kib_each() {
    const COUNT: u64 = 1000;
    let upstream = Upstream::start().await;
    let gateway = Apart::start(&upstream);
    eventually("the gateway to listen", || {
        std::net::TcpStream::connect(gateway.1).is_ok()
    })
    .await;
    // What is there once is no cost of each.
    drop(gateway.connect(&upstream).await);
    let before = gateway.resident();
    let mut ends = Vec::new();
    for _ in 0..COUNT {
        ends.push(gateway.connect(&upstream).await);
    }
    let quiet = (gateway.resident() - before) / COUNT;
    // Each has carried something, and is idle again.
    let mut kept = Vec::new();
    for (client, mut server) in ends {
        let (mut reader, mut writer) = client.into_halves();
        let word = "up".repeat(10_000);
        write(&mut writer, &word).await;
        expect(&mut server, &word).await;
        write(server.stream(), "down").await;
        expect(&mut reader, "down").await;
        kept.push((reader, writer, server));
    }
    let used = (gateway.resident() - before) / COUNT;
    println!("an idle WebSocket costs {quiet} KiB, and {used} KiB when it was used");
    assert!(quiet < 20 && used < 20, "{quiet} KiB, {used} KiB");
}
