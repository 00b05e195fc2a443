//! Trailers pass both ways, where both sides have agreed on them.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use prox_tests::{
    client::{HyperClient, body, head},
    gateway::Served,
    origin::{Origin, Reply},
};

async fn gateway(origin: &Origin) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => url }).await
}

#[tokio::test]
async fn trailers_of_a_response_pass() {
    let fields = [("Trailer", "X-Checksum, Connection")];
    let trailers = [
        ("X-Checksum", "abc"),
        ("Connection", "x"),
        ("Keep-Alive", "x"),
    ];
    let origin = Origin::start(Reply::chunks(&fields, &["hello"], &trailers)).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client
        .send(head("GET", "/", "TE: trailers\r\nConnection: TE\r\n"))
        .await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(origin.last().field("te"), Some("trailers"));
    assert_eq!(answer.body.trailers.first("x-checksum"), Some("abc"));
    assert_eq!(answer.body.trailers.names(), ["x-checksum"]);
}

#[tokio::test]
async fn trailers_of_a_request_pass() {
    let origin = Origin::start(Reply::ok("thanks")).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client
        .send(head(
            "POST",
            "/",
            "Transfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n",
        ))
        .await;
    client
        .send("5\r\nhello\r\n0\r\nX-Checksum: abc\r\nHost: evil\r\n\r\n")
        .await;
    client.response("POST").await.expect(200);
    let body = origin.last().body;
    assert_eq!(body.trailers.names(), ["x-checksum"]);
    assert_eq!(body.trailers.first("x-checksum"), Some("abc"));
}

#[tokio::test]
async fn trailers_of_a_hyper_client_pass() {
    let origin = Origin::start(Reply::ok("thanks")).await;
    let gateway = gateway(&origin).await;
    let trailers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("x-checksum"),
        http::HeaderValue::from_static("abc"),
    )]);
    let frames = [
        Frame::data(Bytes::from_static(b"hello")),
        Frame::trailers(trailers),
    ];
    let stream = Frames(frames.into());
    let request = http::Request::post("/")
        .header("host", "gateway.test")
        .header("trailer", "x-checksum")
        .body(body(stream))
        .unwrap();
    let response = HyperClient::connect(gateway.address())
        .await
        .send(request)
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(origin.last().body.trailers.first("x-checksum"), Some("abc"));
}

/// A body of frames that are there already.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
