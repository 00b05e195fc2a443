//! Clients that are too slow or too large, and requests that are none.

use std::time::Duration;

use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
    table,
    wait::eventually,
    wire::lines,
};
use serde::Deserialize;

const SHORT: Duration = Duration::from_millis(500);

async fn echo() -> Origin {
    Origin::with(|seen| Reply::ok(seen.target())).await
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_header_gets_a_408() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.header_timeout(SHORT)).await;
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.1\r\nHost: gate").await;
    assert!(client.response("GET").await.expect(408).closes());
    assert!(client.closed().await.is_empty());

    // Neither does it help to have asked properly before, or to send a byte now and then.
    let mut client = gateway.client().await;
    client.get("/").await.expect(200);
    for byte in ["G", "E", "T", " ", "/"] {
        client.send(byte).await;
        tokio::time::sleep(SHORT / 4).await;
    }
    client.response("GET").await.expect(408);
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.keep_alive(SHORT)).await;
    let mut fresh = gateway.client().await;
    assert!(fresh.closed().await.is_empty());
    let mut used = gateway.client().await;
    used.get("/").await.expect(200);
    assert!(used.closed().await.is_empty());
}

#[tokio::test]
async fn a_connection_in_use_is_not_closed_as_idle() {
    let origin = Origin::start(
        Reply::new()
            .pause(SHORT * 2)
            .head(200, &[], "Content-Length: 0"),
    )
    .await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let limits = |server: prox::Server<_>| {
        server
            .keep_alive(SHORT)
            .header_timeout(SHORT)
            .idle_timeout(SHORT)
    };
    let gateway = Served::with(gateway, limits).await;
    let mut client = gateway.client().await;
    for _ in 0..2 {
        client.get("/").await.expect(200);
    }
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_body_gets_a_408() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.idle_timeout(SHORT)).await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client().await;
        client
            .send(head("POST", "/", &format!("{framing}\r\n")) + "5\r\nhello\r\n")
            .await;
        assert!(client.response("POST").await.expect(408).closes());
        client.closed().await;
        origin.left_alone().await;
    }
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn an_upload_that_makes_progress_is_not_cut_off() {
    // All of the upload takes longer, and a pause is a small part of it.
    const LIMIT: Duration = Duration::from_secs(2);
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).response_timeout(LIMIT) };
    let limits = |server: prox::Server<_>| server.idle_timeout(LIMIT).header_timeout(LIMIT);
    let gateway = Served::with(gateway, limits).await;
    let mut client = gateway.client().await;
    client
        .send(head("POST", "/", "Content-Length: 24\r\n"))
        .await;
    for _ in 0..24 {
        client.send("x").await;
        tokio::time::sleep(LIMIT / 20).await;
    }
    client.response("POST").await.expect(200);
}

#[tokio::test]
async fn a_client_that_does_not_take_its_response_is_cut_off() {
    let origin = Origin::start(Reply::filler(64 * 1024 * 1024, false)).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.idle_timeout(SHORT)).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    origin.reached(1).await;
    origin.left_alone().await;
    assert_eq!(
        client.response("GET").await.body.end,
        prox_tests::wire::End::Cut
    );
}

#[tokio::test]
async fn a_header_block_over_the_limit_is_a_431() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| {
        server.max_header_size(16 * 1024).max_headers(20)
    })
    .await;
    let long = format!("X-Long: {}\r\n", "x".repeat(20 * 1024));
    let many = lines((0..30).map(|n| format!("X-{n}: y")));
    for lines in [long, many] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", &lines)).await;
        let answer = client.response("GET").await.expect(431);
        assert!(answer.closes(), "{answer:?}");
        client.closed().await;
    }
    let mut client = gateway.client().await;
    let fits = format!("X-Long: {}\r\n", "x".repeat(15 * 1024));
    client.send(head("GET", "/", &fits)).await;
    client.response("GET").await.expect(200);
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn the_default_limits_take_64_kib_and_100_fields() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(60 * 1024));
    let many = lines((0..99).map(|n| format!("X-{n}: y")));
    for lines in [&long, &many] {
        client.send(head("GET", "/", lines)).await;
        client.response("GET").await.expect(200);
    }
    for lines in [long.clone() + &long, many.clone() + &many] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", &lines)).await;
        client.response("GET").await.expect(431);
    }
}

#[tokio::test]
async fn a_target_over_8_kib_is_a_414() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for length in [8 * 1024 + 1, 40_000, 66_000, 1_000_000] {
        let mut client = gateway.client().await;
        client
            .request("GET", &format!("/{}", "x".repeat(length)))
            .await;
        let answer = client.response("GET").await;
        assert_eq!(answer.status, 414, "{length}");
        assert!(answer.closes(), "{answer:?}");
    }
    let longest = format!("/{}", "x".repeat(8 * 1024 - 1));
    gateway.get(&longest).await.expect(200);
    gateway.get("/").await.expect(200);
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_request_with_a_length_and_a_coding_is_the_last_of_its_connection() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        let mut client = gateway.client().await;
        client
            .send(head("POST", "/", lines) + "0\r\n\r\n" + &head("GET", "/smuggled", ""))
            .await;
        assert!(client.response("POST").await.closes());
        assert!(client.closed().await.is_empty());
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|seen| seen.target() != "/smuggled")
    );
}

/// A request that must not be understood.
#[derive(Deserialize)]
struct Malformed {
    about: String,
    bytes: String,
    /// Nothing but a close is an answer too, where there is no telling what was asked.
    #[serde(default)]
    may_close: bool,
    status: Option<u16>,
}

#[derive(Deserialize)]
struct Table {
    case: Vec<Malformed>,
}

#[tokio::test]
async fn a_malformed_request_is_a_400_and_reaches_no_upstream() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut wrong = Vec::new();
    for case in table::load::<Table>("malformed.toml").case {
        let before = origin.count();
        let mut client = gateway.client().await;
        client.send(table::bytes(&case.bytes)).await;
        client.half_close().await;
        let answer = client.response("GET").await;
        let expected = case.status.unwrap_or(400);
        if answer.status != expected && !(case.may_close && answer.status == 0) {
            wrong.push(format!(
                "{}: {} instead of {expected}",
                case.about, answer.status
            ));
        }
        if answer.status == expected && !answer.closes() {
            wrong.push(format!("{}: the connection goes on", case.about));
        }
        if origin.count() != before {
            wrong.push(format!(
                "{}: it went on as {:?}",
                case.about,
                origin.last().head.start
            ));
        }
        gateway.get("/healthy").await.expect(200);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    eventually("all but kept connections to be closed", || {
        origin.open() <= 1
    })
    .await;
}
