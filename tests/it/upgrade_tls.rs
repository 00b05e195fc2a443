//! Tunnels over TLS, on either side and on both.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use prox::{Endpoint, Pem, UpstreamTls};
use prox_tests::{
    certs::Authority,
    client::head,
    filler::{Digest, Filler},
    gateway::Served,
    secure::{Dial, Front},
    wait::within,
    wire::{Framing, Reader},
};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::{
    tls::tls,
    upgrade_http2::{client_over, extended, send, switch},
    upgrade_http2_upstream,
    upgrades::{Upstream, WEBSOCKET, expect, expect_end, write},
};

const LENGTH: u64 = 3_000_000;

type Client = TlsStream<TcpStream>;

/// Both halves of a client's side of a tunnel.
type Halves = (Reader<ReadHalf<Client>>, WriteHalf<Client>);

/// A gateway whose clients come over TLS, for the host `gateway.test`.
async fn serve(authority: &Authority, gateway: impl prox::IntoGateway) -> Served {
    let issued = authority.issue(&["gateway.test"]);
    Served::with(gateway, |server| server.tls(tls(&issued))).await
}

fn secure(front: &Front) -> Endpoint {
    let url = format!("https://localhost:{}", front.address().port());
    url.parse().unwrap()
}

fn trust(authority: &Authority) -> UpstreamTls {
    UpstreamTls::new().roots(Pem::bytes(authority.pem()))
}

/// Asks for a WebSocket over TLS, and leaves the answer to be read.
async fn ask(authority: &Authority, gateway: SocketAddr) -> Halves {
    let dial = Dial::new(authority, "gateway.test").alpn(&["http/1.1"]);
    let (reader, mut writer) = split(dial.stream(gateway).await.unwrap());
    write(&mut writer, head("GET", "/chat", WEBSOCKET)).await;
    writer.flush().await.unwrap();
    (Reader::new(reader), writer)
}

async fn switched(halves: &mut Halves) {
    let answer = within("the answer", halves.0.head()).await.unwrap();
    assert_eq!(answer.word(1), "101", "{answer:?}");
}

/// Words both ways, then the end of one side, and what the other still has to say.
async fn converse(halves: &mut Halves, server: &mut Reader<TcpStream>) {
    let (reader, writer) = halves;
    for word in ["one", "two\0\r\n\r\n", "three"] {
        write(writer, word).await;
        writer.flush().await.unwrap();
        expect(server, word).await;
        write(server.stream(), word).await;
        expect(reader, word).await;
    }
    writer.shutdown().await.unwrap();
    expect_end(server).await;
    write(server.stream(), "last words").await;
    server.stream().shutdown().await.unwrap();
    expect(reader, "last words").await;
    expect_end(reader).await;
}

#[tokio::test]
async fn a_websocket_passes_from_a_client_over_tls() {
    let authority = Authority::new("authority");
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = serve(&authority, prox::gateway! { "/" => url }).await;
    let mut client = ask(&authority, gateway.address()).await;
    let (asked, mut server) = upstream.switch().await;
    assert_eq!(asked.fields.all("x-forwarded-proto"), ["https"]);
    switched(&mut client).await;
    converse(&mut client, &mut server).await;
}

/// A WebSocket through a gateway with TLS on both sides, and all that has to live as long.
struct Both {
    client: Halves,
    server: Reader<TcpStream>,
    _gateway: Served,
    _front: Front,
}

async fn both() -> Both {
    let authority = Authority::new("authority");
    let upstream = Upstream::start().await;
    let front = Front::start(upstream.address(), &authority.issue(&["localhost"]), None).await;
    let (url, trust) = (secure(&front), trust(&authority));
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).tls(trust) };
    let gateway = serve(&authority, gateway).await;
    let mut client = ask(&authority, gateway.address()).await;
    let (_, server) = upstream.switch().await;
    switched(&mut client).await;
    Both {
        client,
        server,
        _gateway: gateway,
        _front: front,
    }
}

#[tokio::test]
async fn a_websocket_passes_over_tls_on_both_sides() {
    let mut both = both().await;
    converse(&mut both.client, &mut both.server).await;
}

#[tokio::test]
async fn much_passes_both_ways_at_once_over_tls() {
    let both = both().await;
    let (server_reader, server_writer) = split(both.server.into_stream());
    let (client_reader, client_writer) = both.client;
    let all = async {
        tokio::join!(
            fill(client_writer),
            fill(server_writer),
            drain(client_reader),
            drain(Reader::new(server_reader)),
        )
    };
    let (_client, _server, down, up) = within("both directions", all).await;
    assert_eq!(down, Digest::of_filler(LENGTH));
    assert_eq!(up, Digest::of_filler(LENGTH));
}

/// Writes all of the filler, and gives the writer back: its end would be passed on.
async fn fill<W: AsyncWriteExt + Unpin>(mut writer: W) -> W {
    for block in Filler::new(LENGTH) {
        writer.write_all(&block).await.unwrap();
    }
    writer.flush().await.unwrap();
    writer
}

async fn drain<R: tokio::io::AsyncRead + Unpin>(mut reader: Reader<R>) -> Digest {
    reader.body(Framing::Length(LENGTH), |_| {}).await.digest
}

#[tokio::test]
async fn a_client_that_leaves_over_tls_takes_its_tunnel_along() {
    let authority = Authority::new("authority");
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = serve(&authority, prox::gateway! { "/" => url }).await;
    let mut client = ask(&authority, gateway.address()).await;
    let (_, mut server) = upstream.switch().await;
    switched(&mut client).await;
    drop(client);
    // An end in good order or a reset: a client that leaves without a farewell has cut its words off.
    drop(within("the end", server.rest()).await);
}

#[tokio::test]
async fn a_websocket_on_a_stream_passes_from_a_client_over_tls() {
    let authority = Authority::new("authority");
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = serve(&authority, prox::gateway! { "/" => url }).await;
    let dial = Dial::new(&authority, "gateway.test").alpn(&["h2"]);
    let mut sender = client_over(dial.stream(gateway.address()).await.unwrap()).await;
    let (answer, mut server) =
        tokio::join!(send(&mut sender, extended("websocket")), switch(&upstream));
    assert_eq!(answer.status(), 200);
    let stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    let (reader, mut writer) = split(stream);
    let mut reader = Reader::new(reader);
    expect(&mut reader, "hello").await;
    write(&mut writer, "a word").await;
    expect(&mut server, "a word").await;
    writer.shutdown().await.unwrap();
    expect_end(&mut server).await;
}

#[tokio::test]
async fn a_websocket_becomes_a_stream_of_an_upstream_over_tls() {
    let authority = Authority::new("authority");
    let upstream = upgrade_http2_upstream::upstream(true).await;
    let issued = authority.issue(&["localhost"]);
    let front = Front::speaking(&["h2"], upstream, &issued, None).await;
    let (url, trust) = (secure(&front), trust(&authority));
    let gateway = prox::gateway! { "/" => cluster(rr, [url]).http2().tls(trust) };
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat?room=1", WEBSOCKET)).await;
    assert_eq!(client.response_head().await.status, 101);
    assert_eq!(front.handshakes()[0].alpn.as_deref(), Some("h2"));
    let (mut reader, mut writer) = client.into_halves();
    write(&mut writer, "a word").await;
    expect(&mut reader, "a word").await;
    writer.shutdown().await.unwrap();
    expect(&mut reader, "over").await;
    expect_end(&mut reader).await;
}
