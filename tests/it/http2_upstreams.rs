//! Exchanges with HTTP/2 upstreams: ends of streams, time limits, and gRPC.

use std::time::Duration;

use prox_tests::{
    client::{HyperClient, Speaks, body, head},
    frame_origin::{FrameOrigin, Step, code, data, frame, kind, ok, reset, trailers},
    frames::END_HEADERS,
    gateway::Served,
    wait::{eventually, within},
    wire::End,
};

use http::Request;
use http_body_util::{BodyExt, Empty};
use prox_tests::service::Stalling;

async fn origin(script: impl Fn(u32) -> Vec<Step> + Send + Sync + 'static) -> FrameOrigin {
    FrameOrigin::start(&[], move |head| script(head.stream)).await
}

async fn gateway(origin: &FrameOrigin) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await
}

fn grpc(path: &str) -> http::request::Builder {
    Request::post(format!("http://gateway.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

#[tokio::test]
async fn a_reset_before_the_head_is_a_502_and_one_in_mid_body_a_cut() {
    let origin = origin(|stream| match stream {
        1 => vec![reset(stream, code::INTERNAL_ERROR)],
        _ => vec![
            ok(stream, false),
            data(stream, b"half", false),
            reset(stream, code::INTERNAL_ERROR),
        ],
    })
    .await;
    let gateway = gateway(&origin).await;
    gateway.get("/").await.expect(502);
    let answer = gateway.get("/").await;
    assert_eq!((answer.status, answer.body.end), (200, End::Cut));
    assert_eq!(origin.accepted(), 1, "the connection is as good as before");
}

#[tokio::test]
async fn the_reason_of_a_reset_reaches_a_client_of_http2() {
    let origin = origin(|stream| {
        vec![
            ok(stream, false),
            data(stream, b"half", false),
            reset(stream, code::CANCEL),
        ]
    })
    .await;
    let gateway = gateway(&origin).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let get = Request::get("http://gateway.test/").body(body(Empty::new()));
    let response = client.send(get.unwrap()).await.unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
}

#[tokio::test]
async fn an_answer_and_a_reset_without_error_are_a_whole_answer() {
    let origin = origin(|stream| {
        vec![
            ok(stream, false),
            data(stream, b"enough", true),
            reset(stream, code::NO_ERROR),
        ]
    })
    .await;
    let gateway = gateway(&origin).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    for _ in 0..20 {
        let unfinished = body(Stalling::after("a piece"));
        let post = Request::post("http://gateway.test/").body(unfinished);
        let response = client.send(post.unwrap()).await.unwrap();
        let collected = within("the answer", response.into_body().collect()).await;
        assert_eq!(collected.unwrap().to_bytes(), "enough");
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_stream() {
    let origin = origin(|stream| vec![ok(stream, false), data(stream, b"first", false)]).await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    assert_eq!(client.response_head().await.status, 200);
    drop(client);
    origin.reached(kind::RST_STREAM, 1).await;
    assert_eq!(origin.frames(kind::RST_STREAM)[0].code(), code::CANCEL);
    assert_eq!(origin.open(), 1);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_a_504_and_its_stream_is_cancelled() {
    let origin = origin(|_| Vec::new()).await;
    let url = origin.endpoint();
    let limit = Duration::from_millis(100);
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2().response_timeout(limit) })
            .await;
    gateway.get("/").await.expect(504);
    origin.reached(kind::RST_STREAM, 1).await;
    assert_eq!(origin.frames(kind::RST_STREAM)[0].code(), code::CANCEL);
    // Nothing at all was heard, so that the next request does not go the same way.
    gateway.get("/").await.expect(504);
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn a_body_that_stands_still_is_cut_and_one_that_moves_is_not() {
    let pause = Step::Pause(Duration::from_millis(100));
    let origin = origin(move |stream| {
        let mut steps = vec![ok(stream, false)];
        for _ in 0..24 {
            steps.extend([pause.clone(), data(stream, b"x", false)]);
        }
        if stream == 1 {
            steps.push(data(stream, b"", true));
        }
        steps
    })
    .await;
    let url = origin.endpoint();
    let limit = Duration::from_secs(2);
    let gateway =
        Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2().idle_timeout(limit) })
            .await;
    let all = "x".repeat(24);
    assert_eq!(gateway.get("/").await.expect(200).text(), all);
    let answer = gateway.get("/").await;
    assert_eq!((answer.text(), answer.body.end), (all, End::Cut));
}

#[tokio::test]
async fn trailers_that_were_not_announced_are_left_out_for_a_client_of_http1() {
    let origin = origin(|stream| {
        vec![
            ok(stream, false),
            data(stream, b"body", false),
            trailers(stream, "x-sum", "abc"),
        ]
    })
    .await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/", "TE: trailers\r\n")).await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(answer.text(), "body");
    assert!(answer.body.trailers.names().is_empty());
}

#[tokio::test]
async fn a_trailers_only_answer_stays_one() {
    let origin = origin(|stream| {
        // `:status: 200`, then `grpc-status: 5` without indexing.
        let block = [&[0x88, 0, 11][..], b"grpc-status", &[1], b"5"].concat();
        vec![prox_tests::frame_origin::frame(
            kind::HEADERS,
            5,
            stream,
            &block,
        )]
    })
    .await;
    let gateway = gateway(&origin).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let call = grpc("/service/method").body(body(Empty::new())).unwrap();
    let response = client.send(call).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "5");
    assert!(http_body::Body::is_end_stream(response.body()));
}

#[tokio::test]
async fn a_grpc_deadline_ends_the_call_with_its_code() {
    // Where nothing was heard, the next call goes to a new connection.
    let origin = FrameOrigin::start(&[], |head| match head.connection {
        0 => Vec::new(),
        _ => vec![
            // `:status: 200`, then `content-type: application/grpc` without indexing.
            prox_tests::frame_origin::frame(
                kind::HEADERS,
                4,
                head.stream,
                &[
                    &[0x88, 0, 12][..],
                    b"content-type",
                    &[16],
                    b"application/grpc",
                ]
                .concat(),
            ),
            data(head.stream, &[0, 0, 0, 0, 1, 7], false),
        ],
    })
    .await;
    let gateway = gateway(&origin).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let call = |path| {
        grpc(path)
            .header("grpc-timeout", "200m")
            .body(body(Empty::new()))
            .unwrap()
    };
    let response = client.send(call("/silent")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "4");

    let response = client.send(call("/stream")).await.unwrap();
    let collected = within("the end", response.into_body().collect()).await;
    let collected = collected.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "4");
    assert_eq!(collected.to_bytes().len(), 6);
    eventually("both streams to be cancelled", || {
        origin.frames(kind::RST_STREAM).len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_failure_of_the_gateway_is_a_grpc_status_for_a_grpc_call() {
    let refused = prox_tests::ports::Refused::new();
    let url = refused.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let call = grpc("/service/method").body(body(Empty::new())).unwrap();
    let response = client.send(call).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["content-type"], "application/grpc");
}

#[tokio::test]
async fn interim_responses_do_not_disturb_the_answer() {
    // 103, with a field of its own, and 102: `:status` by its name, and the value as text.
    let interim = |stream, status: &[u8; 3]| {
        let field = [&[0, 1][..], b"x", &[1], b"y"].concat();
        let block = [&[8, 3][..], status, &field].concat();
        frame(kind::HEADERS, END_HEADERS, stream, &block)
    };
    let origin = origin(move |stream| {
        vec![
            interim(stream, b"103"),
            interim(stream, b"102"),
            ok(stream, false),
            data(stream, b"answer", true),
        ]
    })
    .await;
    let gateway = gateway(&origin).await;
    for _ in 0..2 {
        let answer = gateway.get("/").await.expect(200);
        assert_eq!(answer.text(), "answer");
        assert!(answer.head.fields.lacks("x"), "a field of another response");
    }
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let get = Request::get("http://gateway.test/").body(body(Empty::new()));
    let response = client.send(get.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("x"));
}
