//! Checks with the health protocol of gRPC, before servers that say what a test wants.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prox::{Cluster, Condition, GrpcCheck};
use prox_tests::{
    client::{RequestBody, Speaks, body},
    gateway::served_before,
    origin::{Origin, Reply},
    service::{CutOff, Frames, ServiceOrigin, data},
    wait::eventually,
};

/// What a server answers to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// A message with this status.
    Health(u8),
    /// A call that fails, told by trailers alone.
    Fails(&'static str),
    /// A status of HTTP.
    Http(u16),
    /// Bytes that are no message.
    Noise,
}

/// A server, what it says, what it was asked for last, and how often.
struct Server {
    origin: ServiceOrigin,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Bytes>>,
    count: Arc<AtomicUsize>,
}

impl Server {
    async fn start(speaks: Speaks, says: Says) -> Self {
        let says = Arc::new(Mutex::new(says));
        let (asked, count) = (
            Arc::<Mutex<Bytes>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let shared = (Arc::clone(&says), Arc::clone(&asked), Arc::clone(&count));
        let origin = ServiceOrigin::start(speaks, move |request| {
            let (says, asked, count) = shared.clone();
            async move {
                let says = *says.lock().expect("nobody panics with it");
                let (answer, message) = answer(request, says).await;
                *asked.lock().expect("nobody panics with it") = message;
                count.fetch_add(1, SeqCst);
                Ok(answer)
            }
        })
        .await;
        Self {
            origin,
            says,
            asked,
            count,
        }
    }

    async fn well() -> Self {
        Self::start(Speaks::Http2, Says::Health(1)).await
    }

    fn now_says(&self, says: Says) {
        *self.says.lock().expect("nobody panics with it") = says;
    }
}

async fn answer(request: Request<Incoming>, says: Says) -> (Response<RequestBody>, Bytes) {
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    let collected = request.into_body().collect().await.expect("a whole body");
    let message = collected.to_bytes();
    let response = Response::builder().header("content-type", "application/grpc");
    let framed = |message: &[u8], status: &'static str| {
        let length = u8::try_from(message.len()).expect("a short message");
        let bytes = [&[0, 0, 0, 0, length], message].concat();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().expect("a value"));
        let frames = [data(bytes), Ok::<_, CutOff>(Frame::trailers(trailers))];
        body(Frames(frames.into_iter()))
    };
    let empty = || body(http_body_util::Empty::new());
    let response = match says {
        Says::Health(status) => response.body(framed(&[8, status], "0")),
        Says::Fails(status) => response.header("grpc-status", status).body(empty()),
        Says::Http(status) => response.status(status).body(empty()),
        Says::Noise => response.body(framed(b"noise", "0")),
    };
    (response.expect("a response"), message)
}

fn quick(check: GrpcCheck) -> GrpcCheck {
    let soon = Duration::from_millis(20);
    check.every(soon).fall(1).rise(1)
}

/// How the endpoint stands, and why.
fn state(orders: &Cluster, index: usize) -> (Condition, Option<String>) {
    let state = orders.endpoints().nth(index).expect("an endpoint");
    let reason = state.last_error().map(|error| error.reason.clone());
    (state.condition(), reason)
}

#[tokio::test]
async fn a_server_is_used_while_it_says_that_it_serves() {
    let server = Server::well().await;
    let url = server.origin.endpoint();
    let (_gateway, orders) = served_before("orders", prox::gateway! {
        backend orders = cluster(rr, [url])
            .http2()
            .health(grpc().every(500ms).timeout(400ms).every_while_changing(20ms).fall(1).rise(1));
        "/" => orders,
    })
    .await;
    eventually("it is checked", || server.count.load(SeqCst) > 1).await;
    assert_eq!(state(&orders, 0), (Condition::Healthy, None));
    assert_eq!(&server.asked.lock().expect("free")[..], [0; 5]);
    server.now_says(Says::Health(2));
    let is = |condition| state(&orders, 0).0 == condition;
    eventually("it is out", || is(Condition::Unhealthy)).await;
    assert_eq!(state(&orders, 0).1.as_deref(), Some("not serving"));
    server.now_says(Says::Health(1));
    eventually("it is back", || !is(Condition::Unhealthy)).await;
}

#[tokio::test]
async fn a_service_is_asked_for_by_its_name() {
    let server = Server::well().await;
    let (url, check) = (server.origin.endpoint(), quick(prox::GrpcCheck::new()));
    let check = check.service("shop.Orders");
    let (_gateway, _) = served_before(
        "orders",
        prox::gateway! {
            backend orders = cluster(rr, [url]).http2().health(check);
            "/" => orders,
        },
    )
    .await;
    eventually("it is checked", || server.count.load(SeqCst) > 0).await;
    let asked = server.asked.lock().expect("free").clone();
    assert_eq!(&asked[..], b"\0\0\0\0\x0d\x0a\x0bshop.Orders");
}

#[tokio::test]
async fn whatever_else_is_answered_is_no_yes_and_says_why() {
    for (says, reason) in [
        (Says::Health(0), "not known whether it serves"),
        (Says::Health(3), "the service is not known"),
        (Says::Fails("12"), "there is no health service"),
        (Says::Fails("5"), "the service is not known"),
        (Says::Fails("13"), "gRPC status 13"),
        (Says::Fails("x"), "the `grpc-status` is no number"),
        (Says::Fails("0"), "the answer has no `grpc-status`"),
        (Says::Http(404), "status 404"),
        (Says::Noise, "the answer is none of the health protocol"),
    ] {
        let server = Server::start(Speaks::Http2, says).await;
        let (url, check) = (server.origin.endpoint(), quick(GrpcCheck::new()));
        let (_gateway, orders) = served_before(
            "orders",
            prox::gateway! {
                backend orders = cluster(rr, [url]).http2().health(check);
                "/" => orders,
            },
        )
        .await;
        eventually("it is out", || state(&orders, 0).0 == Condition::Unhealthy).await;
        assert_eq!(state(&orders, 0).1.as_deref(), Some(reason), "{says:?}");
    }
}

#[tokio::test]
async fn a_server_of_something_else_is_out() {
    let origin = Origin::start(Reply::ok("HTTP/1.1 only")).await;
    let well = Server::well().await;
    let (a, b, check) = (
        origin.endpoint(),
        well.origin.endpoint(),
        quick(GrpcCheck::new()),
    );
    let (_gateway, orders) = served_before(
        "orders",
        prox::gateway! {
            backend orders = cluster(rr, [a, b]).http2().health(check);
            "/" => orders,
        },
    )
    .await;
    eventually("it is out", || state(&orders, 0).0 == Condition::Unhealthy).await;
    assert_eq!(state(&orders, 1).0, Condition::Healthy);
}

#[test]
fn a_backend_that_speaks_no_http2_is_told_at_the_start() {
    // What is literal is told while compiling.
    let check = prox::GrpcCheck::new();
    let gateway = prox::gateway! {
        backend orders = cluster(rr, ["http://127.0.0.1:1"]).health(check);
        "/" => orders,
    };
    let error = gateway.unwrap_err().to_string();
    assert!(error.contains("write `.http2()` too"), "{error}");
}
