//! The deadline of a gRPC call, as the upstream is told it.

use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use prox_tests::{
    client::{HyperClient, Speaks, text},
    gateway::Served,
    origin::{Origin, Reply},
    service::{CutOff, ServiceOrigin},
};

/// Answers with the deadline that it was told.
async fn echo() -> ServiceOrigin {
    ServiceOrigin::start(Speaks::Http2, |request: Request<Incoming>| async move {
        let mut response = Response::builder().header("grpc-status", "0");
        if let Some(told) = request.headers().get("grpc-timeout") {
            response = response.header("x-told", told);
        }
        response.body(text("")).map_err(|_| CutOff)
    })
    .await
}

/// What the upstream is told when the client says this.
async fn told(gateway: &Served, content_type: &str, says: Option<&str>) -> Option<Duration> {
    let mut request = Request::post("http://gateway.test/a.B/C")
        .header("content-type", content_type)
        .header("te", "trailers");
    if let Some(says) = says {
        request = request.header("grpc-timeout", says);
    }
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let request = request.body(text("")).expect("a request");
    let response = client.send(request).await.expect("a response");
    let told = response.headers().get("x-told")?;
    let (count, unit) = told.to_str().expect("text").split_at(told.len() - 1);
    let count = count.parse().expect("a number");
    Some(match unit {
        "n" => Duration::from_nanos(count),
        "u" => Duration::from_micros(count),
        "m" => Duration::from_millis(count),
        "S" => Duration::from_secs(count),
        unit => panic!("an unexpected unit: {unit}"),
    })
}

const GRPC: &str = "application/grpc";

#[tokio::test]
async fn the_upstream_is_told_what_is_left() {
    let origin = echo().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await;
    let told_for = async |says| told(&gateway, GRPC, says).await;
    let left = told_for(Some("20S")).await.expect("a deadline");
    assert!(left < Duration::from_secs(20) && left > Duration::from_secs(10));
    let left = told_for(Some("3H")).await.expect("a deadline");
    assert!(left < Duration::from_hours(3) && left > Duration::from_mins(179));
    assert_eq!(told_for(None).await, None);
    // It is a field of gRPC, and nothing to anybody else.
    let other = told(&gateway, "application/json", Some("5S")).await;
    assert_eq!(other, Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn the_smaller_of_the_clients_time_and_the_routes_is_told() {
    let origin = echo().await;
    let (url, limit) = (origin.endpoint(), Duration::from_secs(30));
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).http2().timeout(limit),
    })
    .await;
    let told_for = async |says| told(&gateway, GRPC, says).await.expect("a deadline");
    assert!(told_for(Some("10S")).await < Duration::from_secs(10));
    for says in [None, Some("2M")] {
        let left = told_for(says).await;
        assert!(left < limit && left > limit / 2, "{left:?}");
    }
}

#[tokio::test]
async fn a_second_try_is_told_less_than_the_first() {
    let pause = Duration::from_millis(100);
    let bad = Origin::start(Reply::status(503, &[], "").pause(Duration::ZERO)).await;
    let slow = Reply::new()
        .pause(pause)
        .head(503, &[], "Content-Length: 0");
    bad.once([slow]);
    let good = Origin::start(Reply::ok("")).await;
    let (a, b) = (bad.endpoint(), good.endpoint());
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [a, b]).retry(prox::RetryOptions::new(1).any_method()),
    })
    .await;
    told(&gateway, GRPC, Some("20S")).await;
    let told = |origin: &Origin| -> u64 {
        let last = origin.last();
        let told = last.field("grpc-timeout").expect("a deadline");
        let micros = told.strip_suffix('u').expect("in microseconds");
        micros.parse().expect("a number")
    };
    assert!(told(&bad) < 20_000_000);
    assert!(told(&good) + 100_000 <= told(&bad));
}
