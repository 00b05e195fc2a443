//! The end of a server: nothing that was asked is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use prox_tests::{
    client::RawClient,
    filler::Digest,
    gateway::Served,
    origin::{Origin, Reply},
    wait::{Gate, eventually, within},
    wire::{End, Framing},
};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_request_under_way_is_finished_and_its_connection_closed() {
    let gate = Gate::new();
    let origin = Origin::start(
        Reply::new()
            .wait(&gate)
            .head(200, &[], "Content-Length: 2")
            .write("ok"),
    )
    .await;
    let url = origin.endpoint();
    let mut gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    gateway.begin_shutdown();
    eventually("new connections to be refused", || refuses(&gateway)).await;
    assert!(!gateway.has_ended());
    gate.open();
    let answer = client.response("GET").await.expect(200);
    assert!(answer.closes(), "{answer:?}");
    assert!(client.closed().await.is_empty());
    gateway.stop().await;
}

fn refuses(gateway: &Served) -> bool {
    std::net::TcpStream::connect(gateway.address()).is_err()
}

#[tokio::test]
async fn a_response_under_way_is_finished() {
    let gate = Gate::new();
    let reply = Reply::new()
        .head(200, &[], "Transfer-Encoding: chunked")
        .write("5\r\nfirst\r\n");
    let origin = Origin::start(reply.wait(&gate).write("4\r\nlast\r\n0\r\n\r\n")).await;
    let url = origin.endpoint();
    let mut gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    assert_eq!(client.response_head().await.status, 200);
    gateway.begin_shutdown();
    eventually("new connections to be refused", || refuses(&gateway)).await;
    gate.open();
    let body = client.body(Framing::Chunked).await;
    assert_eq!(
        (body.text().as_str(), body.end),
        ("firstlast", End::Complete)
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_is_to_end_is_not_ready_and_serves_on() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        GET "/readyz" => prox::readiness(),
        "/" => url,
    };
    let gateway = gateway.expect("the gateway can start");
    let mut served = Served::with(gateway.clone(), |server| {
        server.shutdown_delay(Duration::from_hours(1))
    })
    .await;
    let mut client = served.client().await;
    client.get("/").await.expect(200);
    served.begin_shutdown();
    eventually("it is not ready", || !gateway.is_ready()).await;
    assert_eq!(
        served.get("/readyz").await.expect(503).text(),
        "not ready\n"
    );
    for answer in [served.get("/").await, client.get("/").await] {
        assert!(!answer.expect(200).closes());
    }
    assert!(!served.has_ended());
}

#[tokio::test]
async fn the_drain_begins_after_the_delay() {
    const DELAY: Duration = Duration::from_millis(300);
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.shutdown_delay(DELAY)).await;
    let mut idle = gateway.client().await;
    idle.get("/").await.expect(200);
    let began = tokio::time::Instant::now();
    gateway.stop().await;
    assert!(began.elapsed() >= DELAY, "{:?}", began.elapsed());
    assert!(idle.closed().await.is_empty());
}

#[tokio::test]
async fn an_upload_under_way_is_finished() {
    let origin = Origin::start(Reply::ok("thanks")).await;
    let url = origin.endpoint();
    let mut gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send(prox_tests::client::head("POST", "/", "Content-Length: 10\r\n") + "hello")
        .await;
    origin.reached(1).await;
    gateway.begin_shutdown();
    eventually("new connections to be refused", || refuses(&gateway)).await;
    client.send("hello").await;
    assert!(client.response("POST").await.expect(200).closes());
    gateway.stop().await;
}

#[tokio::test]
async fn a_keep_alive_client_hears_of_the_end_with_its_next_response() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let mut gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    assert!(!client.get("/").await.expect(200).closes());
    gateway.begin_shutdown();
    eventually("new connections to be refused", || refuses(&gateway)).await;
    assert!(client.get("/").await.expect(200).closes());
    assert!(client.closed().await.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_end_up() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut idle = gateway.client().await;
    idle.get("/").await.expect(200);
    let mut fresh = gateway.client().await;
    let began = tokio::time::Instant::now();
    gateway.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(idle.closed().await.is_empty());
    assert!(fresh.closed().await.is_empty());
}

#[tokio::test]
async fn what_is_not_done_at_the_deadline_is_cut_off() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| {
        server.drain_timeout(Duration::from_millis(100))
    })
    .await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    gateway.stop().await;
    let answer = client.response("GET").await.expect(503);
    assert!(answer.closes(), "{answer:?}");
    origin.left_alone().await;
}

#[tokio::test]
async fn a_slow_client_gets_all_of_its_response() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let page = prox_tests::filler::Filler::new(LENGTH as u64)
        .flatten()
        .collect::<Vec<u8>>();
    let page = bytes::Bytes::from(page);
    let whole = move |_: prox::Request| std::future::ready(page.clone());
    let mut gateway = Served::start(prox::gateway! { "/" => handler(whole) }).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    assert_eq!(client.response_head().await.status, 200);
    gateway.begin_shutdown();
    eventually("new connections to be refused", || refuses(&gateway)).await;
    // Longer than an idle connection is left open in a drain.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let body = client.body(Framing::Length(LENGTH as u64)).await;
    assert_eq!(body.digest, Digest::of_filler(LENGTH as u64));
    gateway.stop().await;
}

#[tokio::test]
async fn no_request_is_lost_when_the_server_ends_under_load() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let mut gateway = Served::start(prox::gateway! { "/" => url }).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|number| {
            tokio::spawn(load(
                gateway.address(),
                number % 2 == 0,
                Arc::clone(&answered),
            ))
        })
        .collect();
    eventually("requests to be answered", || answered.load(SeqCst) > 500).await;
    gateway.begin_shutdown();
    for client in clients {
        let lost = within("a client to be refused", client)
            .await
            .expect("a client does not panic");
        assert_eq!(lost, 0);
    }
    gateway.stop().await;
}

/// Sends one request after the other until connecting is refused, and counts those that got no whole answer.
async fn load(
    address: std::net::SocketAddr,
    keep_alive: bool,
    answered: Arc<AtomicUsize>,
) -> usize {
    let mut lost = 0;
    while let Ok(stream) = TcpStream::connect(address).await {
        let mut client = RawClient::of(stream);
        loop {
            let answer = client.get("/").await;
            if answer.status == 200 && answer.body.end == End::Complete {
                answered.fetch_add(1, SeqCst);
            } else {
                lost += 1;
            }
            if !keep_alive || answer.closes() || answer.status != 200 {
                break;
            }
        }
    }
    lost
}
