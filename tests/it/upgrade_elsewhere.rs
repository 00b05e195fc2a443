//! WebSockets through a gateway that is served by somebody else, or stands in another one.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use axum::Router;
use prox_tests::{
    client::{RawClient, head},
    gateway::Served,
    origin::{Origin, Reply},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::upgrades::{Upstream, WEBSOCKET, expect, expect_end, write};

/// Talks through a new WebSocket of `client`, and leaves.
async fn converse(mut client: RawClient, upstream: &Upstream) {
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, mut server) = upstream.switch().await;
    assert_eq!(client.response_head().await.status, 101);
    let (mut reader, mut writer) = client.into_halves();
    write(&mut writer, "ping").await;
    expect(&mut server, "ping").await;
    writer.shutdown().await.unwrap();
    expect_end(&mut server).await;
    write(server.stream(), "pong").await;
    expect(&mut reader, "pong").await;
    drop(server);
    expect_end(&mut reader).await;
}

#[tokio::test]
async fn a_websocket_passes_through_a_gateway_that_is_mounted_in_axum() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = prox::gateway! { "/" => url }.unwrap();
    let app = Router::new().fallback_service(gateway);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    converse(RawClient::connect(address).await, &upstream).await;
}

#[tokio::test]
async fn a_websocket_passes_through_a_gateway_in_a_gateway() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let inner = prox::gateway! { "/" => url }.unwrap();
    let gateway = Served::start(prox::gateway! { "/" => service(inner) }).await;
    converse(gateway.client().await, &upstream).await;
}

#[tokio::test]
async fn a_server_that_cannot_switch_never_asks_the_upstream() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url }.unwrap();
    let request = http::Request::get("/")
        .header("host", "gateway.test")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(String::new())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(gateway, request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(origin.last().lacks("upgrade"));
}
