//! Methods beyond the nine: which route takes them, `Allow`, and preflights.

use prox::middleware::Cors;
use prox_tests::{
    client::{Answer, RawClient, head},
    gateway::Served,
};

prox::gateway! {
    struct Dav;

    let cors = Cors::origins(["https://shop.test"]);

    PROPFIND | REPORT "/dav" => respond(200, "dav"),
    GET "/dav" => respond(200, "page"),
    "INVALIDATE" | PURGE "/cache" => respond(200, "cache"),
    "/any" => respond(200, "any"),
    "/notes" with [cors] {
        GET "/" => respond(200, "notes"),
        PROPFIND | "X-OWN" "/" => respond(200, "own"),
    }

    expect PROPFIND "/dav/x" => 200;
    expect "INVALIDATE" "/dav" => 405;
}

async fn send(client: &mut RawClient, method: &str, target: &str, lines: &str) -> Answer {
    client.send(head(method, target, lines)).await;
    client.response(method).await
}

#[tokio::test]
async fn a_route_takes_the_methods_that_it_names_and_allow_lists_them() {
    let gateway = Served::start(Dav::new()).await;
    let mut client = gateway.client().await;
    for (method, target, text) in [
        ("PROPFIND", "/dav/x", "dav"),
        ("REPORT", "/dav", "dav"),
        ("GET", "/dav", "page"),
        ("INVALIDATE", "/cache", "cache"),
        ("PURGE", "/cache/x", "cache"),
        ("BREW", "/any", "any"),
        ("PROPFIND", "/any", "any"),
    ] {
        let answer = send(&mut client, method, target, "").await.expect(200);
        assert_eq!(answer.text(), text, "{method} {target}");
    }
    for (method, target, allow) in [
        ("QUERY", "/dav", "GET, HEAD, PROPFIND, REPORT"),
        ("propfind", "/dav", "GET, HEAD, PROPFIND, REPORT"),
        ("PURGE", "/dav", "GET, HEAD, PROPFIND, REPORT"),
        ("GET", "/cache", "INVALIDATE, PURGE"),
        ("HEAD", "/cache", "INVALIDATE, PURGE"),
    ] {
        let answer = send(&mut client, method, target, "").await.expect(405);
        assert_eq!(answer.field("allow"), Some(allow), "{method} {target}");
    }
}

#[tokio::test]
async fn a_preflight_asks_for_a_method_beyond_the_nine() {
    let gateway = Served::start(Dav::new()).await;
    let mut client = gateway.client().await;
    let ask = |method: &str| {
        format!("Origin: https://shop.test\r\nAccess-Control-Request-Method: {method}\r\n")
    };
    let answer = send(&mut client, "OPTIONS", "/notes", &ask("PROPFIND")).await;
    let answer = answer.expect(204);
    assert_eq!(
        answer.field("access-control-allow-methods"),
        Some("GET, HEAD, PROPFIND, X-OWN")
    );
    let answer = send(&mut client, "OPTIONS", "/notes", &ask("REPORT")).await;
    let answer = answer.expect(405);
    assert_eq!(answer.field("access-control-allow-methods"), None);
}

#[test]
fn explain_names_them() {
    let shown = Dav::explain("PURGE", "/dav").to_string();
    assert!(
        shown.contains("405: the path takes GET, HEAD, PROPFIND, REPORT"),
        "{shown}"
    );
    let taken = Dav::explain("INVALIDATE", "/cache/1");
    assert_eq!(taken.route().unwrap().path, "/cache");
}
