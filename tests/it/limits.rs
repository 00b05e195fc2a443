//! Limits of rate and of requests at once, by clients of every protocol.

use std::time::Duration;

use http_body_util::BodyExt;
use prox::{
    Failure, Parts, Principal,
    dsl::{param, route},
    middleware::{Authenticate, InFlight, Rate, RateLimit, Verdict},
};
use prox_tests::{
    client::{HyperClient, Speaks, body, head},
    gateway::Served,
    log::{Line, Log},
    origin::{Origin, Reply},
    table,
    wait::{Gate, eventually, within},
};
use serde::Deserialize;

use crate::{
    cors::{SPEAKS, send},
    trusted::client_at,
    upgrade_http2,
    upgrades::{Upstream, WEBSOCKET},
};

#[tokio::test]
async fn clients_of_every_protocol_share_a_bucket_and_are_told() {
    let gateway = Served::start(prox::gateway! {
        let limit = RateLimit::per_hour(3).and(Rate::per_day(100)).name("api").legacy_headers();
        "/" => respond(200, "ok") with [limit],
    })
    .await;
    let grpc = [("content-type", "application/grpc")];
    for (speaks, fields, left) in [
        (Speaks::Http1, &[][..], "2"),
        (Speaks::Http2, &[], "1"),
        (Speaks::Http2, &grpc, "0"),
    ] {
        let answer = send(speaks, &gateway, "POST", "/", fields).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-ratelimit-remaining"], left);
    }
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert_eq!(answer.status(), 429);
        let headers = answer.headers();
        assert_eq!(headers["retry-after"], "1200");
        assert_eq!(
            headers["ratelimit-policy"],
            "\"api-3600s\";q=3;w=3600, \"api-86400s\";q=100;w=86400"
        );
        let left = headers["ratelimit"].to_str().expect("a text");
        assert!(
            left.starts_with("\"api-3600s\";r=0;t=1200, \"api-86400s\";r=97;t="),
            "{left}"
        );
        let answer = send(speaks, &gateway, "POST", "/", &grpc).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["grpc-status"], "8");
        assert_eq!(answer.headers()["grpc-message"], "rate_limited");
        let body = answer.into_body().collect().await.expect("a body");
        assert!(body.to_bytes().is_empty());
    }
}

/// Believes what a field says, as no authenticator should.
struct Caller;

impl Authenticate for Caller {
    async fn authenticate(&self, req: &mut Parts) -> Verdict {
        let name = req
            .headers
            .get("x-caller")
            .and_then(|name| name.to_str().ok());
        match name {
            Some(name) => {
                Verdict::Admitted(Principal::new("field", name).with_claim("plan", "gold"))
            }
            None => Verdict::Absent,
        }
    }

    fn challenge(&self) -> Option<http::HeaderValue> {
        None
    }
}

#[tokio::test]
async fn keys_are_written_in_a_gateway() {
    let gateway = Served::start(prox::gateway! {
        let each = RateLimit::per_hour(1).by((client_ip().ipv6(56), route()));
        "/t/{tenant}" with [RateLimit::per_hour(1).by(param("tenant"))] {
            "/a" => respond(200, "a"),
            "/b" => respond(200, "b"),
        }
        "/r" with [each] {
            "/a" => respond(200, "a"),
            "/b" => respond(200, "b"),
        }
        "/h" with [Caller] {
            "/" => respond(200, "h") with [RateLimit::per_hour(1).by(header("x-key"))],
            "/who" => respond(200, "who") with [RateLimit::per_hour(1).by(principal())],
            "/plan" => respond(200, "plan") with [RateLimit::per_hour(1).by((route(), claim("plan")))],
        }
    })
    .await;
    let mut client = client_at(7, gateway.address()).await;
    for (target, status) in [
        ("/t/acme/a", 200),
        ("/t/acme/b", 429),
        ("/t/other/b", 200),
        ("/r/a", 200),
        ("/r/b", 200),
        ("/r/a", 429),
    ] {
        client.get(target).await.expect(status);
    }
    for (target, fields, status) in [
        ("/h", "X-Caller: ada", 200),
        ("/h", "X-Caller: bob", 429),
        ("/h", "X-Caller: ada\r\nX-Key: a", 200),
        ("/h/who", "X-Caller: ada", 200),
        ("/h/who", "X-Caller: bob", 200),
        ("/h/who", "X-Caller: ada", 429),
        ("/h/plan", "X-Caller: ada", 200),
        ("/h/plan", "X-Caller: bob", 429),
    ] {
        client
            .send(head("GET", target, &format!("{fields}\r\n")))
            .await;
        client.response("GET").await.expect(status);
    }
    client_at(8, gateway.address())
        .await
        .get("/r/a")
        .await
        .expect(200);
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    one: String,
    other: String,
    #[serde(default)]
    one_fields: Vec<[String; 2]>,
    #[serde(default)]
    other_fields: Vec<[String; 2]>,
    same: bool,
}

#[tokio::test]
async fn a_client_cannot_write_one_key_in_two_ways() {
    let Cases { case: cases } = table::load("client_keys.toml");
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for speaks in SPEAKS {
        for case in &cases {
            let about = format!("{speaks:?}: {}", case.about);
            let gateway = Served::start(prox::gateway! {
                "/ip" => respond(200, "ip") with [RateLimit::per_hour(1)],
                "/param/{tenant}" => respond(200, "param") with [RateLimit::per_hour(1).by(param("tenant"))],
                "/route/{id}" => respond(200, "route") with [RateLimit::per_hour(1).by(route())],
                "/" with [Caller] {
                    "/who" => respond(200, "who") with [RateLimit::per_hour(1).by(principal())],
                    "/query" => respond(200, "query") with [RateLimit::per_hour(1).by(query("key"))],
                    "/header" => respond(200, "header") with [RateLimit::per_hour(1).by(header("x-key"))],
                    "/cookie" => respond(200, "cookie") with [RateLimit::per_hour(1).by(cookie("key"))],
                }
            })
            .await;
            for (target, own, status) in [
                (&case.one, &case.one_fields, 200),
                (
                    &case.other,
                    &case.other_fields,
                    if case.same { 429 } else { 200 },
                ),
            ] {
                let mut fields: Vec<(&str, &str)> = Vec::new();
                fields.extend(own.iter().map(|[name, value]| (&**name, &**value)));
                if !fields.iter().any(|(name, _)| *name == "x-caller") {
                    fields.push(("x-caller", "ada"));
                }
                let answer = send(speaks, &gateway, "GET", target, &fields).await;
                if answer.status() != status {
                    wrong.push(format!("{about}: {target}: {}", answer.status()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_an_upstream_tells_is_charged_and_kept_from_the_client() {
    let origin = Origin::start(Reply::status(
        200,
        &[("x-tokens", "60"), ("x-other", "1")],
        "ok",
    ))
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [RateLimit::per_hour(100).charge_header("x-tokens")],
    })
    .await;
    for (speaks, left) in [(Speaks::Http1, "39"), (Speaks::Http2, "0")] {
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert_eq!(answer.status(), 200);
        let told = answer.headers()["ratelimit"].to_str().expect("a text");
        assert!(
            told.starts_with(&format!("\"default\";r={left};")),
            "{told}"
        );
        assert!(!answer.headers().contains_key("x-tokens"));
        assert_eq!(answer.headers()["x-other"], "1");
    }
    // It owes, and nothing reaches the upstream.
    gateway.get("/").await.expect(429);
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_websocket_is_limited_before_it_begins() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [RateLimit::per_hour(1)],
    })
    .await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    upstream.switch().await;
    assert_eq!(client.response_head().await.status, 101);
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    client.response("GET").await.expect(429);
    let mut sender = upgrade_http2::client(&gateway).await;
    let answer = upgrade_http2::send(&mut sender, upgrade_http2::extended("websocket")).await;
    assert_eq!(answer.status(), 429);
}

#[tokio::test]
async fn a_place_is_held_until_the_response_has_ended() {
    let gate = Gate::new();
    let reply = Reply::new()
        .head(200, &[("content-type", "text/plain")], "Content-Length: 4")
        .write("ab")
        .wait(&gate)
        .write("cd");
    let origin = Origin::start(reply).await;
    let url = origin.endpoint();
    let log = Log::new();
    let lines = log.layer();
    let gateway = Served::start(prox::gateway! {
        with [lines];
        "/" => url with [InFlight::max(1)],
    })
    .await;
    for speaks in SPEAKS {
        // As soon as whatever was before has left.
        let (client, first) = within("a place", entered(speaks, &gateway)).await;
        for other in SPEAKS {
            let answer = send(other, &gateway, "GET", "/", &[]).await;
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers()["retry-after"], "1");
            let fields = [("content-type", "application/grpc")];
            let answer = send(other, &gateway, "POST", "/", &fields).await;
            assert_eq!(answer.headers()["grpc-status"], "8");
            let name = Failure::TooManyInFlight.name();
            assert_eq!(answer.headers()["grpc-message"], name);
        }
        // The client leaves in the middle of the body.
        drop(first);
        client.leave();
    }
    // Nor does one that has its response hold a place.
    gate.open();
    for speaks in SPEAKS {
        let (_client, response) = within("a place", entered(speaks, &gateway)).await;
        let body = response.into_body().collect().await.expect("a body");
        assert_eq!(body.to_bytes(), "abcd");
        assert_eq!(send(speaks, &gateway, "GET", "/", &[]).await.status(), 200);
    }
    let told = |line: &Line| line.error_type() == Some("too_many_in_flight");
    eventually("a line tells of it", || log.so_far().iter().any(told)).await;
}

/// A response with a place, and the client that has it.
async fn entered(
    speaks: Speaks,
    gateway: &Served,
) -> (HyperClient, http::Response<hyper::body::Incoming>) {
    loop {
        let mut client = HyperClient::speaking(speaks, gateway.address()).await;
        let request = speaks.request("/");
        let request = request.body(body(http_body_util::Empty::new()));
        let response = client.send(request.expect("a request")).await;
        let response = response.expect("a head");
        if response.status() == 200 {
            return (client, response);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_tunnel_holds_its_place_until_it_ends() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [InFlight::max(1).by(client_ip())],
    })
    .await;
    let mut client = gateway.client().await;
    client.send(head("GET", "/chat", WEBSOCKET)).await;
    let (_, server) = upstream.switch().await;
    assert_eq!(client.response_head().await.status, 101);
    let refused = gateway.get("/").await.expect(429);
    assert_eq!(refused.field("retry-after"), Some("1"));
    drop((client, server));
    let answered = async {
        loop {
            let mut next = gateway.client().await;
            next.send(head("GET", "/chat", WEBSOCKET)).await;
            tokio::select! {
                (_, server) = upstream.switch() => break (next, server),
                _ = next.any_head() => {}
            }
        }
    };
    within("the place is free", answered).await;
}

#[test]
fn what_is_wrong_with_limits_is_said_at_once_with_the_routes() {
    let gateway = prox::gateway! {
        with [InFlight::max(0)];
        "/a" => respond(200, "a") with [RateLimit::per_second(5).cost(6)],
        "/b" => respond(200, "b") with [RateLimit::per_second(5).by(param("{id}"))],
        "/c/{id}" => respond(200, "c") with [InFlight::max(5).by((param("id"), param("tenant")))],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    for (line, start) in lines.iter().zip([
        "`InFlight::max(0)` lets no request through",
        "route `/a`: `RateLimit`: `.cost(6)` is above a bucket of 5",
        "route `/b`: `RateLimit::by`: \"{id}\" is not the name of a parameter: write `param(\"id\")`",
        "route `/c/{id}`: `InFlight::by`: the path has no `{tenant}`",
    ]) {
        assert!(line.starts_with(start), "{error}");
    }
}

#[tokio::test]
async fn the_same_path_on_two_hosts_is_two_routes() {
    let each = RateLimit::per_hour(1).by(route());
    let other = each.clone();
    let gateway = Served::start(prox::gateway! {
        host "a.test" with [each] { "/" => respond(200, "a") }
        host "b.test" with [other] { "/" => respond(200, "b") }
    })
    .await;
    let mut client = gateway.client().await;
    for (host, status) in [("a.test", 200), ("b.test", 200), ("a.test", 429)] {
        client
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        client.response("GET").await.expect(status);
    }
}
