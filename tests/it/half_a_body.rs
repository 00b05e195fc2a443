//! An upstream that dies in the middle of a body never looks like the end of it.

use std::time::Duration;

use prox_tests::{
    client::{Answer, head},
    gateway::Served,
    origin::{Origin, Reply},
    wire::{End, Framing},
};

const SHORT: Duration = Duration::from_millis(150);

fn half_by_length() -> Reply {
    Reply::new()
        .head(200, &[], "Content-Length: 10")
        .write("12345")
}

fn half_by_chunks() -> Reply {
    Reply::new()
        .head(200, &[], "Transfer-Encoding: chunked")
        .write("5\r\n12345\r\n")
}

/// What a client gets of this, and that the gateway is well after it.
async fn cut(reply: Reply) -> Answer {
    let origin = Origin::start(Reply::ok("healthy")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).idle_timeout(SHORT) };
    let gateway = Served::start(gateway).await;
    origin.once([reply]);
    let answer = gateway.get("/").await;
    gateway.get("/").await.expect(200);
    assert_eq!(
        origin.accepted(),
        2,
        "a connection with half a body on it is of no use"
    );
    answer
}

#[tokio::test]
async fn a_close_within_a_length_is_no_clean_end() {
    let answer = cut(half_by_length().close()).await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
    assert_eq!(answer.text(), "12345");
}

#[tokio::test]
async fn a_close_before_the_last_chunk_is_no_clean_end() {
    let answer = cut(half_by_chunks().close()).await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
    assert_eq!(answer.text(), "12345");
}

#[tokio::test]
async fn a_close_within_a_chunk_is_no_clean_end() {
    let answer = cut(half_by_chunks().write("5\r\n12").close()).await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

#[tokio::test]
async fn a_close_within_the_trailers_is_no_clean_end() {
    let answer = cut(half_by_chunks().write("0\r\nTrail").close()).await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

#[tokio::test]
async fn a_chunk_size_that_is_none_is_no_clean_end() {
    let answer = cut(half_by_chunks().write("zz\r\n12345\r\n0\r\n\r\n").close()).await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

#[tokio::test]
async fn a_reset_within_a_body_is_no_clean_end() {
    for half in [half_by_length(), half_by_chunks()] {
        // The pause lets the first half arrive, which a reset would overtake.
        let answer = cut(half.pause(SHORT / 3).reset()).await;
        assert_eq!((answer.status, answer.body.end), (200, End::Cut));
    }
}

#[tokio::test]
async fn a_stall_within_a_body_is_cut_off_and_no_clean_end() {
    for half in [half_by_length(), half_by_chunks()] {
        let answer = cut(half.stall()).await;
        assert_eq!((answer.status, answer.body.end), (200, End::Cut));
    }
}

#[tokio::test]
async fn a_body_that_makes_progress_is_not_cut_off() {
    let mut reply = Reply::new().head(200, &[], "Transfer-Encoding: chunked");
    for _ in 0..6 {
        reply = reply.pause(SHORT / 2).write("2\r\nhi\r\n");
    }
    let answer = cut(half_by_length().close()).await;
    assert_eq!(answer.body.end, End::Cut);

    let origin = Origin::start(reply.write("0\r\n\r\n")).await;
    let url = origin.endpoint();
    let gateway =
        prox::gateway! { "/" => cluster(rr, [url]).idle_timeout(SHORT).response_timeout(SHORT) };
    let answer = Served::start(gateway).await.get("/").await.expect(200);
    assert_eq!(answer.text(), "hihihihihihi");
}

#[tokio::test]
async fn a_total_timeout_cuts_a_body_that_makes_progress() {
    let mut reply = Reply::new().head(200, &[], "Transfer-Encoding: chunked");
    for _ in 0..50 {
        reply = reply.pause(SHORT / 5).write("2\r\nhi\r\n");
    }
    let origin = Origin::start(reply.write("0\r\n\r\n")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).timeout(SHORT * 2) };
    let answer = Served::start(gateway).await.get("/").await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

/// A client of HTTP/1.0 knows the end of a chunked body by the end of the connection alone: only a reset tells it that
/// this is not the end.
#[tokio::test]
async fn half_a_body_is_no_clean_end_for_a_client_of_http_1_0_that_asked_for_keep_alive() {
    let origin = Origin::start(half_by_length().close()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let answer = client.response("GET").await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

/// Without a length a client of HTTP/1.0 gets a body that the end of the connection ends.
#[tokio::test]
async fn half_a_body_without_a_length_is_no_clean_end_for_a_client_of_http_1_0() {
    let origin = Origin::start(half_by_chunks().pause(SHORT).close()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.response("GET").await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

/// The same where it is the gateway that cuts it off.
#[tokio::test]
async fn half_a_body_at_the_end_of_the_drain_is_no_clean_end_for_a_client_of_http_1_0() {
    let origin = Origin::start(half_by_chunks().stall()).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.drain_timeout(SHORT)).await;
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response_head().await.status, 200);
    gateway.stop().await;
    let body = client.body(Framing::UntilClose).await;
    assert_eq!((body.text().as_str(), body.end), ("12345", End::Cut));
}

#[tokio::test]
async fn a_close_delimited_upstream_that_is_reset_is_no_clean_end() {
    let origin = Origin::start(
        Reply::new()
            .head(200, &[], "")
            .write("12345")
            .pause(SHORT)
            .reset(),
    )
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let answer = gateway.get("/").await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
}

#[tokio::test]
async fn half_an_answer_to_an_upload_is_no_clean_end() {
    let origin = Origin::start(half_by_chunks().close().early()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send(head("POST", "/", "Content-Length: 100\r\n") + "some of it")
        .await;
    let answer = client.response_head().await;
    assert!(matches!(answer.status, 200 | 502), "{answer:?}");
    let body = client.body(answer.head.response_framing("POST")).await;
    assert!(answer.status == 502 || body.end == End::Cut, "{body:?}");
    assert_ne!(answer.head.response_framing("POST"), Framing::UntilClose);
}
