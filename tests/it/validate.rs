//! `Validate` and `MapBody`, by clients of both protocols.

use std::collections::BTreeMap;

use prox::middleware::{MapBody, Validate};
use prox_tests::{
    client::{head, read},
    gateway::Served,
    origin::{Origin, Reply},
};
use serde::{Deserialize, Serialize};

use crate::{
    cors::{SPEAKS, send},
    edge_layers::post,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(rename = "items")]
    _items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(rename = "count")]
    _count: u32,
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// An order as the type has it, with another field.
const RIGHT: &str = " {\"items\" : [ {\"count\":1,\"x\":2} ]}\n";

#[tokio::test]
async fn only_bodies_of_the_type_reach_the_upstream_and_byte_by_byte() {
    let origin = Origin::start(Reply::ok("taken")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [Validate::json::<Order>().max(100)],
    })
    .await;
    for speaks in SPEAKS {
        for length in [true, false] {
            let before = origin.requests().len();
            let answer = post(speaks, &gateway, &[JSON, ("x-a", "1")], RIGHT, length).await;
            assert_eq!(answer.status(), 200, "{speaks:?} {length}");
            let seen = origin.last();
            assert_eq!(seen.body.text(), RIGHT);
            assert_eq!(seen.field("x-a"), Some("1"));
            for (fields, content, status) in [
                (&[JSON][..], "{\"items\": [{\"count\": \"secret\"}]}", 400),
                (&[JSON][..], "{\"items\": [], \"items\": []}", 400),
                (&[JSON][..], "{\"items\": [], \"secret\": 1}", 400),
                (&[JSON][..], "{\"items\": [", 400),
                (&[JSON][..], "", 400),
                (&[("content-type", "text/plain")][..], RIGHT, 415),
                (&[][..], RIGHT, 415),
                (&[JSON, ("content-encoding", "gzip")][..], RIGHT, 415),
                (
                    &[JSON][..],
                    concat!(
                        "{\"items\": [",
                        "{\"count\": 100000000}, {\"count\": 100000000},",
                        "{\"count\": 100000000}, {\"count\": 100000000}, {}]}"
                    ),
                    413,
                ),
            ] {
                let answer = post(speaks, &gateway, fields, content, length).await;
                assert_eq!(answer.status(), status, "{speaks:?} {length} {content}");
                let kind = answer.headers()["content-type"].clone();
                let problem = status == 400;
                assert_eq!(kind == "application/problem+json", problem, "{kind:?}");
                let text = read(answer).await;
                assert!(!text.contains("secret"), "{text}");
                assert_eq!(text.contains("\"line\":1"), problem, "{text}");
            }
            assert_eq!(origin.requests().len(), before + 1);
        }
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert_eq!(answer.status(), 200);
        let grpc = [("content-type", "application/grpc")];
        let answer = post(speaks, &gateway, &grpc, RIGHT, true).await;
        assert_eq!(answer.headers()["grpc-status"], "3");
        assert_eq!(answer.headers()["grpc-message"], "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_before_it_sends() {
    let origin = Origin::start(Reply::ok("taken")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [Validate::content_type(["application/json"]), Validate::json::<Order>()],
    })
    .await;
    for (lines, status) in [
        ("Content-Length: 7\r\nContent-Type: text/plain\r\n", 415),
        (
            "Content-Length: 2000000\r\nContent-Type: application/json\r\n",
            413,
        ),
    ] {
        let mut client = gateway.client().await;
        let lines = format!("{lines}Expect: 100-continue\r\n");
        client.send(head("POST", "/", &lines)).await;
        let answer = client.response("POST").await.expect(status);
        assert!(answer.interim.is_empty(), "{answer:?}");
    }
    assert_eq!(origin.accepted(), 0);
}

#[derive(Clone, Copy, Deserialize)]
struct Euros {
    price: f64,
}

#[derive(Serialize)]
struct Cents {
    cents: i64,
}

fn cents(euros: Euros) -> Cents {
    #[expect(clippy::cast_possible_truncation, reason = "prices are small")]
    let cents = (euros.price * 100.0).round() as i64;
    Cents { cents }
}

#[tokio::test]
async fn bodies_are_mapped_on_both_ways() {
    let fields = [JSON, ("etag", "\"a\""), ("x-a", "1")];
    let origin = Origin::start(Reply::status(200, &fields, "{\"price\": 2.5}")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [MapBody::request(cents), MapBody::response(cents)],
    })
    .await;
    for speaks in SPEAKS {
        for length in [true, false] {
            let digest = ("content-digest", "sha-256=:AA==:");
            let fields = [JSON, digest, ("accept-encoding", "gzip")];
            let answer = post(speaks, &gateway, &fields, "{\"price\": 1.25}", length).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-length"], "13");
            assert_eq!(answer.headers()["x-a"], "1");
            assert!(!answer.headers().contains_key("etag"));
            assert_eq!(read(answer).await, "{\"cents\":250}");
            let seen = origin.last();
            assert_eq!(seen.body.text(), "{\"cents\":125}");
            assert_eq!(seen.field("content-length"), Some("13"));
            assert_eq!(seen.field("accept-encoding"), Some("identity"));
            assert!(seen.lacks("content-digest") && seen.lacks("transfer-encoding"));
            let answer = post(speaks, &gateway, &[JSON], "{\"price\": true}", length).await;
            assert_eq!(answer.status(), 400);
        }
        let answer = send(speaks, &gateway, "HEAD", "/", &[]).await;
        assert_eq!(answer.status(), 200);
        assert!(!answer.headers().contains_key("content-length"));
        // What does not fit is not shown.
        origin.once([Reply::status(200, &[JSON], "{\"price\": \"secret\"}")]);
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert_eq!(answer.status(), 502);
        assert!(!read(answer).await.contains("secret"));
        origin.once([Reply::status(404, &[JSON], "{\"error\": 1}")]);
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert_eq!(
            (answer.status().as_u16(), &*read(answer).await),
            (404, "{\"error\": 1}")
        );
    }
}

#[test]
fn mistakes_keep_a_gateway_from_starting() {
    let gateway = prox::gateway! {
        "/a" => "http://127.0.0.1:9" with [Validate::content_type(["json"])],
        "/b" => "http://127.0.0.1:9" with [Validate::json::<BTreeMap<String, u8>>().max(0)],
        "/c" => "http://127.0.0.1:9" with [MapBody::request(cents).max(0)],
    };
    let error = gateway.expect_err("it has mistakes").to_string();
    for part in [
        "route `/a`: `Validate::content_type`: \"json\" is not a media type",
        "route `/b`: `Validate::max(0)` refuses every body",
        "route `/c`: `MapBody::max(0)` refuses every body",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}
