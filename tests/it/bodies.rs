//! Bodies stream both ways: with back-pressure, in every framing, with their trailers.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use prox_tests::{
    client::{HyperClient, body, head},
    filler::{Digest, Filler},
    gateway::Served,
    memory::Growth,
    origin::{Origin, Reply},
    wait::{eventually, within},
    wire::{End, Framing},
};
use tokio::{io::AsyncWriteExt, sync::Mutex};

const LARGE: u64 = 100 * 1024 * 1024;

/// The most that the process may grow by while a large body passes, all of the test's own buffers included.
const FLAT: u64 = 40 * 1024 * 1024;

/// Those who measure the memory of the process do it one after the other.
static MEMORY: Mutex<()> = Mutex::const_new(());

async fn gateway(origin: &Origin) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => url }).await
}

#[tokio::test]
async fn a_download_of_100_mb_streams_with_flat_memory() {
    let _alone = MEMORY.lock().await;
    for chunked in [false, true] {
        let origin = Origin::start(Reply::filler(LARGE, chunked)).await;
        let gateway = gateway(&origin).await;
        let growth = Growth::measure();
        let answer = gateway.get("/").await.expect(200);
        assert_eq!(answer.body.digest, Digest::of_filler(LARGE));
        assert!(growth.most() < FLAT, "grew by {} bytes", growth.most());
    }
}

#[tokio::test]
async fn an_upload_of_100_mb_streams_with_flat_memory() {
    let _alone = MEMORY.lock().await;
    for chunked in [false, true] {
        let origin = Origin::start(Reply::ok("thanks")).await;
        let gateway = gateway(&origin).await;
        let growth = Growth::measure();
        let answer = upload(&gateway, LARGE, chunked).await;
        assert_eq!(answer, "200");
        let seen = origin.last();
        assert_eq!(seen.body.digest, Digest::of_filler(LARGE));
        assert_eq!(seen.lacks("content-length"), chunked);
        assert_eq!(seen.lacks("transfer-encoding"), !chunked);
        assert!(growth.most() < FLAT, "grew by {} bytes", growth.most());
    }
}

/// Uploads filler while it reads the answer, and gives its status.
async fn upload(gateway: &Served, length: u64, chunked: bool) -> String {
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let framing = if chunked {
        "Transfer-Encoding: chunked\r\n".to_owned()
    } else {
        format!("Content-Length: {length}\r\n")
    };
    let sender = tokio::spawn(async move {
        writer
            .write_all(head("POST", "/", &framing).as_bytes())
            .await?;
        for block in Filler::new(length) {
            if chunked {
                writer
                    .write_all(format!("{:x}\r\n", block.len()).as_bytes())
                    .await?;
            }
            writer.write_all(&block).await?;
            if chunked {
                writer.write_all(b"\r\n").await?;
            }
        }
        if chunked {
            writer.write_all(b"0\r\n\r\n").await?;
        }
        std::io::Result::Ok(writer)
    });
    let head = within("the answer to an upload", reader.head())
        .await
        .unwrap_or_default();
    drop(within("the upload to end", sender).await);
    head.word(1).to_owned()
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    let origin = Origin::start(Reply::filler(LARGE, false)).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    assert_eq!(client.response_head().await.status, 200);
    let stuck = settled(|| origin.last().filled).await;
    assert!(
        stuck < LARGE / 4,
        "{stuck} bytes were taken for a client that reads nothing"
    );
    let body = client.body(Framing::Length(LARGE)).await;
    assert_eq!(body.digest, Digest::of_filler(LARGE));
}

#[tokio::test]
async fn an_upstream_that_does_not_read_holds_the_client_back() {
    let gate = prox_tests::wait::Gate::new();
    let slow = Reply::new()
        .early()
        .wait(&gate)
        .read_body()
        .head(200, &[], "Content-Length: 0");
    let origin = Origin::start(slow).await;
    let gateway = gateway(&origin).await;
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let (told, taken) = tokio::sync::watch::channel(0);
    let sender = tokio::spawn(async move {
        let lines = format!("Content-Length: {LARGE}\r\n");
        writer
            .write_all(head("POST", "/", &lines).as_bytes())
            .await?;
        for block in Filler::new(LARGE) {
            writer.write_all(&block).await?;
            told.send_modify(|sum| *sum += block.len() as u64);
        }
        std::io::Result::Ok(writer)
    });
    origin.reached(1).await;
    let stuck = settled(|| *taken.borrow()).await;
    assert!(
        stuck < LARGE / 4,
        "{stuck} bytes were taken for an upstream that reads nothing"
    );
    gate.open();
    let head = within("an answer", reader.head()).await.expect("an answer");
    assert_eq!(head.word(1), "200");
    drop(sender.await);
    assert_eq!(origin.last().body.digest, Digest::of_filler(LARGE));
}

/// The value that a number has when it no longer grows.
async fn settled(number: impl Fn() -> u64) -> u64 {
    let mut last = (number(), 0);
    eventually("a number to settle", || {
        let now = number();
        last = if now == last.0 && now > 0 {
            (now, last.1 + 1)
        } else {
            (now, 0)
        };
        last.1 > 50
    })
    .await;
    last.0
}

#[tokio::test]
async fn each_part_of_a_stream_arrives_before_the_next_is_sent() {
    let gates = [prox_tests::wait::Gate::new(), prox_tests::wait::Gate::new()];
    let reply = Reply::new()
        .head(
            200,
            &[("Content-Type", "text/event-stream")],
            "Transfer-Encoding: chunked",
        )
        .write("5\r\nfirst\r\n")
        .wait(&gates[0])
        .write("6\r\nsecond\r\n")
        .wait(&gates[1])
        .write("0\r\n\r\n");
    let origin = Origin::start(reply).await;
    let gateway = gateway(&origin).await;
    let request = http::Request::get("/")
        .header("host", "gateway.test")
        .body(body(Full::default()));
    let mut client = HyperClient::connect(gateway.address()).await;
    let mut response = client.send(request.unwrap()).await.unwrap();
    for (part, gate) in ["first", "second"].into_iter().zip(gates) {
        let frame = within("a part", response.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), part);
        gate.open();
    }
    assert!(within("the end", response.frame()).await.is_none());
}

#[tokio::test]
async fn each_part_of_an_upload_arrives_before_the_next_is_sent() {
    let origin = Origin::start(Reply::ok("thanks")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client
        .send(head("POST", "/", "Transfer-Encoding: chunked\r\n"))
        .await;
    for (sum, part) in [(3, "one"), (6, "two")] {
        client.send(format!("3\r\n{part}\r\n")).await;
        origin.reached(1).await;
        eventually("a part to arrive", || {
            origin.last().body.digest.length() == sum
        })
        .await;
    }
    client.send("0\r\n\r\n").await;
    client.response("POST").await.expect(200);
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let origin = Origin::start(Reply::new().head(200, &[], "Content-Length: 1234")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.request("HEAD", "/").await;
    let answer = client.response("HEAD").await.expect(200);
    assert_eq!(answer.field("content-length"), Some("1234"));
    client.request("HEAD", "/").await;
    client.response("HEAD").await.expect(200);
}

#[tokio::test]
async fn no_content_and_not_modified_have_no_body() {
    let origin = Origin::start(Reply::new().head(204, &[], "")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    let answer = client.get("/").await.expect(204);
    assert!(answer.head.fields.lacks("content-length"));
    assert!(answer.head.fields.lacks("transfer-encoding"));
    origin.once([Reply::new().head(304, &[("ETag", "\"x\"")], "Content-Length: 1234")]);
    let answer = client.get("/").await.expect(304);
    assert_eq!(answer.field("etag"), Some("\"x\""));
    client.get("/").await.expect(204);
}

#[tokio::test]
async fn an_empty_body_stays_one() {
    let origin = Origin::start(Reply::ok("")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    let answer = client.post("/", "").await.expect(200);
    assert_eq!(answer.field("content-length"), Some("0"));
    assert_eq!(origin.last().field("content-length"), Some("0"));
    client
        .send(head("POST", "/", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n")
        .await;
    client.response("POST").await.expect(200);
    assert_eq!(origin.last().body.end, End::Complete);
}

#[tokio::test]
async fn a_request_without_a_body_gets_none() {
    let origin = Origin::start(Reply::ok("")).await;
    let gateway = gateway(&origin).await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        let mut client = gateway.client().await;
        client.request(method, "/").await;
        client.response(method).await.expect(200);
        assert!(origin.last().lacks("transfer-encoding"), "{method}");
        assert!(origin.last().lacks("content-length"), "{method}");
    }
}

#[tokio::test]
async fn a_body_passes_whatever_the_method() {
    let origin = Origin::start(Reply::ok("")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    for method in ["GET", "DELETE", "OPTIONS", "PURGE"] {
        client.request_with(method, "/", "by length").await;
        client.response(method).await.expect(200);
        assert_eq!(origin.last().body.text(), "by length", "{method}");
        client
            .send(
                head(method, "/", "Transfer-Encoding: chunked\r\n")
                    + "2\r\nin\r\n6\r\nchunks\r\n0\r\n\r\n",
            )
            .await;
        client.response(method).await.expect(200);
        assert_eq!(origin.last().body.text(), "inchunks", "{method}");
    }
}

#[tokio::test]
async fn an_upstream_that_ends_its_body_by_closing_is_understood() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let reply = Reply::new()
            .write(format!("{version} 200 OK\r\n\r\n"))
            .write("all of it")
            .close();
        let origin = Origin::start(reply).await;
        let gateway = gateway(&origin).await;
        let mut client = gateway.client().await;
        for _ in 0..2 {
            let answer = client.get("/").await.expect(200);
            assert_eq!(answer.text(), "all of it");
            assert_ne!(answer.head.response_framing("GET"), Framing::UntilClose);
        }
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let origin = Origin::start(Reply::chunks(&[], &["one", "two"], &[])).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(answer.text(), "onetwo");
    assert!(answer.head.fields.lacks("transfer-encoding"));
}

#[tokio::test]
async fn a_slow_stream_is_not_held_to_the_time_of_its_first_byte() {
    let limit = Duration::from_millis(100);
    let reply = Reply::new()
        .head(200, &[], "Content-Length: 4")
        .write("ab")
        .pause(limit * 2)
        .write("cd");
    let origin = Origin::start(reply).await;
    let url = origin.endpoint();
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).response_timeout(limit) }).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "abcd");
}
