//! `BodyLimit`, `ErrorPages`, `Fallback` and `Maintenance`, by clients of both protocols.

use http_body_util::{BodyExt, StreamBody};
use prox::{
    Request,
    dsl::handler,
    middleware::{BodyLimit, ErrorPages, Fallback, IpRules, Maintenance, Switch},
};
use prox_tests::{
    client::{HyperClient, Speaks, body, head, text},
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    wait::within,
    wire::End,
};

use crate::{
    cors::{SPEAKS, send},
    trusted::client_at,
};

const TEXT: (&str, &str) = ("content-type", "text/plain");

const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// Sends a body, with its length or in pieces without one.
pub(crate) async fn post(
    speaks: Speaks,
    gateway: &Served,
    fields: &[(&str, &str)],
    content: &'static str,
    length: bool,
) -> http::Response<hyper::body::Incoming> {
    let mut client = HyperClient::speaking(speaks, gateway.address()).await;
    let mut request = speaks.request("/").method("POST");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let content = if length {
        text(content)
    } else {
        let pieces = content.as_bytes().chunks(3).map(|piece| {
            let piece = bytes::Bytes::copy_from_slice(piece);
            Ok::<_, std::convert::Infallible>(http_body::Frame::data(piece))
        });
        body(StreamBody::new(tokio_stream::iter(
            pieces.collect::<Vec<_>>(),
        )))
    };
    let request = request.body(content).expect("a request");
    client.send(request).await.expect("a response")
}

/// How many requests have come to their end.
fn whole(origin: &Origin) -> usize {
    let requests = origin.requests();
    let whole = requests
        .iter()
        .filter(|seen| seen.body.end == End::Complete);
    whole.count()
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_with_and_without_a_length() {
    let origin = Origin::start(Reply::ok("taken")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [BodyLimit::max(6)],
    })
    .await;
    for speaks in SPEAKS {
        for length in [true, false] {
            let before = whole(&origin);
            let answer = post(speaks, &gateway, &[TEXT], "abcdef", length).await;
            assert_eq!(answer.status(), 200, "{speaks:?} {length}");
            assert_eq!(whole(&origin), before + 1);
            let answer = post(speaks, &gateway, &[TEXT], "abcdefg", length).await;
            assert_eq!(answer.status(), 413, "{speaks:?} {length}");
            let answer = post(speaks, &gateway, &[GRPC], "abcdefg", length).await;
            assert_eq!(answer.status(), 200, "{speaks:?} {length}");
            assert_eq!(answer.headers()["grpc-status"], "8");
            assert_eq!(answer.headers()["grpc-message"], "body_too_large");
            // A request whose body was too long has never reached the upstream whole.
            assert_eq!(whole(&origin), before + 1, "{speaks:?} {length}");
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_before_it_sends() {
    let origin = Origin::start(Reply::ok("taken")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [BodyLimit::max(6)],
    })
    .await;
    let mut client = gateway.client().await;
    client
        .send(head(
            "POST",
            "/",
            "Content-Length: 7\r\nExpect: 100-continue\r\n",
        ))
        .await;
    let answer = client.response("POST").await.expect(413);
    assert!(answer.interim.is_empty(), "{answer:?}");
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn pages_replace_the_bodies_of_upstreams_and_nothing_of_the_gateway() {
    let fields = [
        ("content-type", "text/html"),
        ("etag", "\"x\""),
        ("x-id", "7"),
    ];
    let origin = Origin::start(Reply::status(503, &fields, "at main.py:12")).await;
    let dead = Refused::new();
    let (url, gone) = (origin.endpoint(), dead.endpoint());
    let gateway = Served::start(prox::gateway! {
        let pages = ErrorPages::on(500..=599, |status| format!("sorry ({})", status.as_u16()));
        "/" with [pages] {
            "/up" => url,
            "/gone" => gone,
        }
    })
    .await;
    for speaks in SPEAKS {
        for method in ["GET", "HEAD"] {
            let answer = send(speaks, &gateway, method, "/up", &[]).await;
            assert_eq!(answer.status(), 503);
            let headers = answer.headers();
            assert_eq!(headers["x-id"], "7");
            assert!(!headers.contains_key("etag"));
            assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
            let body = answer.into_body().collect().await.expect("a body");
            let expected = if method == "GET" { "sorry (503)" } else { "" };
            assert_eq!(body.to_bytes(), expected);
        }
        let answer = send(speaks, &gateway, "GET", "/gone", &[]).await;
        assert_eq!(answer.status(), 502);
        let body = answer.into_body().collect().await.expect("a body");
        assert_eq!(body.to_bytes(), "Bad Gateway");
    }
}

#[tokio::test]
async fn a_fallback_answers_when_no_upstream_was_reached() {
    async fn page(req: Request) -> String {
        format!("instead of {}", req.uri().path())
    }
    let origin = Origin::start(Reply::status(500, &[], "broken")).await;
    let dead = Refused::new();
    let (url, gone) = (origin.endpoint(), dead.endpoint());
    let gateway = Served::start(prox::gateway! {
        with [Fallback::to(handler(page))];
        "/up" => url,
        "/gone" => gone,
    })
    .await;
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/gone/a?b", &[]).await;
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.expect("a body");
        assert_eq!(body.to_bytes(), "instead of /gone/a");
        for (method, target, status) in [
            ("HEAD", "/gone", 200),
            ("POST", "/gone", 502),
            ("GET", "/up", 500),
            ("GET", "/missing", 404),
        ] {
            let answer = send(speaks, &gateway, method, target, &[]).await;
            assert_eq!(answer.status(), status, "{method} {target}");
        }
        let grpc = [GRPC];
        let answer = send(speaks, &gateway, "GET", "/gone", &grpc).await;
        assert_eq!(answer.headers()["grpc-status"], "14");
    }
}

#[tokio::test]
async fn maintenance_closes_a_part_while_its_switch_is_on() {
    let switch = Switch::new();
    let gateway = prox::gateway! {
        let closed = Maintenance::when(&switch).except(IpRules::allow(["127.0.0.7"]));
        "/shop" => respond(200, "open") with [closed],
        "/healthz" => prox::readiness(),
    };
    let gateway = gateway.expect("a gateway");
    let handle = gateway.clone();
    let served = Served::start(gateway).await;
    for on in [false, true, false] {
        switch.turn(on);
        let status = if on { 503 } else { 200 };
        for speaks in SPEAKS {
            let answer = send(speaks, &served, "GET", "/shop", &[]).await;
            assert_eq!(answer.status(), status);
            if on {
                assert_eq!(answer.headers()["retry-after"], "60");
                let grpc = [GRPC];
                let answer = send(speaks, &served, "POST", "/shop", &grpc).await;
                assert_eq!(answer.headers()["grpc-message"], "maintenance");
            }
        }
        client_at(7, served.address())
            .await
            .get("/shop")
            .await
            .expect(200);
        within("it is ready", async {
            served.get("/healthz").await.expect(200)
        })
        .await;
        assert!(handle.is_ready());
    }
}

#[test]
fn what_is_wrong_with_these_layers_is_said_at_once() {
    let gateway = prox::gateway! {
        with [BodyLimit::max(0)];
        "/a" => respond(200, "a") with [ErrorPages::on(200..=299, |_| "fine")],
        "/b" => respond(200, "b") with [Maintenance::when(&Switch::new()).except(IpRules::deny(["lan"]))],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    for (line, start) in lines.iter().zip([
        "`BodyLimit::max(0)` refuses every body",
        "route `/a`: `ErrorPages::on(200..=299, ..)` is not a range of errors",
        "route `/b`: `Maintenance::except`: `IpRules::deny`: \"lan\" is not a network",
    ]) {
        assert!(line.starts_with(start), "{error}");
    }
}
