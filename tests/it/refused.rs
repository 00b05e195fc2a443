//! What a server refuses before it is a request leaves its trace: a line of the access log, a count, and an event.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::time::Duration;

use prox::{Connections, Refusal};
use prox_tests::{
    certs::Authority,
    client::head,
    events::Events,
    frames::{END_HEADERS, END_STREAM, Frame, FrameClient, code, kind, literals},
    gateway::Served,
    log::{Line, Log},
    wait::eventually,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::tls::tls;

type Server = prox::Server<prox::Gateway>;

const SHORT: Duration = Duration::from_millis(200);

struct Logged {
    log: Log,
    connections: Connections,
    gateway: Served,
}

impl Logged {
    async fn start(limits: impl FnOnce(Server) -> Server) -> Self {
        let log = Log::new();
        let layer = log.layer();
        let gateway = prox::gateway! { with [layer]; "/" => respond(200, "ok") };
        let mut connections = None;
        let gateway = Served::with(gateway, |server| {
            let server = limits(server);
            connections = Some(server.connections());
            server
        })
        .await;
        Self {
            log,
            connections: connections.unwrap(),
            gateway,
        }
    }

    /// The only line, for this reason, which is counted once.
    async fn line(&self, reason: Refusal) -> Line {
        let line = self.log.line().await;
        assert_eq!(line.field("refused"), Some(reason.name()), "{line:?}");
        assert_eq!(line.field("client"), Some("127.0.0.1"), "{line:?}");
        assert_eq!(self.connections.refused(reason), 1);
        line
    }
}

#[tokio::test]
async fn a_head_that_is_refused_has_a_line_and_a_count() {
    let many = "a: b\r\n".repeat(500);
    for (request, status, reason, path) in [
        (
            head("GET", "/a?secret=x", "A b: c\r\n"),
            400,
            Refusal::Malformed,
            Some("/a"),
        ),
        (
            head("GET", "/b", "Content-Length: x\r\n"),
            400,
            Refusal::Malformed,
            Some("/b"),
        ),
        ("GET\r\n\r\n".to_owned(), 400, Refusal::Malformed, None),
        (
            head("GET", "/c", &many),
            431,
            Refusal::HeadersTooLarge,
            Some("/c"),
        ),
    ] {
        let logged = Logged::start(|server| server).await;
        let events = Events::record();
        let mut client = logged.gateway.client().await;
        client.send(&request).await;
        client.response("GET").await.expect(status);
        let line = logged.line(reason).await;
        assert_eq!(line.status(), status, "{line:?}");
        assert_eq!(line.error_type(), reason.failure().map(prox::Failure::name));
        assert_eq!(line.field("path"), path, "{line:?}");
        assert!(!format!("{line:?}").contains("secret"), "{line:?}");
        let event = events.first("refused before the gateway");
        assert_eq!(event.field("reason"), Some(reason.name()));
    }
}

/// The gateway itself answers this one.
#[tokio::test]
async fn a_target_that_is_too_long_has_one_line() {
    let logged = Logged::start(|server| server).await;
    let mut client = logged.gateway.client().await;
    client
        .send(head("GET", &format!("/{}", "a".repeat(9000)), ""))
        .await;
    client.response("GET").await.expect(414);
    let line = logged.log.line().await;
    assert_eq!(
        (line.status(), line.error_type()),
        (414, Some("uri_too_long"))
    );
}

#[tokio::test]
async fn a_head_that_is_too_slow_has_a_line_and_a_count() {
    let logged = Logged::start(|server| server.header_timeout(SHORT)).await;
    let mut client = logged.gateway.client().await;
    client.send("GET /slow HTTP/1.1\r\nHost: a").await;
    client.response("GET").await.expect(408);
    let line = logged.line(Refusal::Slow).await;
    assert_eq!((line.status(), line.field("path")), (408, Some("/slow")));
}

#[tokio::test]
async fn a_handshake_that_fails_has_a_line_and_a_count_and_a_look_at_the_port_has_none() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["gateway.test"]);
    let logged = Logged::start(|server| server.tls(tls(&issued))).await;
    drop(logged.gateway.client().await);
    let mut client = logged.gateway.client().await;
    client.request("GET", "/plain").await;
    client.closed().await;
    let line = logged.line(Refusal::Tls).await;
    assert_eq!((line.status(), line.error_type()), (0, None), "{line:?}");
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_slow() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["gateway.test"]);
    let limits = |server: Server| server.tls(tls(&issued)).tls_handshake_timeout(SHORT);
    let logged = Logged::start(limits).await;
    let mut client = logged.gateway.client().await;
    client.send([0x16, 3, 1]).await;
    client.closed().await;
    logged.line(Refusal::Slow).await;
}

#[tokio::test]
async fn a_missing_proxy_protocol_header_has_a_line_and_a_count() {
    let logged = Logged::start(|server| server.proxy_protocol(["127.0.0.1"])).await;
    let mut client = logged.gateway.client().await;
    client.request("GET", "/").await;
    client.closed().await;
    logged.line(Refusal::ProxyProtocol).await;
}

#[tokio::test]
async fn what_is_malformed_in_http_2_has_a_line_and_a_count() {
    // A frame that no connection has.
    let logged = Logged::start(|server| server).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    client
        .send(&Frame::new(kind::DATA, 0, 0, vec![0; 10]))
        .await;
    client.closed().await;
    logged.line(Refusal::Malformed).await;

    // A request that h2 resets by itself: it has a field of a connection.
    let logged = Logged::start(|server| server).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    client
        .send(&Frame::get(1, "/", &[("connection", "close")]))
        .await;
    let reset = client.next_of(kind::RST_STREAM).await.unwrap();
    assert_eq!(reset.payload, code::PROTOCOL_ERROR.to_be_bytes());
    logged.line(Refusal::Malformed).await;

    // Two authorities, which is found behind h2.
    let logged = Logged::start(|server| server).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    client
        .send(&Frame::get(1, "/x?y", &[("host", "other.test")]))
        .await;
    client.next_of(kind::HEADERS).await.unwrap();
    let line = logged.line(Refusal::Malformed).await;
    assert_eq!((line.status(), line.field("path")), (400, Some("/x")));

    let logged = Logged::start(|server| server).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    let mut block = vec![0x82, 0x86];
    block.extend(literals(&[
        (":authority", "gateway.test"),
        (":path", "/many"),
    ]));
    for _ in 0..300 {
        block.extend(literals(&[("a", "b")]));
    }
    let flags = END_STREAM | END_HEADERS;
    client
        .send(&Frame::new(kind::HEADERS, flags, 1, block))
        .await;
    client.next_of(kind::HEADERS).await.unwrap();
    let line = logged.line(Refusal::HeadersTooLarge).await;
    assert_eq!((line.status(), line.field("path")), (431, Some("/many")));
}

/// A thousand refusals: each has its line and its count, and few of them an event.
#[tokio::test]
async fn many_refusals_are_all_counted_and_few_are_told() {
    const COUNT: usize = 300;
    let logged = Logged::start(|server| server).await;
    let events = Events::record();
    for _ in 0..COUNT {
        let mut stream = TcpStream::connect(logged.gateway.address()).await.unwrap();
        stream.write_all(b"no request\r\n\r\n").await.unwrap();
    }
    let all = || logged.connections.refused(Refusal::Malformed) == COUNT as u64;
    eventually("all of them to be counted", all).await;
    logged.log.lines(COUNT).await;
    let all = events.all();
    let told = all
        .iter()
        .filter(|told| told.message() == "refused before the gateway");
    let told = told.count();
    assert!((1..COUNT).contains(&told), "{told}");
}
