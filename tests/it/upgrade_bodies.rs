//! Upgrades with any method, with and without a body, as `docker exec` asks for them (RFC 9110, 7.8).

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::path::PathBuf;

use axum::Router;
use prox::{Pem, UpstreamTls};
use prox_tests::{
    certs::Authority,
    client::head,
    filler::{Digest, Filler},
    gateway::Served,
    secure::{Dial, Front},
    wait::{eventually, within},
    wire::{End, Reader},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use crate::{
    tls::tls,
    upgrade_http2_upstream,
    upgrades::{Upstream, WEBSOCKET, expect, expect_end, serve, write},
};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

/// The answer of a Docker engine.
const UPGRADED: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
    Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

const BODY: &str = r#"{"Detach":false,"Tty":true}"#;

/// What `docker exec` sends.
fn exec(method: &str) -> String {
    let lines = format!(
        "{UPGRADE}Content-Type: application/json\r\nContent-Length: {}\r\n",
        BODY.len()
    );
    head(method, "/exec/1/start", &lines) + BODY
}

/// Reads the request at the upstream, with its body, and looks whether it asks for the tunnel.
async fn asked<S: AsyncRead + Unpin>(method: &str, body: &str, server: &mut Reader<S>) {
    let head = within("a request", server.head()).await.expect("a head");
    assert_eq!(head.word(0), method);
    assert_eq!(head.fields.all("connection"), ["upgrade"], "{head:?}");
    assert_eq!(head.fields.all("upgrade"), ["tcp"], "{head:?}");
    let framing = head.request_framing();
    let got = within("a body", server.body(framing, |_| {})).await;
    assert_eq!((got.text().as_str(), got.end), (body, End::Complete));
}

/// Words both ways, then the end of one side, and what the other still has to say.
async fn converse<C, S>(client: &mut Reader<C>, server: &mut Reader<S>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    write(server.stream(), UPGRADED).await;
    server.stream().flush().await.unwrap();
    let answer = within("an answer", client.head()).await.expect("a head");
    assert_eq!(answer.word(1), "101", "{answer:?}");
    assert_eq!(answer.fields.all("upgrade"), ["tcp"]);
    for word in ["ls\n", "\0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "exit\n"] {
        write(client.stream(), word).await;
        client.stream().flush().await.unwrap();
        expect(server, word).await;
        write(server.stream(), word).await;
        server.stream().flush().await.unwrap();
        expect(client, word).await;
    }
    client.stream().shutdown().await.unwrap();
    expect_end(server).await;
    write(server.stream(), "last words").await;
    server.stream().shutdown().await.unwrap();
    expect(client, "last words").await;
    expect_end(client).await;
}

async fn dial(address: std::net::SocketAddr) -> Reader<TcpStream> {
    Reader::new(
        within("a connection", TcpStream::connect(address))
            .await
            .unwrap(),
    )
}

#[tokio::test]
async fn docker_exec_passes() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = dial(gateway.address()).await;
    write(client.stream(), exec("POST")).await;
    let mut server = upstream.connection().await;
    asked("POST", BODY, &mut server).await;
    converse(&mut client, &mut server).await;
}

#[tokio::test]
async fn any_method_may_ask_with_and_without_a_body() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT",
    ] {
        let chunked = head(
            method,
            "/",
            &format!("{UPGRADE}Transfer-Encoding: chunked\r\n"),
        ) + "5\r\nhello\r\n0\r\n\r\n";
        for (request, body) in [
            (exec(method), BODY),
            (chunked, "hello"),
            (head(method, "/", UPGRADE), ""),
        ] {
            let mut client = dial(gateway.address()).await;
            write(client.stream(), request).await;
            let mut server = upstream.connection().await;
            asked(method, body, &mut server).await;
            converse(&mut client, &mut server).await;
        }
    }
}

#[tokio::test]
async fn what_a_client_sends_behind_its_body_belongs_to_the_tunnel() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    for early in [
        "\u{1}\u{5}frame",
        "words",
        "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = dial(gateway.address()).await;
        write(client.stream(), exec("POST") + early).await;
        let mut server = upstream.connection().await;
        asked("POST", BODY, &mut server).await;
        write(server.stream(), UPGRADED).await;
        let answer = within("an answer", client.head()).await.unwrap();
        assert_eq!(answer.word(1), "101");
        expect(&mut server, early).await;
        write(client.stream(), "more").await;
        expect(&mut server, "more").await;
    }
}

#[tokio::test]
async fn a_101_before_the_end_of_the_body_waits_for_it() {
    const LENGTH: u64 = 5_000_000;
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let (mut reader, mut writer) = gateway.client().await.into_halves();
    let lines = format!("{UPGRADE}Content-Length: {LENGTH}\r\n");
    write(&mut writer, head("POST", "/", &lines)).await;
    let mut server = upstream.connection().await;
    let asked = within("a request", server.head()).await.unwrap();
    write(server.stream(), UPGRADED).await;
    // The gateway has the 101, and the client is not done.
    let answer = tokio::time::timeout(std::time::Duration::from_millis(50), reader.head()).await;
    assert!(answer.is_err(), "the client is switched within its request");
    let upload = async {
        for block in Filler::new(LENGTH) {
            writer.write_all(&block).await.unwrap();
        }
        writer.write_all(b"tunnelled").await.unwrap();
    };
    let body = server.body(asked.request_framing(), |_| {});
    let ((), body) = within("the upload", async { tokio::join!(upload, body) }).await;
    assert_eq!(
        (body.digest, body.end),
        (Digest::of_filler(LENGTH), End::Complete)
    );
    expect(&mut server, "tunnelled").await;
    let answer = within("an answer", reader.head()).await.unwrap();
    assert_eq!(answer.word(1), "101");
    write(server.stream(), "and back").await;
    expect(&mut reader, "and back").await;
}

#[tokio::test]
async fn a_body_that_goes_wrong_behind_an_early_101_has_its_own_answer() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let lines = format!("{UPGRADE}Transfer-Encoding: chunked\r\n");
    let mut client = gateway.client().await;
    client.send(head("POST", "/", &lines)).await;
    let mut server = upstream.connection().await;
    within("a request", server.head()).await.unwrap();
    write(server.stream(), UPGRADED).await;
    client.send("no chunk\r\n").await;
    client.response("POST").await.expect(400);
    let left = within("the upstream to be left", server.rest()).await;
    assert!(left.is_err() || left.is_ok_and(|rest| rest.is_empty()));

    let mut client = gateway.client().await;
    client.send(head("POST", "/", &lines)).await;
    let mut server = upstream.connection().await;
    within("a request", server.head()).await.unwrap();
    write(server.stream(), UPGRADED).await;
    drop(client);
    let left = within("the upstream to be left", server.rest()).await;
    assert!(left.is_err() || left.is_ok_and(|rest| rest.is_empty()));
}

#[tokio::test]
async fn a_body_that_waits_for_100_continue_goes_before_the_101() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = dial(gateway.address()).await;
    let lines = format!("{UPGRADE}Expect: 100-continue\r\nContent-Length: 5\r\n");
    write(client.stream(), head("POST", "/", &lines)).await;
    let mut server = upstream.connection().await;
    let asked = within("a request", server.head()).await.unwrap();
    write(server.stream(), "HTTP/1.1 100 Continue\r\n\r\n").await;
    let interim = within("100", client.head()).await.unwrap();
    assert_eq!(interim.word(1), "100");
    write(client.stream(), "hello").await;
    let body = within("a body", server.body(asked.request_framing(), |_| {})).await;
    assert_eq!(body.text(), "hello");
    converse(&mut client, &mut server).await;
}

#[tokio::test]
async fn an_upstream_that_does_not_agree_answers_and_both_connections_go_on() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = gateway.client().await;
    client.send(exec("POST")).await;
    let mut server = upstream.connection().await;
    for _ in 0..2 {
        asked("POST", BODY, &mut server).await;
        write(
            server.stream(),
            "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
        assert_eq!(client.response("POST").await.expect(409).text(), "no");
        client.send(exec("POST")).await;
    }
}

#[tokio::test]
async fn a_101_to_another_protocol_is_still_malformed() {
    let upstream = Upstream::start().await;
    let gateway = serve(&upstream).await;
    let mut client = gateway.client().await;
    client.send(exec("POST")).await;
    let mut server = upstream.connection().await;
    asked("POST", BODY, &mut server).await;
    write(server.stream(), UPGRADED.replace("tcp", "udp")).await;
    client.response("POST").await.expect(502);
}

/// An upstream of HTTP/2 gets an ordinary request where RFC 8441 has no form for the upgrade.
#[tokio::test]
async fn what_a_stream_has_no_form_for_is_an_ordinary_request() {
    let address = upgrade_http2_upstream::upstream(true).await;
    let url: prox::Endpoint = format!("http://{address}").parse().unwrap();
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await;
    let mut client = gateway.client().await;
    for _ in 0..2 {
        client.send(exec("POST")).await;
        assert_eq!(client.response("POST").await.expect(200).text(), "a page");
        client.send(head("POST", "/", UPGRADE)).await;
        client.response("POST").await.expect(200);
    }
}

/// Clients must not be able to take an endpoint out of use by asking for what it does not know.
#[tokio::test]
async fn an_upstream_without_extended_connect_gets_an_ordinary_request_and_stays_in_use() {
    let address = upgrade_http2_upstream::upstream(false).await;
    let url: prox::Endpoint = format!("http://{address}").parse().unwrap();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).http2();
        "/" => users,
    };
    let (gateway, users) = prox_tests::gateway::served(gateway).await;
    let mut client = gateway.client().await;
    for _ in 0..20 {
        client.send(head("GET", "/chat?room=1", WEBSOCKET)).await;
        assert_eq!(client.response("GET").await.expect(200).text(), "a page");
    }
    let counters = users.counters();
    assert_eq!((counters.ejected, counters.spared), (0, 0), "{counters:?}");
}

/// What a client reaches a gateway by.
#[derive(Clone, Copy, Debug)]
enum By {
    Tcp,
    Tls,
    Unix,
}

fn socket(name: &str) -> PathBuf {
    let name = format!("prox-exec-{name}-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    path
}

/// One exchange with a client that comes by this, at an upstream behind `url`, whose side `accept` gives.
async fn across<S, F>(
    by: By,
    authority: &Authority,
    gateway: prox::Result<prox::Gateway>,
    accept: F,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = S>,
{
    let issued = authority.issue(&["gateway.test"]);
    let path = socket("front");
    let served = match by {
        By::Tcp => Served::start(gateway).await,
        By::Tls => Served::with(gateway, |server| server.tls(tls(&issued))).await,
        By::Unix => Served::with(gateway, |server| server.unix(&path)).await,
    };
    let stream: Box<dyn Stream> = match by {
        By::Tcp => Box::new(TcpStream::connect(served.address()).await.unwrap()),
        By::Tls => {
            let dial = Dial::new(authority, "gateway.test").alpn(&["http/1.1"]);
            Box::new(dial.stream(served.address()).await.unwrap())
        }
        By::Unix => {
            eventually("a socket", || path.exists()).await;
            Box::new(UnixStream::connect(&path).await.unwrap())
        }
    };
    let mut client = Reader::new(stream);
    write(client.stream(), exec("POST")).await;
    client.stream().flush().await.unwrap();
    let mut upstream = Reader::new(within("a connection at the upstream", accept).await);
    asked("POST", BODY, &mut upstream).await;
    converse(&mut client, &mut upstream).await;
    served.stop().await;
}

/// A stream of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[tokio::test]
async fn it_passes_over_tcp_tls_and_unix_sockets_on_either_side() {
    let authority = Authority::new("authority");
    let back = socket("back");
    let unix = UnixListener::bind(&back).unwrap();
    for by in [By::Tcp, By::Tls, By::Unix] {
        let upstream = Upstream::start().await;
        let url = upstream.endpoint();
        let accept = async { upstream.accept().await };
        across(by, &authority, prox::gateway! { "/" => url }, accept).await;

        let front = Front::start(upstream.address(), &authority.issue(&["localhost"]), None).await;
        let url: prox::Endpoint = format!("https://localhost:{}", front.address().port())
            .parse()
            .unwrap();
        let trust = UpstreamTls::new().roots(Pem::bytes(authority.pem()));
        let gateway = prox::gateway! { "/" => cluster(rr, [url]).tls(trust) };
        across(by, &authority, gateway, async { upstream.accept().await }).await;

        let url = format!("unix:{}", back.display());
        let gateway = prox::gateway! { "/" => cluster(rr, [url]) };
        let accept = async { unix.accept().await.unwrap().0 };
        across(by, &authority, gateway, accept).await;
    }
    let _ = std::fs::remove_file(back);
}

#[tokio::test]
async fn it_passes_through_a_gateway_that_somebody_else_serves() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = prox::gateway! { "/" => url }.unwrap();
    let app = Router::new().fallback_service(gateway.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let outer = Served::start(prox::gateway! { "/" => service(gateway) }).await;
    for address in [address, outer.address()] {
        let mut client = dial(address).await;
        write(client.stream(), exec("POST")).await;
        let mut server = upstream.connection().await;
        asked("POST", BODY, &mut server).await;
        converse(&mut client, &mut server).await;
    }
}
