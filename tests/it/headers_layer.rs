//! `Headers`: what upstreams and clients get, by both protocols.

use prox::middleware::{Headers, RequestId};
use prox_tests::{
    gateway::Served,
    origin::{Origin, Reply},
};

use crate::cors::{SPEAKS, send};

#[tokio::test]
async fn fields_are_changed_on_the_way_up_and_on_the_way_down() {
    let fields = [
        ("server", "app/1.0"),
        ("x-inside", "10.0.0.1"),
        ("x-old", "1"),
    ];
    let origin = Origin::start(Reply::status(200, &fields, "ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        let up = Headers::request()
            .set("x-tenant", "{tenant}")
            .set("x-from", "{client_ip} by {host} as {request_id}")
            .default("accept", "*/*")
            .remove("x-debug")
            .rename("x-old", "x-new");
        let down = Headers::response().remove("x-inside").set("server", "edge").rename("x-old", "x-new").add("x-for", "{tenant}");
        with [RequestId::new()];
        "/v1/{tenant}" => url with [down, up],
    })
    .await;
    for speaks in SPEAKS {
        let sent = [("x-tenant", "evil"), ("x-debug", "1"), ("x-old", "2")];
        let answer = send(speaks, &gateway, "GET", "/v1/acme/orders", &sent).await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers();
        assert_eq!(
            (&headers["server"], &headers["x-new"]),
            (
                &"edge".parse().expect("a value"),
                &"1".parse().expect("a value")
            )
        );
        assert_eq!(headers["x-for"], "acme");
        assert!(!headers.contains_key("x-inside") && !headers.contains_key("x-old"));
        let seen = origin.last();
        assert_eq!(seen.head.fields.all("x-tenant"), ["acme"]);
        assert_eq!(seen.field("accept"), Some("*/*"));
        assert_eq!(seen.field("x-new"), Some("2"));
        assert!(seen.lacks("x-debug") && seen.lacks("x-old"));
        let from = seen.field("x-from").expect("it is written");
        assert!(from.starts_with("127.0.0.1 by gateway.test as "), "{from}");
    }
}

#[test]
fn what_is_wrong_with_rules_is_said_at_once_with_the_routes() {
    let gateway = prox::gateway! {
        with [Headers::response().set("connection", "close")];
        "/a/{id}" => respond(200, "a") with [Headers::request().set("x-a", "{tenant}")],
        "/b" => respond(200, "b") with [Headers::request().set("x-b", "{claim:tenant}")],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    for part in [
        "`Headers::response`: `connection` frames the message or belongs to the connection",
        "route `/a/{id}`: `Headers::request`: the path has no `{tenant}`",
        "route `/b`: ",
        "no authenticator before this layer",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}
