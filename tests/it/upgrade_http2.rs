//! WebSockets on streams of HTTP/2 (RFC 8441), to upstreams that speak HTTP/1.1.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prox_tests::{
    filler::{Digest, Filler},
    gateway::Served,
    origin::{Origin, Reply},
    wait::within,
    wire::{Framing, Reader},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::upgrades::{Upstream, expect, expect_end, serve, write};

pub(crate) type Sender = SendRequest<Empty<Bytes>>;

/// A client that has seen the gateway's settings, without which it may not ask.
pub(crate) async fn client(gateway: &Served) -> Sender {
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    client_over(stream).await
}

/// The same on a connection that is there already.
pub(crate) async fn client_over<S>(stream: S) -> Sender
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::connect("gateway.test:80")
        .body(Empty::new())
        .unwrap();
    let answer = send(&mut sender, request).await;
    assert_eq!(
        answer.status(),
        StatusCode::METHOD_NOT_ALLOWED,
        "a plain CONNECT is refused"
    );
    sender
}

pub(crate) async fn send(
    sender: &mut Sender,
    request: Request<Empty<Bytes>>,
) -> Response<Incoming> {
    let answer = within("the head of a response", sender.send_request(request)).await;
    answer.expect("a response")
}

pub(crate) fn extended(protocol: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .method(Method::CONNECT)
        .uri("http://gateway.test/chat?room=1")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .header("sec-websocket-key", "the client has no say in it")
        .extension(Protocol::from(protocol))
        .body(Empty::new())
        .unwrap()
}

/// The answer that a server owes to a key, computed by a crate that is not the gateway's.
pub(crate) fn accept(key: &str) -> String {
    let mut child = std::process::Command::new("python3")
        .args([
            "-c",
            "import base64, hashlib, sys\n\
             key = sys.argv[1] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'\n\
             print(base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(), end='')",
            key,
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = String::new();
    std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut out).unwrap();
    child.wait().unwrap();
    out
}

/// Agrees to the next request, with the right answer to its key.
pub(crate) async fn switch(upstream: &Upstream) -> Reader<TcpStream> {
    let (head, mut server) = upstream.request().await;
    assert_eq!(head.start, "GET /chat?room=1 HTTP/1.1");
    assert_eq!(head.fields.all("upgrade"), ["websocket"]);
    assert_eq!(head.fields.all("connection"), ["upgrade"]);
    assert_eq!(head.fields.all("sec-websocket-protocol"), ["chat"]);
    assert_eq!(head.fields.all("x-forwarded-host"), ["gateway.test"]);
    let keys = head.fields.all("sec-websocket-key");
    assert_eq!((keys.len(), keys[0].len()), (1, 24), "{keys:?}");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {}\r\n\r\nhello",
        accept(keys[0])
    );
    write(server.stream(), answer).await;
    server
}

async fn connect(
    sender: &mut Sender,
    upstream: &Upstream,
) -> (TokioIo<Upgraded>, Reader<TcpStream>) {
    let (answer, server) = tokio::join!(send(sender, extended("websocket")), switch(upstream));
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for name in [
        "sec-websocket-accept",
        "connection",
        "upgrade",
        "content-length",
    ] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    let stream = within("the stream", hyper::upgrade::on(answer))
        .await
        .unwrap();
    (TokioIo::new(stream), server)
}

#[tokio::test]
async fn a_websocket_on_a_stream_is_an_upgrade_to_the_upstream() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut sender = client(&gateway).await;
    let (first, mut first_server) = connect(&mut sender, &upstream).await;
    let (second, mut second_server) = connect(&mut sender, &upstream).await;
    for (stream, server) in [(first, &mut first_server), (second, &mut second_server)] {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut reader = Reader::new(reader);
        expect(&mut reader, "hello").await;
        write(&mut writer, "ping").await;
        expect(server, "ping").await;
        write(server.stream(), "pong").await;
        expect(&mut reader, "pong").await;
        // Each direction ends by itself.
        writer.shutdown().await.unwrap();
        expect_end(server).await;
        write(server.stream(), "more").await;
        expect(&mut reader, "more").await;
        server.stream().shutdown().await.unwrap();
        expect_end(&mut reader).await;
    }
}

#[tokio::test]
async fn much_passes_both_ways_at_once_on_a_stream() {
    const LENGTH: u64 = 20_000_000;
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut sender = client(&gateway).await;
    let (stream, server) = connect(&mut sender, &upstream).await;
    let (reader, mut to_server) = tokio::io::split(stream);
    let mut from_server = Reader::new(reader);
    expect(&mut from_server, "hello").await;
    let (from_client, mut to_client) = server.into_stream().into_split();
    let mut from_client = Reader::new(from_client);
    let upload = async {
        for block in Filler::new(LENGTH) {
            to_server.write_all(&block).await.unwrap();
        }
        to_server.shutdown().await.unwrap();
    };
    let download = async {
        for block in Filler::new(LENGTH) {
            to_client.write_all(&block).await.unwrap();
        }
        to_client.shutdown().await.unwrap();
    };
    let ((), (), up, down) = within("20 MB both ways", async {
        tokio::join!(
            upload,
            download,
            from_client.body(Framing::UntilClose, |_| {}),
            from_server.body(Framing::UntilClose, |_| {}),
        )
    })
    .await;
    assert_eq!(up.digest, Digest::of_filler(LENGTH));
    assert_eq!(down.digest, Digest::of_filler(LENGTH));
}

#[tokio::test]
async fn a_stream_that_is_reset_resets_the_upstream_and_the_other_way_round() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut sender = client(&gateway).await;
    let (stream, mut server) = connect(&mut sender, &upstream).await;
    let (mut other, mut other_server) = connect(&mut sender, &upstream).await;
    // hyper ends its direction, and resets the other one.
    drop(stream);
    let rest = within("the end of the upstream's stream", server.rest()).await;
    assert!(rest.is_err() || rest.unwrap().is_empty());
    let gone = async {
        // Were only one direction at its end, the gateway would go on taking bytes until its buffers are full.
        while server.stream().write_all(b"still there?").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within("the upstream to be left alone", gone).await;
    write(&mut other, "x").await;
    expect(&mut other_server, "x").await;
    // The connection ends with all its streams.
    drop((other, sender));
    let rest = within("the end of the upstream's stream", other_server.rest()).await;
    assert!(rest.is_err() || rest.unwrap().is_empty());

    let mut sender = client(&gateway).await;
    let (stream, server) = connect(&mut sender, &upstream).await;
    server.into_stream().set_zero_linger().unwrap();
    let mut reader = Reader::new(stream);
    expect(&mut reader, "hello").await;
    // hyper takes `CANCEL` for an end.
    expect_end(&mut reader).await;
    let (stream, _server) = connect(&mut sender, &upstream).await;
    expect(&mut Reader::new(stream), "hello").await;
}

#[tokio::test]
async fn a_wrong_answer_to_the_key_is_a_malformed_response() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut sender = client(&gateway).await;
    let (answer, (_, mut server)) =
        tokio::join!(send(&mut sender, extended("websocket")), upstream.switch());
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    expect_end(&mut server).await;
}

#[tokio::test]
async fn another_answer_than_101_never_looks_like_a_tunnel() {
    let origin = Origin::with(|seen| match seen.target() {
        "/chat?room=1" => Reply::ok("a page"),
        _ => Reply::status(403, &[], "no"),
    })
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut sender = client(&gateway).await;
    let answer = send(&mut sender, extended("websocket")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let mut request = extended("websocket");
    *request.uri_mut() = "http://gateway.test/forbidden".parse().unwrap();
    let answer = send(&mut sender, request).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "no");
}

#[tokio::test]
async fn http_in_a_stream_of_http_is_refused() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut sender = client(&gateway).await;
    let answer = send(&mut sender, extended("h2c")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn a_stream_in_which_nothing_moves_is_closed_and_no_other() {
    const IDLE: Duration = Duration::from_secs(2);
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).idle_timeout(IDLE) }).await;
    let mut sender = client(&gateway).await;
    let (silent, mut silent_server) = connect(&mut sender, &upstream).await;
    let (busy, mut busy_server) = connect(&mut sender, &upstream).await;
    let (reader, mut writer) = tokio::io::split(busy);
    for _ in 0..24 {
        tokio::time::sleep(IDLE / 20).await;
        write(&mut writer, "x").await;
        expect(&mut busy_server, "x").await;
    }
    expect_end(&mut silent_server).await;
    let mut silent = Reader::new(silent);
    expect(&mut silent, "hello").await;
    expect_end(&mut silent).await;
    write(busy_server.stream(), "!").await;
    expect(&mut Reader::new(reader), "hello!").await;
}

#[tokio::test]
async fn the_drain_cuts_the_tunnels_of_streams_at_its_deadline() {
    const DRAIN: Duration = Duration::from_secs(2);
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let mut gateway = Served::with(prox::gateway! { "/" => url }, |server| {
        server.drain_timeout(DRAIN)
    })
    .await;
    let mut sender = client(&gateway).await;
    let (mut stream, mut server) = connect(&mut sender, &upstream).await;
    let start = Instant::now();
    gateway.begin_shutdown();
    tokio::time::sleep(DRAIN / 20).await;
    write(&mut stream, "during the drain").await;
    expect(&mut server, "during the drain").await;
    let _ = within("the end of the upstream's stream", server.rest()).await;
    let took = start.elapsed();
    assert!(took >= DRAIN && took < 10 * DRAIN, "{took:?}");
    gateway.stop().await;
}

/// What is left of a listener that only this file needs: nothing, unless the gateway connects to it.
#[tokio::test]
async fn a_refused_upstream_is_a_502_for_a_stream_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: prox::Endpoint = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut sender = client(&gateway).await;
    let answer = send(&mut sender, extended("websocket")).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
}
