//! Connections that are switched to another protocol, WebSocket most of all, from HTTP/1.1 to HTTP/1.1.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::net::SocketAddr;

use prox_tests::{
    client::{RawClient, head},
    filler::{Digest, Filler},
    gateway::Served,
    origin::{Origin, Reply},
    wait::within,
    wire::{End, Framing, Head, Reader},
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The fields with which a WebSocket is asked for.
pub(crate) const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The answer that agrees.
pub(crate) const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An upstream that does nothing by itself.
#[derive(Debug)]
pub(crate) struct Upstream(TcpListener);

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a listener has an address")
    }

    pub(crate) fn endpoint(&self) -> prox::Endpoint {
        let url = format!("http://{}", self.address());
        url.parse().expect("an address makes an endpoint")
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> TcpStream {
        let (stream, _) = self.0.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option of every socket");
        stream
    }

    /// The next connection, to read from.
    pub(crate) async fn connection(&self) -> Reader<TcpStream> {
        Reader::new(within("a connection at the upstream", self.accept()).await)
    }

    /// The next request.
    pub(crate) async fn request(&self) -> (Head, Reader<TcpStream>) {
        within("a request at the upstream", async {
            let mut reader = Reader::new(self.accept().await);
            let head = reader.head().await.expect("the head of a request");
            (head, reader)
        })
        .await
    }

    /// Agrees to the next request.
    pub(crate) async fn switch(&self) -> (Head, Reader<TcpStream>) {
        let (head, mut reader) = self.request().await;
        write(reader.stream(), SWITCHED).await;
        (head, reader)
    }
}

pub(crate) async fn write(stream: &mut (impl AsyncWriteExt + Unpin), bytes: impl AsRef<[u8]>) {
    let all = within("bytes to be written", stream.write_all(bytes.as_ref())).await;
    all.expect("the other end takes bytes");
}

/// Reads as much as `text` is long, and compares.
pub(crate) async fn expect<R: AsyncRead + Unpin>(reader: &mut Reader<R>, text: &str) {
    let framing = Framing::Length(text.len() as u64);
    let body = within(text, reader.body(framing, |_| {})).await;
    assert_eq!((body.text().as_str(), body.end), (text, End::Complete));
}

/// Waits for the end in good order, with nothing before it.
pub(crate) async fn expect_end<R: AsyncRead + Unpin>(reader: &mut Reader<R>) {
    let rest = within("the end of a stream", reader.rest()).await;
    assert_eq!(rest.expect("no reset"), b"");
}

/// A gateway in front of an upstream, and one WebSocket through it.
pub(crate) async fn serve(upstream: &Upstream) -> Served {
    let url = upstream.endpoint();
    Served::start(prox::gateway! { "/" => url }).await
}

pub(crate) async fn connect(
    gateway: &Served,
    upstream: &Upstream,
) -> (RawClient, Reader<TcpStream>) {
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, server) = upstream.switch().await;
    assert_eq!(client.response_head().await.status, 101);
    (client, server)
}

#[tokio::test]
async fn a_websocket_is_agreed_on_end_to_end_and_then_bytes_pass_both_ways() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = gateway.client().await;
    let lines = format!("{WEBSOCKET}Sec-WebSocket-Protocol: chat\r\nOrigin: http://a\r\n");
    client.send(head("GET", "/chat?room=1", &lines)).await;
    let (asked, mut server) = upstream.request().await;
    assert_eq!(asked.start, "GET /chat?room=1 HTTP/1.1");
    assert_eq!(asked.fields.all("connection"), ["upgrade"]);
    assert_eq!(asked.fields.all("upgrade"), ["websocket"]);
    assert_eq!(asked.fields.all("sec-websocket-version"), ["13"]);
    assert_eq!(asked.fields.all("sec-websocket-protocol"), ["chat"]);
    assert_eq!(asked.fields.all("origin"), ["http://a"]);
    assert_eq!(
        asked.fields.first("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );

    write(server.stream(), SWITCHED).await;
    let answer = client.response_head().await;
    assert_eq!(answer.head.word(1), "101");
    assert_eq!(answer.head.fields.all("connection"), ["upgrade"]);
    assert_eq!(answer.head.fields.all("upgrade"), ["websocket"]);
    assert_eq!(
        answer.field("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert!(answer.head.fields.lacks("content-length"));
    assert!(answer.head.fields.lacks("transfer-encoding"));

    let (mut reader, mut writer) = client.into_halves();
    for word in ["one", "two\0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "three"] {
        write(&mut writer, word).await;
        expect(&mut server, word).await;
        write(server.stream(), word).await;
        expect(&mut reader, word).await;
    }
    drop(writer);
    drop(reader);
    expect_end(&mut server).await;
}

#[tokio::test]
async fn what_comes_in_one_piece_with_the_handshake_is_not_lost() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    let (_, mut server) = upstream.request().await;
    write(server.stream(), format!("{SWITCHED}first words")).await;
    assert_eq!(client.response_head().await.status, 101);
    let (mut reader, mut writer) = client.into_halves();
    expect(&mut reader, "first words").await;
    write(&mut writer, "an answer").await;
    expect(&mut server, "an answer").await;
}

#[tokio::test]
async fn what_a_client_sends_before_its_101_is_handed_on_behind_it() {
    for early in [
        "\u{1}\u{5}frame",
        "words",
        "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let upstream = Upstream::start().await;
        let gateway = serve(&upstream).await;
        let mut client = gateway.client().await;
        client.send(head("GET", "/", WEBSOCKET) + early).await;
        let (_, mut server) = upstream.request().await;
        write(server.stream(), SWITCHED).await;
        assert_eq!(client.response_head().await.status, 101);
        expect(&mut server, early).await;
        client.send("more").await;
        expect(&mut server, "more").await;
    }
}

#[tokio::test]
async fn what_a_client_sends_before_it_is_not_switched_is_held_against_http() {
    let origin = Origin::start(Reply::status(426, &[("Upgrade", "websocket")], "no")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send(head("GET", "/", WEBSOCKET) + "\u{1}\u{5}frame")
        .await;
    client.response("GET").await.expect(426);
    client.response("GET").await.expect(400);
    assert!(client.closed().await.is_empty());
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn an_upstream_that_says_its_piece_behind_the_101_and_leaves_is_heard() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    let (_, mut server) = upstream.request().await;
    write(server.stream(), format!("{SWITCHED}goodbye")).await;
    drop(server);
    assert_eq!(client.response_head().await.status, 101);
    assert_eq!(client.closed().await, b"goodbye");
}

#[tokio::test]
async fn another_answer_than_101_is_an_ordinary_response() {
    let origin = Origin::start(Reply::status(426, &[("Upgrade", "websocket")], "no")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    let answer = client.response("GET").await.expect(426);
    assert_eq!(answer.text(), "no");
    origin.once([Reply::ok("yes")]);
    client.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 1, "both connections go on");
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_a_malformed_response() {
    let origin = Origin::start(Reply::new().write(SWITCHED).write("tunnelled")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    gateway.get("/").await.expect(502);
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", lines)).await;
        client.response("GET").await.expect(502);
        assert!(origin.last().lacks("upgrade"), "{lines}");
    }
    origin.left_alone().await;
}

#[tokio::test]
async fn a_101_to_another_protocol_is_a_malformed_response() {
    for fields in [
        &[("Connection", "upgrade"), ("Upgrade", "other")][..],
        &[("Connection", "upgrade"), ("Upgrade", "h2c")],
        &[("Connection", "upgrade")],
        &[("Upgrade", "websocket")],
    ] {
        let origin = Origin::start(Reply::new().head(101, fields, "")).await;
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url }).await;
        let mut client = gateway.client().await;
        client.send(head("GET", "/", WEBSOCKET)).await;
        client.response("GET").await.expect(502);
        origin.left_alone().await;
    }
}

#[tokio::test]
async fn an_upgrade_to_http_2_is_never_passed_on() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n",
        "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", lines)).await;
        client.response("GET").await.expect(200);
        let seen = origin.last();
        assert!(
            seen.lacks("upgrade") && seen.lacks("http2-settings"),
            "{seen:?}"
        );
        assert!(seen.lacks("connection"), "{seen:?}");
    }
}

#[tokio::test]
async fn http_1_0_cannot_be_switched() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send(format!(
            "GET / HTTP/1.0\r\nHost: gateway.test\r\n{WEBSOCKET}\r\n"
        ))
        .await;
    client.response("GET").await.expect(200);
    assert!(origin.last().lacks("upgrade"));
}

#[tokio::test]
async fn connect_is_refused_and_what_follows_it_is_not_read() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let answer = client.response("GET").await;
    assert_eq!(answer.status, 405, "{answer:?}");
    assert_eq!(answer.field("allow"), Some(""));
    assert!(answer.closes());
    assert_eq!(client.closed().await, b"");
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;

    let (client, mut server) = connect(&gateway, &upstream).await;
    let (mut reader, mut writer) = client.into_halves();
    write(&mut writer, "all that I have").await;
    writer.shutdown().await.unwrap();
    expect(&mut server, "all that I have").await;
    expect_end(&mut server).await;
    write(server.stream(), "much more").await;
    expect(&mut reader, "much more").await;
    drop(server);
    expect_end(&mut reader).await;

    let (client, mut server) = connect(&gateway, &upstream).await;
    let (mut reader, mut writer) = client.into_halves();
    server.stream().shutdown().await.unwrap();
    expect_end(&mut reader).await;
    write(&mut writer, "still talking").await;
    expect(&mut server, "still talking").await;
    writer.shutdown().await.unwrap();
    expect_end(&mut server).await;
}

#[tokio::test]
async fn a_reset_of_one_side_is_a_reset_of_the_other() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let (client, mut server) = connect(&gateway, &upstream).await;
    client.reset();
    within("the reset", server.rest()).await.unwrap_err();

    let (client, server) = connect(&gateway, &upstream).await;
    server.into_stream().set_zero_linger().unwrap();
    let (mut reader, _writer) = client.into_halves();
    within("the reset", reader.rest()).await.unwrap_err();
}

#[tokio::test]
async fn a_kept_connection_can_be_switched_and_a_dead_one_is_replaced() {
    let mut origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(200);
    origin.once([Reply::new().write(SWITCHED).write("hi").stall()]);
    client.send(head("GET", "/", WEBSOCKET)).await;
    assert_eq!(client.response_head().await.status, 101);
    assert_eq!(origin.accepted(), 1);
    drop(client);
    origin.left_alone().await;

    gateway.get("/").await.expect(200);
    origin.close_connections().await;
    origin.once([Reply::new().write(SWITCHED).write("hi").close()]);
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    assert_eq!(client.response_head().await.status, 101);
    assert_eq!(client.closed().await, b"hi");
}

/// 50 MB each way at once, and nothing of it lost, doubled or moved.
#[tokio::test]
async fn much_passes_both_ways_at_once() {
    const LENGTH: u64 = 50_000_000;
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let (client, server) = connect(&gateway, &upstream).await;
    let (mut from_server, mut to_server) = client.into_halves();
    let (from_client, mut to_client) = server.into_stream().into_split();
    let mut from_client = Reader::new(from_client);
    let fill = async |writer: &mut tokio::net::tcp::OwnedWriteHalf| {
        for block in Filler::new(LENGTH) {
            writer.write_all(&block).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let all = async {
        tokio::join!(
            fill(&mut to_server),
            fill(&mut to_client),
            from_client.body(Framing::UntilClose, |_| {}),
            from_server.body(Framing::UntilClose, |_| {}),
        )
    };
    let ((), (), up, down) = within("50 MB both ways", all).await;
    assert_eq!(up.digest, Digest::of_filler(LENGTH));
    assert_eq!(down.digest, Digest::of_filler(LENGTH));
}
