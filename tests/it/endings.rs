//! How requests end, and that the access log says what happened: the table in `prox::docs::endings`, row by row.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame as BodyFrame;
use http_body_util::BodyExt;
use prox::{Body, Next, Request, Response};
use prox_tests::{
    client::{HyperClient, RawClient, RequestBody, Speaks, head, text},
    frames::{END_STREAM, Frame, FrameClient, code, kind},
    gateway::Served,
    log::{Line, Log},
    origin::{Origin, Reply},
    wait::{eventually, within},
    wire::{End, Framing},
};
use tokio::net::TcpStream;

use crate::upgrades::{Upstream, WEBSOCKET, write};

/// Long enough for a healthy answer, and short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);

const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// A gateway with a log before one origin.
struct Logged {
    log: Log,
    origin: Origin,
    gateway: Served,
}

type Server = prox::Server<prox::Gateway>;

impl Logged {
    async fn start(reply: Reply) -> Self {
        Self::with(reply, |server| server).await
    }

    async fn with(reply: Reply, limits: impl FnOnce(Server) -> Server) -> Self {
        Self::limited(reply, Duration::from_mins(1), limits).await
    }

    /// With a limit for upstreams that stand still.
    async fn limited(reply: Reply, idle: Duration, limits: impl FnOnce(Server) -> Server) -> Self {
        let (log, origin) = (Log::new(), Origin::start(reply).await);
        let (layer, url) = (log.layer(), origin.endpoint());
        let gateway = prox::gateway! {
            with [layer];
            "/" => cluster(rr, [url]).idle_timeout(idle),
        };
        let gateway = Served::with(gateway, limits).await;
        Self {
            log,
            origin,
            gateway,
        }
    }

    async fn client(&self, speaks: Speaks) -> HyperClient {
        HyperClient::speaking(speaks, self.gateway.address()).await
    }
}

fn get() -> http::Request<RequestBody> {
    http::Request::get("http://gateway.test/")
        .header("host", "gateway.test")
        .body(text(""))
        .unwrap()
}

/// A body of so many bytes of which a part comes.
fn half() -> Reply {
    Reply::new()
        .head(200, &[], "Content-Length: 10")
        .write("12345")
}

#[track_caller]
fn says(line: &Line, status: u16, error_type: Option<&str>, aborted: bool) {
    let said = (line.status(), line.error_type(), line.is_aborted());
    assert_eq!(said, (status, error_type, aborted), "{line:?}");
}

#[tokio::test]
async fn a_whole_response_says_nothing_but_its_status() {
    for speaks in BOTH {
        let logged = Logged::start(Reply::ok("whole")).await;
        let mut client = logged.client(speaks).await;
        let answer = client.send(get()).await.unwrap();
        answer.into_body().collect().await.unwrap();
        says(&logged.log.line().await, 200, None, false);
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_gone_before_the_head_and_within_the_body() {
    for answered in [false, true] {
        let reply = || if answered { half() } else { Reply::new() };
        let status = if answered { 200 } else { 499 };
        let logged = Logged::start(reply().stall()).await;
        let mut client = logged.gateway.client().await;
        client.request("GET", "/").await;
        logged.origin.reached(1).await;
        if answered {
            client.response_head().await;
        }
        drop(client);
        let line = logged.log.line().await;
        says(&line, status, Some("client_gone"), answered);

        let logged = Logged::start(reply().stall()).await;
        let mut client = FrameClient::connect(logged.gateway.address()).await;
        client.send(&Frame::get(1, "/", &[])).await;
        logged.origin.reached(1).await;
        if answered {
            client.next_of(kind::DATA).await.unwrap();
        }
        drop(client);
        let line = logged.log.line().await;
        says(&line, status, Some("client_gone"), answered);
    }
}

#[tokio::test]
async fn a_stream_that_its_client_resets_is_gone_whatever_the_code() {
    for code in 0..=13_u32 {
        for answered in [false, true] {
            let reply = if answered { half() } else { Reply::new() };
            let logged = Logged::start(reply.stall()).await;
            let mut client = FrameClient::connect(logged.gateway.address()).await;
            client.send(&Frame::get(1, "/", &[])).await;
            logged.origin.reached(1).await;
            if answered {
                client.next_of(kind::DATA).await.unwrap();
            }
            let reset = Frame::new(kind::RST_STREAM, 0, 1, code.to_be_bytes());
            client.send(&reset).await;
            let status = if answered { 200 } else { 499 };
            let line = logged.log.line().await;
            says(&line, status, Some("client_gone"), answered);
            // The connection goes on.
            logged.origin.once([Reply::ok("well")]);
            client.send(&Frame::get(3, "/", &[])).await;
            logged.log.lines(2).await;
        }
    }
}

#[tokio::test]
async fn a_goaway_of_the_client_lets_its_requests_end() {
    let gate = prox_tests::wait::Gate::new();
    let logged = Logged::start(Reply::new().wait(&gate).head(204, &[], "")).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    client.send(&Frame::get(1, "/", &[])).await;
    logged.origin.reached(1).await;
    let last = [0_u32.to_be_bytes(), code::NO_ERROR.to_be_bytes()].concat();
    client.send(&Frame::new(kind::GOAWAY, 0, 0, last)).await;
    gate.open();
    let answer = client.next_of(kind::HEADERS).await.unwrap();
    assert_eq!(answer.flags & END_STREAM, END_STREAM);
    says(&logged.log.line().await, 204, None, false);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_says_how() {
    let chunked = || {
        Reply::new()
            .head(200, &[], "Transfer-Encoding: chunked")
            .write("5\r\n12345\r\n")
    };
    for (reply, name) in [
        (half().close(), "reset"),
        (chunked().close(), "reset"),
        (
            chunked().write("no chunk\r\n").close(),
            "malformed_response",
        ),
        (half().stall(), "response_timeout"),
    ] {
        for speaks in BOTH {
            let logged = Logged::limited(reply.clone(), SHORT, |server| server).await;
            let mut client = logged.client(speaks).await;
            let answer = client.send(get()).await.unwrap();
            assert_eq!(answer.status(), 200);
            within("a cut", answer.into_body().collect())
                .await
                .unwrap_err();
            says(&logged.log.line().await, 200, Some(name), true);
        }
    }
}

#[tokio::test]
async fn a_request_that_the_drain_cuts_is_told_so_where_it_can_be() {
    for speaks in BOTH {
        let drain = |server: Server| server.drain_timeout(SHORT);
        let mut logged = Logged::with(Reply::new().stall(), drain).await;
        let mut client = logged.client(speaks).await;
        let answer = client.begin(get());
        logged.origin.reached(1).await;
        logged.gateway.begin_shutdown();
        let answer = within("an end", answer).await;
        // A stream ends with its connection.
        if speaks == Speaks::Http1 {
            let answer = answer.unwrap();
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers()["connection"], "close");
        } else {
            answer.unwrap_err();
        }
        says(&logged.log.line().await, 503, Some("drained"), false);
        logged.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_response_that_the_drain_cuts_is_the_gateways_doing() {
    for speaks in BOTH {
        let drain = |server: Server| server.drain_timeout(SHORT);
        let endless = Reply::new().head(200, &[], "Transfer-Encoding: chunked");
        let mut logged = Logged::with(endless.write("5\r\n12345\r\n").stall(), drain).await;
        let mut client = logged.client(speaks).await;
        let mut answer = client.send(get()).await.unwrap();
        within("a part", answer.frame()).await.unwrap().unwrap();
        logged.gateway.begin_shutdown();
        let line = logged.log.line().await;
        says(&line, 200, Some("drained"), true);
        logged.gateway.stop().await;
    }
}

/// A runtime that ends takes requests with it.
#[test]
fn a_request_that_ends_with_its_runtime_is_not_its_clients_doing() {
    for speaks in BOTH {
        let (log, runtime) = (Log::new(), tokio::runtime::Runtime::new().unwrap());
        let clients = tokio::runtime::Runtime::new().unwrap();
        let (layer, (tell, told)) = (log.layer(), std::sync::mpsc::channel());
        let stalls = move |_: Request| {
            let _ = tell.send(());
            std::future::pending::<()>()
        };
        let gateway = prox::gateway! { with [layer]; "/" => handler(stalls) };
        let gateway = runtime.block_on(Served::start(gateway));
        let _answer = clients.block_on(async {
            let mut client = HyperClient::speaking(speaks, gateway.address()).await;
            let answer = client.begin(get());
            (client, answer)
        });
        told.recv_timeout(Duration::from_secs(20)).unwrap();
        runtime.shutdown_timeout(Duration::from_secs(20));
        let line = clients.block_on(log.line());
        says(&line, 503, Some("drained"), false);
    }
}

async fn broken(_: Request) -> &'static str {
    panic!("a bug in a handler")
}

async fn broken_layer(_: Request, _: Next) -> Response {
    panic!("a bug in a layer")
}

async fn fine(_: Request) -> &'static str {
    "fine"
}

/// A body that panics after its first part.
struct Bomb(bool);

impl http_body::Body for Bomb {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Self::Error>>> {
        assert!(!std::mem::replace(&mut self.0, true), "a bug in a body");
        Poll::Ready(Some(Ok(BodyFrame::data(Bytes::from_static(b"part")))))
    }
}

async fn bomb(_: Request) -> Body {
    Body::new(Bomb(false))
}

/// A gateway of which much panics, and none of its layers recovers.
async fn panicking() -> (Log, Served) {
    let log = Log::new();
    let layer = log.layer();
    let gateway = prox::gateway! {
        with [layer];
        "/handler" => handler(broken),
        "/layer" => handler(fine) with [broken_layer],
        "/body" => handler(bomb),
        "/fine" => handler(fine),
    };
    (log, Served::start(gateway).await)
}

fn to(target: &str) -> http::Request<RequestBody> {
    let mut request = get();
    *request.uri_mut() = format!("http://gateway.test{target}").parse().unwrap();
    request
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_lives_on() {
    for speaks in BOTH {
        let (log, gateway) = panicking().await;
        let mut client = HyperClient::speaking(speaks, gateway.address()).await;
        for (count, target) in ["/handler", "/layer", "/handler"].into_iter().enumerate() {
            let answer = client.send(to(target)).await.unwrap();
            assert_eq!(answer.status(), 500, "{target}");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "Internal Server Error");
            let lines = log.lines(count + 1).await;
            says(&lines[count], 500, Some("panicked"), false);
        }
        assert_eq!(client.send(to("/fine")).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_panic_in_a_grpc_call_is_the_code_13() {
    let (_, gateway) = panicking().await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let mut request = to("/handler");
    let kind = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", kind);
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "13");
}

#[tokio::test]
async fn a_panic_within_a_body_cuts_that_response() {
    for speaks in BOTH {
        let (log, gateway) = panicking().await;
        let mut client = HyperClient::speaking(speaks, gateway.address()).await;
        let answer = client.send(to("/body")).await.unwrap();
        assert_eq!(answer.status(), 200);
        within("a cut", answer.into_body().collect())
            .await
            .unwrap_err();
        says(&log.line().await, 200, Some("panicked"), true);
        if speaks == Speaks::Http2 {
            assert_eq!(client.send(to("/fine")).await.unwrap().status(), 200);
        }
    }
}

/// For a client of HTTP/1.0 an end in good order would be the end of the body.
#[tokio::test]
async fn a_panic_within_a_body_is_no_clean_end_for_a_client_of_http_1_0() {
    let (log, gateway) = panicking().await;
    let mut client = gateway.client().await;
    client.send("GET /body HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let head = client.response_head().await;
    assert_eq!(head.status, 200);
    let (mut reader, _writer) = client.into_halves();
    within("a reset", reader.rest()).await.unwrap_err();
    says(&log.line().await, 200, Some("panicked"), true);
}

#[tokio::test]
async fn a_panic_costs_an_embedded_gateway_one_request() {
    let gateway = prox::gateway! { "/" => handler(broken), "/fine" => handler(fine) };
    let app = axum::Router::new().fallback_service(gateway.unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut client = RawClient::connect(address).await;
    client.get("/").await.expect(500);
    client.get("/fine").await.expect(200);
}

/// A client that does not read is cut off by the server's limit.
#[tokio::test]
async fn a_client_that_does_not_read_is_slow() {
    let much = || Reply::filler(200_000_000, false);
    let limit = |server: Server| server.idle_timeout(SHORT);
    let logged = Logged::with(much(), limit).await;
    let mut client = logged.gateway.client().await;
    client.request("GET", "/").await;
    says(&logged.log.line().await, 200, Some("slow_client"), true);

    let logged = Logged::with(much(), limit).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    client.send(&Frame::get(1, "/", &[])).await;
    says(&logged.log.line().await, 200, Some("slow_client"), true);
}

/// What a client breaks on its connection costs the requests on it.
#[tokio::test]
async fn a_connection_that_its_client_breaks_ends_its_requests() {
    let logged = Logged::start(Reply::new().stall()).await;
    let mut client = FrameClient::connect(logged.gateway.address()).await;
    client.send(&Frame::get(1, "/", &[])).await;
    logged.origin.reached(1).await;
    // Data on the connection itself.
    client
        .send(&Frame::new(kind::DATA, 0, 0, vec![0; 10]))
        .await;
    // What broke it has a line of its own.
    let lines = logged.log.lines(2).await;
    let (refused, requests): (Vec<_>, Vec<_>) = lines
        .iter()
        .partition(|line| line.field("refused").is_some());
    assert_eq!(refused[0].field("refused"), Some("malformed"));
    says(requests[0], 499, Some("client_gone"), false);
}

#[tokio::test]
async fn a_body_that_must_not_be_sent_is_not_missed() {
    async fn no_content(_: Request) -> Response {
        let mut response = Response::new(Body::new(Bomb(false)));
        *response.status_mut() = http::StatusCode::NO_CONTENT;
        response
    }
    for speaks in BOTH {
        let log = Log::new();
        let layer = log.layer();
        let gateway = prox::gateway! { with [layer]; "/" => handler(no_content) };
        let gateway = Served::start(gateway).await;
        let mut client = HyperClient::speaking(speaks, gateway.address()).await;
        let answer = client.send(get()).await.unwrap();
        assert_eq!(answer.status(), 204);
        says(&log.line().await, 204, None, false);
    }
}

/// A WebSocket through a gateway with a log.
async fn tunnel(limits: impl FnOnce(Server) -> Server) -> (Log, Served, RawClient, TcpStream) {
    let (log, upstream) = (Log::new(), Upstream::start().await);
    let (layer, url) = (log.layer(), upstream.endpoint());
    let gateway = prox::gateway! {
        with [layer];
        "/" => cluster(rr, [url]).idle_timeout(SHORT * 5),
    };
    let gateway = Served::with(gateway, limits).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", WEBSOCKET)).await;
    let (_, server) = upstream.switch().await;
    assert_eq!(client.response_head().await.status, 101);
    (log, gateway, client, server.into_stream())
}

#[tokio::test]
async fn a_tunnel_says_how_it_has_ended() {
    let (log, _gateway, mut client, server) = tunnel(|server| server).await;
    drop(server);
    client.closed().await;
    drop(client);
    says(&log.line().await, 101, None, false);

    let (log, _gateway, client, mut server) = tunnel(|server| server).await;
    client.reset();
    write(&mut server, "for nobody").await;
    says(&log.line().await, 101, Some("client_gone"), true);

    let (log, _gateway, _client, server) = tunnel(|server| server).await;
    server.set_zero_linger().unwrap();
    drop(server);
    says(&log.line().await, 101, Some("reset"), true);

    let (log, _gateway, _client, _server) = tunnel(|server| server).await;
    says(&log.line().await, 101, Some("response_timeout"), true);

    let (log, gateway, _client, _server) = tunnel(|server| server.drain_timeout(SHORT)).await;
    gateway.stop().await;
    says(&log.line().await, 101, Some("drained"), true);
}

/// A call whose time is over ends with a status, in good order; the log knows why.
#[tokio::test]
async fn a_grpc_call_whose_time_is_over_says_so() {
    let stalling = prox_tests::service::ServiceOrigin::start(Speaks::Http2, |_| async {
        let body = prox_tests::service::Stalling::after("part");
        let mut response = http::Response::new(prox_tests::client::body(body));
        let kind = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", kind);
        Ok(response)
    })
    .await;
    let (log, url) = (Log::new(), stalling.endpoint());
    let layer = log.layer();
    let gateway = prox::gateway! { with [layer]; "/" => cluster(rr, [url]).http2() };
    let gateway = Served::start(gateway).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let request = http::Request::post("http://gateway.test/pkg.Service/Call")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "200m")
        .body(text("call"))
        .unwrap();
    let answer = client.send(request).await.unwrap();
    let whole = within("an end", answer.into_body().collect())
        .await
        .unwrap();
    assert_eq!(whole.trailers().unwrap()["grpc-status"], "4");
    says(&log.line().await, 200, Some("response_timeout"), false);
}

/// A server that is dropped lets what is under way go on.
#[tokio::test]
async fn a_listener_that_is_gone_lets_requests_end() {
    let gate = prox_tests::wait::Gate::new();
    let reply = Reply::new().wait(&gate).head(200, &[], "Content-Length: 2");
    let mut logged = Logged::start(reply.write("ok")).await;
    let mut client = logged.gateway.client().await;
    client.request("GET", "/").await;
    logged.origin.reached(1).await;
    logged.gateway.begin_shutdown();
    let address = logged.gateway.address();
    let refused = || std::net::TcpStream::connect(address).is_err();
    eventually("new connections to be refused", refused).await;
    gate.open();
    let answer = client.response_head().await;
    let body = client.body(Framing::Length(2)).await;
    assert_eq!((answer.status, body.end), (200, End::Complete));
    says(&logged.log.line().await, 200, None, false);
}
