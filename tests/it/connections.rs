//! How many clients may be connected, and what happens to those that are one too many.

use prox::{Connections, Server};
use prox_tests::{
    events::Events,
    frames::{Frame, FrameClient, kind},
    gateway::Served,
    origin::{Origin, Reply},
    wait::{Gate, eventually, within},
};

const LIMIT: usize = 2;

async fn limited(origin: &Origin) -> (Served, Connections) {
    let url = origin.endpoint();
    let mut connections = None;
    let served = Served::with(prox::gateway! { "/" => url }, |server: Server<_>| {
        connections = Some(server.connections());
        server.max_connections(LIMIT)
    })
    .await;
    (served, connections.expect("the server was asked"))
}

/// An origin that answers once the gate is open.
async fn gated(gate: &Gate) -> Origin {
    let reply = Reply::new().wait(gate);
    Origin::start(reply.head(200, &[], "Content-Length: 2").write("ok")).await
}

#[tokio::test]
async fn a_client_beyond_the_limit_waits_until_another_has_left() {
    let events = Events::record();
    let gate = Gate::new();
    let origin = gated(&gate).await;
    let (gateway, connections) = limited(&origin).await;
    let mut busy = Vec::new();
    for _ in 0..LIMIT {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        busy.push(client);
    }
    origin.reached(LIMIT).await;
    assert_eq!(connections.limit(), Some(LIMIT));
    assert_eq!((connections.open(), connections.waited()), (LIMIT, 0));
    let mut third = gateway.client().await;
    third.request("GET", "/").await;
    eventually("it to wait", || connections.waited() == 1).await;
    let told = events.first("clients have to wait for a connection");
    assert_eq!(told.field("limit"), Some("2"));
    assert_eq!(told.field("reason"), Some("the limit is reached"));
    assert_eq!(origin.count(), LIMIT, "it is not served");
    // One leaves, and its place is taken.
    drop(busy.pop());
    origin.reached(LIMIT + 1).await;
    assert!(connections.open() <= LIMIT);
    gate.open();
    third.response("GET").await.expect(200);
}

#[tokio::test]
async fn idle_connections_make_room() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let (gateway, connections) = limited(&origin).await;
    let mut idle = Vec::new();
    for _ in 0..LIMIT {
        let mut client = gateway.client().await;
        client.get("/").await.expect(200);
        idle.push(client);
    }
    for _ in 0..3 {
        let mut client = gateway.client().await;
        client.get("/").await.expect(200);
        idle.push(client);
    }
    assert_eq!(connections.waited(), 3);
    assert!(idle[0].closed().await.is_empty(), "the oldest has left");
}

#[tokio::test]
async fn connections_of_http2_make_room_with_a_goodbye() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let (gateway, _) = limited(&origin).await;
    let mut first = FrameClient::connect(gateway.address()).await;
    first.send(&Frame::get(1, "/", &[])).await;
    assert!(first.next_of(kind::DATA).await.is_some());
    let mut second = gateway.client().await;
    second.get("/").await.expect(200);
    let third = gateway.get("/");
    let goodbye = async {
        assert!(first.next_of(kind::GOAWAY).await.is_some());
        first.closed().await;
    };
    let (third, ()) = within("room", async { tokio::join!(third, goodbye) }).await;
    third.expect(200);
}

#[tokio::test]
async fn clients_that_wait_when_the_server_ends_are_served() {
    let gate = Gate::new();
    let origin = gated(&gate).await;
    let (mut gateway, connections) = limited(&origin).await;
    let mut clients = Vec::new();
    for _ in 0..LIMIT + 3 {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        clients.push(client);
    }
    origin.reached(LIMIT).await;
    eventually("one to wait", || connections.waited() > 0).await;
    gateway.begin_shutdown();
    eventually("the queue to be taken", || {
        std::net::TcpStream::connect(gateway.address()).is_err()
    })
    .await;
    assert_eq!(connections.open(), LIMIT);
    gate.open();
    for client in &mut clients {
        client.response("GET").await.expect(200);
    }
    gateway.stop().await;
    assert_eq!(connections.open(), 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_default_limit_follows_the_descriptors() {
    let mut connections = None;
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let served = Served::with(gateway, |server: Server<_>| {
        connections = Some(server.connections());
        server
    })
    .await;
    served.get("/").await.expect(200);
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux has it");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    let descriptors: Option<usize> = soft.and_then(|number| number.parse().ok());
    let limit = connections.expect("the server was asked").limit();
    assert_eq!(
        limit,
        descriptors.map(|count| (count.saturating_sub(64) / 2).max(16))
    );
}

#[tokio::test]
async fn a_connection_of_http2_has_a_bounded_window() {
    const DEFAULT: u32 = 4 << 20;
    const FIRST: u32 = 65_535;
    for (set, expected) in [(None, DEFAULT), (Some(1 << 20), 1 << 20)] {
        let gateway = prox::gateway! { "/" => respond(200, "ok") };
        let gateway = Served::with(gateway, |server| match set {
            Some(bytes) => server.connection_window(bytes),
            None => server,
        })
        .await;
        let mut client = FrameClient::connect(gateway.address()).await;
        let update = client.next_of(kind::WINDOW_UPDATE).await.unwrap();
        assert_eq!(update.stream, 0);
        assert_eq!(update.payload, (expected - FIRST).to_be_bytes());
    }
}
