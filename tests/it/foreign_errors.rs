//! Errors of other crates' layers and bodies: each has its row of the failure table, wherever it comes up.

use std::time::Duration;

use http_body_util::BodyExt;
use prox::{IntoResponse, Request};
use prox_tests::{
    client::{HyperClient, RawClient, Speaks, body, head, text},
    gateway::Served,
    log::Log,
    origin::{Origin, Reply},
    service::{CutOff, Frames, ServiceOrigin, data},
    wire::End,
};
use tower::{
    ServiceBuilder, buffer::BufferLayer, limit::GlobalConcurrencyLimitLayer,
    load_shed::LoadShedLayer,
};
use tower_http::{
    decompression::{DecompressionLayer, RequestDecompressionLayer},
    limit::RequestBodyLimitLayer,
    timeout::{RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer},
};

const SHORT: Duration = Duration::from_millis(100);

/// A chunked upload of two pieces of so many bytes.
fn chunked(lines: &str, length: usize) -> String {
    let piece = format!("{length:x}\r\n{}\r\n", "x".repeat(length));
    let lines = format!("{lines}Transfer-Encoding: chunked\r\n");
    format!("{}{piece}{piece}0\r\n\r\n", head("POST", "/", &lines))
}

/// A handler that reads all of its body.
async fn reads(req: Request) -> impl IntoResponse {
    req.into_body()
        .bytes(1_000_000)
        .await
        .map(|bytes| bytes.len().to_string())
}

/// What such a body is answered with by an upstream of either protocol, and by a handler.
async fn statuses(send: impl AsyncFn(&mut RawClient), layers: impl Layers) -> Vec<u16> {
    let origin = Origin::start(Reply::ok("all")).await;
    let h2 = ServiceOrigin::start(Speaks::Http2, |req| async {
        req.into_body().collect().await.map_err(|_| CutOff)?;
        Ok(http::Response::new(text("all")))
    })
    .await;
    let (url, url2) = (origin.endpoint(), h2.endpoint());
    let mut statuses = Vec::new();
    for gateway in [
        layers.around_1(url),
        layers.around_2(url2),
        layers.around_handler(),
    ] {
        let log = Log::new();
        let gateway = Served::start(gateway(&log)).await;
        let mut client = gateway.client().await;
        send(&mut client).await;
        let answer = client.response("POST").await;
        assert_eq!(answer.body.end, End::Complete, "{answer:?}");
        let line = log.line().await;
        assert_eq!(line.status(), answer.status, "{line:?}");
        statuses.push(answer.status);
    }
    statuses
}

type Make = Box<dyn Fn(&Log) -> prox::Result<prox::Gateway>>;

/// One layer around three targets.
trait Layers {
    fn around_1(&self, url: prox::Endpoint) -> Make;
    fn around_2(&self, url: prox::Endpoint) -> Make;
    fn around_handler(&self) -> Make;
}

macro_rules! layers {
    ($($name:ident = $layer:expr;)*) => {$(
        struct $name;

        impl Layers for $name {
            fn around_1(&self, url: prox::Endpoint) -> Make {
                Box::new(move |log| {
                    let (log, url) = (log.layer(), url.clone());
                    prox::gateway! { with [log, $layer]; "/" => url }
                })
            }

            fn around_2(&self, url: prox::Endpoint) -> Make {
                Box::new(move |log| {
                    let (log, url) = (log.layer(), url.clone());
                    prox::gateway! { with [log, $layer]; "/" => cluster(rr, [url]).http2() }
                })
            }

            fn around_handler(&self) -> Make {
                Box::new(|log| {
                    let log = log.layer();
                    prox::gateway! { with [log, $layer]; "/" => handler(reads) }
                })
            }
        }
    )*};
}

layers! {
    Limit = RequestBodyLimitLayer::new(1000);
    Slow = RequestBodyTimeoutLayer::new(SHORT);
    Gunzip = RequestDecompressionLayer::new();
}

#[tokio::test]
async fn a_body_over_the_limit_of_tower_http_is_a_413() {
    let over = statuses(async |client| client.send(chunked("", 1000)).await, Limit).await;
    assert_eq!(over, [413; 3]);
    let said = statuses(
        async |client| client.request_with("POST", "/", &"x".repeat(2000)).await,
        Limit,
    );
    assert_eq!(said.await, [413; 3]);
    let within = statuses(async |client| client.send(chunked("", 500)).await, Limit).await;
    assert_eq!(within, [200; 3]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_for_a_client_of_http_2() {
    let origin = Origin::start(Reply::ok("all")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { with [RequestBodyLimitLayer::new(1000)]; "/" => url };
    let gateway = Served::start(gateway).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let pieces = [data("x".repeat(900)), data("x".repeat(900))];
    let request = http::Request::post("http://gateway.test/")
        .body(body(Frames(pieces.into_iter())))
        .expect("a request");
    let answer = client.send(request).await.expect("an answer");
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn a_body_that_is_too_slow_for_tower_http_is_a_408() {
    let half = head("POST", "/", "Content-Length: 10\r\n") + "half";
    let slow = statuses(async |client| client.send(&half).await, Slow).await;
    assert_eq!(slow, [408; 3]);
}

#[tokio::test]
async fn a_body_that_is_no_gzip_is_a_400() {
    let encoded = "Content-Encoding: gzip\r\n";
    let garbage = statuses(
        async |client| client.send(chunked(encoded, 100)).await,
        Gunzip,
    )
    .await;
    assert_eq!(garbage, [400; 3]);
    // The header of a gzip file, and nothing behind it.
    let cut = head("POST", "/", &format!("{encoded}Content-Length: 10\r\n"));
    let mut cut = cut.into_bytes();
    cut.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    let cut = statuses(async |client| client.send(&cut).await, Gunzip).await;
    assert_eq!(cut, [400; 3]);
}

#[tokio::test]
async fn a_response_that_fails_in_a_layer_says_why_in_the_log() {
    let stalls = Reply::new()
        .head(200, &[], "Content-Length: 10")
        .write("12345")
        .stall();
    let garbage = Reply::status(200, &[("Content-Encoding", "gzip")], "garbage");
    for (reply, name) in [
        (stalls, "response_timeout"),
        (garbage, "malformed_response"),
    ] {
        let origin = Origin::start(reply).await;
        let url = origin.endpoint();
        let log = Log::new();
        let layer = log.layer();
        let gateway = Served::start(prox::gateway! {
            with [layer, DecompressionLayer::new(), ResponseBodyTimeoutLayer::new(SHORT)];
            "/" => url,
        })
        .await;
        let mut client = gateway.client().await;
        client
            .send(head("GET", "/", "Accept-Encoding: gzip\r\n"))
            .await;
        let answer = client.response("GET").await;
        assert_eq!((answer.status, answer.body.end), (200, End::Cut));
        let line = log.line().await;
        assert_eq!(
            (line.status(), line.error_type()),
            (200, Some(name)),
            "{line:?}"
        );
        assert!(line.is_aborted(), "{line:?}");
    }
}

#[tokio::test]
async fn a_request_over_the_concurrency_limit_is_a_503() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let shed = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1))
        .into_inner();
    let gateway = Served::start(prox::gateway! { with [shed]; "/" => url }).await;
    let mut first = gateway.client().await;
    first.request("GET", "/").await;
    origin.reached(1).await;
    gateway.get("/").await.expect(503);
}

/// The worker of a buffer ends with its runtime.
#[tokio::test]
async fn a_buffer_that_has_closed_is_a_500() {
    let log = Log::new();
    let layer = log.layer();
    let elsewhere = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let _entered = runtime.enter();
        let buffer = BufferLayer::<Request>::new(4);
        let gateway = prox::gateway! { with [layer, buffer]; "/" => respond(200, "ok") };
        gateway.expect("the gateway can start")
    });
    let gateway = Served::start(elsewhere.await.expect("a gateway")).await;
    gateway.get("/").await.expect(500);
    let line = log.line().await;
    assert_eq!((line.status(), line.error_type()), (500, Some("internal")));
}

/// A gateway in another server gets bodies of that server's kind.
#[tokio::test]
async fn a_client_that_leaves_an_embedded_gateway_in_its_upload_is_gone() {
    let origin = Origin::start(Reply::ok("all")).await;
    let url = origin.endpoint();
    let log = Log::new();
    let layer = log.layer();
    let gateway = prox::gateway! { with [layer]; "/" => handler(reads), "/up" => url };
    let app = axum::Router::new().fallback_service(gateway.expect("the gateway can start"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    for path in ["/", "/up"] {
        log.clear();
        let mut client = RawClient::connect(address).await;
        let half = head("POST", path, "Content-Length: 10\r\n") + "half";
        client.send(half).await;
        client.half_close().await;
        let line = log.line().await;
        assert_eq!(line.error_type(), Some("client_gone"), "{line:?}");
    }
}

#[tokio::test]
async fn a_service_that_fails_with_such_an_error_answers_with_its_row() {
    let reads = |req: Request| async move {
        let limited = http_body_util::Limited::new(req.into_body(), 5);
        let body = limited.collect().await?.to_bytes();
        Ok::<_, prox::BoxError>(prox::Response::new(body.into()))
    };
    let gateway = prox::gateway! { "/" => service(tower::service_fn(reads)) };
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    client.post("/", "12345").await.expect(200);
    client.post("/", "123456").await.expect(413);
}
