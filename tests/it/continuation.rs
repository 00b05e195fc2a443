//! Messages that begin before the other one has ended: 1xx, `Expect: 100-continue`, answers to half an upload.

use std::time::Duration;

use prox_tests::{
    client::head,
    filler::{Digest, Filler},
    gateway::Served,
    origin::{Origin, Reply},
    wait::{Gate, within},
    wire::End,
};
use tokio::io::AsyncWriteExt;

async fn gateway(origin: &Origin) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => url }).await
}

const EXPECT: &str = "Content-Length: 5\r\nExpect: 100-continue\r\n";

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_and_sends_its_body() {
    let origin = Origin::start(Reply::ok("thanks")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.send(head("POST", "/", EXPECT)).await;
    assert_eq!(client.any_head().await.unwrap().word(1), "100");
    client.send("hello").await;
    client.response("POST").await.expect(200);
    assert_eq!(origin.last().body.text(), "hello");
    client.get("/").await.expect(200);
}

#[tokio::test]
async fn a_client_is_told_to_continue_only_when_the_upstream_wants_the_body() {
    let gate = Gate::new();
    let origin = Origin::start(
        Reply::new()
            .early()
            .wait(&gate)
            .write("HTTP/1.1 100 Continue\r\n\r\n")
            .read_body()
            .head(200, &[], "Content-Length: 2")
            .write("ok"),
    )
    .await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.send(head("POST", "/", EXPECT)).await;
    let early = tokio::time::timeout(Duration::from_millis(300), client.any_head()).await;
    assert!(early.is_err(), "nobody has asked for the body yet");
    gate.open();
    assert_eq!(client.any_head().await.unwrap().word(1), "100");
    client.send("hello").await;
    assert_eq!(client.response("POST").await.expect(200).text(), "ok");
    assert_eq!(origin.last().body.text(), "hello");
}

#[tokio::test]
async fn a_client_whose_upload_is_refused_is_not_told_to_continue() {
    let origin = Origin::start(
        Reply::status(413, &[("Connection", "close")], "too much")
            .early()
            .close(),
    )
    .await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.send(head("POST", "/", EXPECT)).await;
    assert_eq!(client.any_head().await.unwrap().word(1), "413");
}

#[tokio::test]
async fn an_upstream_that_says_100_continue_does_not_disturb_the_answer() {
    let polite = Reply::new()
        .early()
        .write("HTTP/1.1 100 Continue\r\n\r\n")
        .read_body()
        .head(200, &[], "Content-Length: 2")
        .write("ok");
    let origin = Origin::start(polite).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.send(head("POST", "/", EXPECT)).await;
    assert_eq!(client.any_head().await.unwrap().word(1), "100");
    client.send("hello").await;
    assert_eq!(client.response("POST").await.expect(200).text(), "ok");
    assert_eq!(client.post("/", "again").await.expect(200).text(), "ok");
}

#[tokio::test]
async fn an_upstream_that_refuses_an_expected_upload_is_heard() {
    let origin = Origin::start(Reply::ok("")).await;
    let gateway = gateway(&origin).await;
    origin.once([Reply::status(417, &[("Connection", "close")], "no")
        .early()
        .close()]);
    let mut client = gateway.client().await;
    client.send(head("POST", "/", EXPECT)).await;
    assert_eq!(client.response("POST").await.expect(417).text(), "no");
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn informational_responses_do_not_disturb_the_answer() {
    let hints = Reply::new()
        .write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\n\r\n")
        .write("HTTP/1.1 102 Processing\r\n\r\n")
        .head(200, &[], "Content-Length: 2")
        .write("ok");
    let origin = Origin::start(hints).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    for _ in 0..2 {
        let answer = client.get("/").await.expect(200);
        assert_eq!(answer.text(), "ok");
        assert!(
            answer.head.fields.lacks("link"),
            "a field of another response"
        );
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn an_early_answer_is_passed_on_while_the_upload_is_under_way() {
    let origin = Origin::start(Reply::ok("next")).await;
    let gateway = gateway(&origin).await;
    let gate = Gate::new();
    origin.once([Reply::status(200, &[], "early")
        .early()
        .wait(&gate)
        .read_body()]);
    let mut client = gateway.client().await;
    client
        .send(head("POST", "/", "Content-Length: 10\r\n") + "hello")
        .await;
    let answer = client.response("POST").await.expect(200);
    assert_eq!(answer.text(), "early");
    drop(client);
    gate.open();
    assert_eq!(gateway.get("/").await.expect(200).text(), "next");
    assert_eq!(
        origin.accepted(),
        2,
        "a connection with half an upload on it is of no use"
    );
}

#[tokio::test]
async fn an_early_answer_that_closes_is_heard_by_a_client_that_goes_on_sending() {
    const LENGTH: u64 = 20 * 1024 * 1024;
    let refusal = Reply::status(413, &[("Connection", "close")], "too large")
        .early()
        .close();
    let origin = Origin::start(refusal).await;
    let gateway = gateway(&origin).await;
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let sender = tokio::spawn(async move {
        let lines = format!("Content-Length: {LENGTH}\r\n");
        writer
            .write_all(head("POST", "/", &lines).as_bytes())
            .await?;
        for block in Filler::new(LENGTH) {
            writer.write_all(&block).await?;
        }
        std::io::Result::Ok(writer)
    });
    let head = within("an answer", reader.head()).await.expect("an answer");
    assert!(matches!(head.word(1), "413" | "502"), "{head:?}");
    if head.word(1) == "413" {
        let body = within(
            "its body",
            reader.body(head.response_framing("POST"), |_| {}),
        )
        .await;
        assert_eq!(
            (body.text().as_str(), body.end),
            ("too large", End::Complete)
        );
    }
    drop(within("the sender to be done or cut off", sender).await);
}

#[tokio::test]
async fn an_answer_streams_while_the_upload_is_under_way() {
    const LENGTH: u64 = 4 * 1024 * 1024;
    let both = Reply::new()
        .early()
        .head(200, &[], "Transfer-Encoding: chunked")
        .write("5\r\nfirst\r\n")
        .read_body()
        .write("4\r\nlast\r\n0\r\n\r\n");
    let origin = Origin::start(both).await;
    let gateway = gateway(&origin).await;
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let lines = format!("Content-Length: {LENGTH}\r\n");
    writer
        .write_all(head("POST", "/", &lines).as_bytes())
        .await
        .unwrap();
    let head = within("a head before the upload", reader.head())
        .await
        .expect("an answer");
    assert_eq!(head.word(1), "200");
    let sender = tokio::spawn(async move {
        for block in Filler::new(LENGTH) {
            writer.write_all(&block).await?;
        }
        std::io::Result::Ok(writer)
    });
    let body = within(
        "the answer",
        reader.body(head.response_framing("POST"), |_| {}),
    )
    .await;
    assert_eq!(
        (body.text().as_str(), body.end),
        ("firstlast", End::Complete)
    );
    assert_eq!(origin.last().body.digest, Digest::of_filler(LENGTH));
    drop(sender.await);
}

#[tokio::test]
async fn a_client_of_http_1_0_is_not_asked_to_continue() {
    let origin = Origin::start(Reply::ok("thanks")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client
        .send(format!("POST / HTTP/1.0\r\n{EXPECT}\r\nhello"))
        .await;
    let answer = client.response("POST").await.expect(200);
    assert!(answer.interim.is_empty(), "{answer:?}");
}
