//! What belongs to one exchange never reaches another: the ends of messages are where they are, whatever upstreams do.

use prox_tests::{
    client::{RawClient, head},
    filler::Filler,
    gateway::Served,
    origin::{Origin, Reply},
    wait::{eventually, within},
};
use tokio::io::AsyncWriteExt;

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil";

async fn gateway(origin: &Origin) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => url }).await
}

/// Asks three times for what the upstream says, and checks that each answer is that of its request.
async fn stays_in_step(origin: &Origin, mut client: RawClient) {
    for number in 0..3 {
        let target = format!("/healthy/{number}");
        let answer = client.get(&target).await.expect(200);
        assert_eq!(answer.text(), target);
        assert!(answer.head.fields.lacks("x-evil"), "{answer:?}");
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|seen| seen.target() != "/smuggled")
    );
}

#[tokio::test]
async fn what_an_upstream_sends_behind_its_response_is_nobodys_response() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let gateway = gateway(&origin).await;
    let whole = |status, framing, body: &str| {
        Reply::new()
            .head(status, &[], framing)
            .write(format!("{body}{EVIL}"))
    };
    for reply in [
        Reply::new().write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}"
        )),
        Reply::new().write(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}"
        )),
        Reply::new().write(format!("HTTP/1.1 204 No Content\r\n\r\n{EVIL}")),
        Reply::new().write(format!(
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n{EVIL}"
        )),
        whole(200, "Content-Length: 2", "ok"),
        whole(204, "", ""),
        whole(304, "", ""),
    ] {
        origin.once([reply]);
        let mut client = gateway.client().await;
        client.request("GET", "/bad").await;
        let answer = client.response("GET").await;
        assert!(matches!(answer.status, 200 | 204 | 304 | 502), "{answer:?}");
        assert!(answer.head.fields.lacks("x-evil"));
        if answer.closes() || answer.status == 502 {
            client = gateway.client().await;
        }
        stays_in_step(&origin, client).await;
    }
}

#[tokio::test]
async fn a_response_to_head_that_has_a_body_does_no_harm() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.request("HEAD", "/bad").await;
    let answer = client.response("HEAD").await.expect(200);
    assert_eq!(answer.field("content-length"), Some("4"));
    stays_in_step(&origin, client).await;
}

#[tokio::test]
async fn what_an_upstream_sends_unasked_is_nobodys_response() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let gateway = gateway(&origin).await;
    let gate = prox_tests::wait::Gate::new();
    origin.once([Reply::ok("/first").wait(&gate).write(EVIL)]);
    let mut client = gateway.client().await;
    client.get("/first").await.expect(200);
    gate.open();
    stays_in_step(&origin, client).await;
}

#[tokio::test]
async fn a_body_that_its_route_does_not_read_is_no_request() {
    let gateway = Served::start(prox::gateway! { "/here" => respond(200, "ok") }).await;
    let smuggled = head("GET", "/here", "");
    for framing in ["Content-Length", "Transfer-Encoding"] {
        let mut client = gateway.client().await;
        let request = if framing == "Content-Length" {
            head(
                "POST",
                "/nowhere",
                &format!("Content-Length: {}\r\n", smuggled.len()),
            ) + &smuggled
        } else {
            let size = format!("{:x}", smuggled.len());
            head("POST", "/nowhere", "Transfer-Encoding: chunked\r\n")
                + &size
                + "\r\n"
                + &smuggled
                + "\r\n0\r\n\r\n"
        };
        client.send(request).await;
        client.response("POST").await.expect(404);
        client.request("GET", "/here").await;
        let answer = client.response("GET").await;
        assert!(answer.status == 0 || answer.text() == "ok", "{answer:?}");
        if answer.status == 200 {
            client.request("GET", "/nowhere").await;
            client.response("GET").await.expect(404);
        }
    }
}

#[tokio::test]
async fn a_large_upload_to_no_route_is_answered() {
    const LENGTH: u64 = 20 * 1024 * 1024;
    let gateway = Served::start(prox::gateway! { "/here" => respond(200, "ok") }).await;
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let sender = tokio::spawn(async move {
        let lines = format!("Content-Length: {LENGTH}\r\n");
        writer
            .write_all(head("POST", "/nowhere", &lines).as_bytes())
            .await?;
        for block in Filler::new(LENGTH) {
            writer.write_all(&block).await?;
        }
        std::io::Result::Ok(writer)
    });
    let answer = within("an answer", reader.head()).await.expect("an answer");
    assert_eq!(answer.word(1), "404");
    drop(within("the sender to be done or cut off", sender).await);
    gateway.get("/here").await.expect(200);
}

#[tokio::test]
async fn an_upload_that_is_cut_is_not_followed_by_another_request_on_its_connection() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let gateway = gateway(&origin).await;
    gateway.get("/healthy").await.expect(200);
    let mut client = gateway.client().await;
    client
        .send(head("POST", "/cut", "Content-Length: 1000\r\n") + "half of it")
        .await;
    eventually("the upload to begin", || origin.last().target() == "/cut").await;
    drop(client);
    stays_in_step(&origin, gateway.client().await).await;
    let cut = origin
        .requests()
        .into_iter()
        .find(|seen| seen.target() == "/cut")
        .unwrap();
    let later = origin
        .requests()
        .into_iter()
        .rfind(|seen| seen.target() == "/healthy/2")
        .unwrap();
    assert_ne!(cut.connection, later.connection);
}
