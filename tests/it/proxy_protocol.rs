//! The PROXY protocol, from those who may use it.

use std::sync::Arc;

use prox::{Client, Request};
use prox_tests::{client::head, gateway::Served};

use crate::trusted::client_at;

async fn who(req: Request) -> String {
    let client = req.extensions().get::<Arc<Client>>().expect("a client");
    let peer = client.peer().map(|peer| peer.to_string());
    let ip = client.ip().map(|ip| ip.to_string());
    format!("{} {}", ip.unwrap_or_default(), peer.unwrap_or_default())
}

/// A gateway that expects a header from 127.0.0.1.
async fn gateway() -> Served {
    let gateway = prox::gateway! { "/" => handler(who) };
    Served::with(gateway, |server| {
        server
            .proxy_protocol(["127.0.0.1"])
            .trusted_proxies(["203.0.113.0/24"])
    })
    .await
}

const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n";
const BLOCK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10\xcb\x00\x71\x07\x7f\x00\x00\x01\x12\x67\x00\x50\x04\x00\x01x";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

#[tokio::test]
async fn the_header_says_who_the_client_is_for_the_whole_connection() {
    let gateway = gateway().await;
    for header in [LINE, BLOCK] {
        let mut client = client_at(1, gateway.address()).await;
        client.send(header).await;
        for _ in 0..2 {
            let answer = client.get("/").await.expect(200);
            assert_eq!(answer.text(), "203.0.113.7 203.0.113.7:4711");
        }
    }
}

#[tokio::test]
async fn the_header_may_come_byte_by_byte_or_with_the_request() {
    let gateway = gateway().await;
    for header in [LINE, BLOCK] {
        let mut client = client_at(1, gateway.address()).await;
        for byte in header {
            client.send([*byte]).await;
            tokio::task::yield_now().await;
        }
        assert!(client.get("/").await.expect(200).text().ends_with(":4711"));

        let mut client = client_at(1, gateway.address()).await;
        client
            .send([header, head("GET", "/", "").as_bytes()].concat())
            .await;
        let answer = client.response("GET").await.expect(200);
        assert!(answer.text().ends_with(":4711"));
    }
}

#[tokio::test]
async fn a_proxy_may_stand_behind_the_address_in_the_header() {
    let gateway = gateway().await;
    let mut client = client_at(1, gateway.address()).await;
    client.send(LINE).await;
    client
        .send(head("GET", "/", "X-Forwarded-For: 198.51.100.1\r\n"))
        .await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(answer.text(), "198.51.100.1 203.0.113.7:4711");
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_keeps_its_own_address() {
    let gateway = gateway().await;
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let mut client = client_at(1, gateway.address()).await;
        client.send(header).await;
        let answer = client.get("/").await.expect(200);
        assert!(
            answer.text().starts_with("127.0.0.1 127.0.0.1:"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_trusted_peer_without_a_header_is_not_served() {
    let gateway = gateway().await;
    for sent in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 here there\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = client_at(1, gateway.address()).await;
        client.send(sent).await;
        assert!(client.closed().await.is_empty());
    }
}

#[tokio::test]
async fn nobody_else_can_choose_an_address() {
    let gateway = gateway().await;
    let mut client = client_at(2, gateway.address()).await;
    assert!(
        client
            .get("/")
            .await
            .expect(200)
            .text()
            .starts_with("127.0.0.2 127.0.0.2:")
    );
    let mut client = client_at(2, gateway.address()).await;
    client.send(LINE).await;
    client.response("GET").await.expect(400);
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for_for_ever() {
    let gateway = prox::gateway! { "/" => respond(200, "") };
    let gateway = Served::with(gateway, |server| {
        server
            .proxy_protocol(["127.0.0.1"])
            .header_timeout(std::time::Duration::from_millis(50))
    })
    .await;
    for sent in [&b""[..], b"PROXY TCP4"] {
        let mut client = client_at(1, gateway.address()).await;
        client.send(sent).await;
        assert!(client.closed().await.is_empty());
    }
}
