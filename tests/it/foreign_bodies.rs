//! Layers over the bodies of another crate, such as those of axum.

use axum::{
    body::Body as AxumBody,
    extract::{Request as AxumRequest, State},
    middleware::{Next as AxumNext, from_fn, from_fn_with_state},
    response::{IntoResponse, Response as AxumResponse},
};
use http_body_util::BodyExt;
use prox::middleware::with_body;
use prox_tests::{
    client::{HyperClient, Speaks, text},
    gateway::Served,
    origin::{Origin, Reply},
    wait::within,
};

async fn stamp(request: AxumRequest, next: AxumNext) -> AxumResponse {
    let mut response = next.run(request).await;
    let stamp = http::HeaderValue::from_static("1");
    response.headers_mut().append("x-stamp", stamp);
    response
}

async fn turn_away(request: AxumRequest, next: AxumNext) -> AxumResponse {
    if request.headers().contains_key("x-away") {
        return (http::StatusCode::FORBIDDEN, "away").into_response();
    }
    next.run(request).await
}

async fn name(
    State(name): State<&'static str>,
    mut request: AxumRequest,
    next: AxumNext,
) -> AxumResponse {
    let value = http::HeaderValue::from_static(name);
    request.headers_mut().insert("x-name", value);
    next.run(request).await
}

/// Reads the whole body of the request, and puts it back.
async fn double(request: AxumRequest, next: AxumNext) -> AxumResponse {
    let (mut parts, body) = request.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    parts.headers.remove("content-length");
    let twice = [&bytes[..], &bytes[..]].concat();
    let answer = next
        .run(AxumRequest::from_parts(parts, AxumBody::from(twice)))
        .await;
    answer.map(|body| AxumBody::new(body.map_frame(|frame| frame)))
}

#[tokio::test]
async fn functions_of_axum_are_layers() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let outer = with_body(from_fn(stamp), AxumBody::new);
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]);
        with [outer];
        "/" => users with [
            with_body(from_fn(turn_away), AxumBody::new),
            with_body(from_fn_with_state("ada", name), AxumBody::new),
        ],
        "/double" => users with [with_body(from_fn(double), AxumBody::new)],
        "/handler" => handler(async |req: prox::Request| req.into_body().bytes(64).await.map(|_| "read"))
            with [with_body(from_fn(double), AxumBody::new)],
    };
    let served = Served::start(gateway).await;
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let send = async |target: &str, field: &str, content: &'static str| {
            let mut client = HyperClient::speaking(speaks, served.address()).await;
            let request = speaks.request(target).method("POST").header(field, "1");
            let answer = client
                .send(request.body(text(content)).unwrap())
                .await
                .unwrap();
            let (head, body) = answer.into_parts();
            let body = within("a body", body.collect()).await.unwrap().to_bytes();
            client.leave();
            let stamps = head.headers.get_all("x-stamp").iter().count();
            (
                head.status.as_u16(),
                String::from_utf8_lossy(&body).into_owned(),
                stamps,
            )
        };
        assert_eq!(send("/", "x-a", "hello").await, (200, "ok".into(), 1));
        assert_eq!(origin.last().body.text(), "hello");
        assert_eq!(origin.last().field("x-name"), Some("ada"));
        assert_eq!(send("/", "x-away", "hello").await, (403, "away".into(), 1));
        assert_eq!(send("/double", "x-a", "ab").await, (200, "ok".into(), 1));
        assert_eq!(origin.last().body.text(), "abab");
        assert_eq!(send("/handler", "x-a", "ab").await, (200, "read".into(), 1));
        let long = "x".repeat(300_000);
        let long: &'static str = long.leak();
        assert_eq!(send("/", "x-a", long).await, (200, "ok".into(), 1));
        assert_eq!(origin.last().body.digest.length(), 300_000);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_behind_such_a_layer_is_cut() {
    let origin = Origin::start(
        Reply::new()
            .head(200, &[], "Content-Length: 10")
            .write("half")
            .close(),
    )
    .await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url with [with_body(from_fn(stamp), AxumBody::new)] };
    let served = Served::start(gateway).await;
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mut client = HyperClient::speaking(speaks, served.address()).await;
        let answer = client
            .send(speaks.request("/").body(text("")).unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert!(
            within("the end", answer.into_body().collect())
                .await
                .is_err(),
            "{speaks:?}"
        );
    }
}
