//! What of a message passes, and how it is changed: tables that run through a gateway.

use std::collections::BTreeMap;

use prox_tests::{
    client::{RawClient, get, head},
    gateway::Served,
    origin::{Origin, Reply},
    table,
    wire::lines,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Headers {
    request: Vec<Case>,
    response: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    about: String,
    sends: Vec<String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    preserve_host: bool,
    #[serde(default)]
    trusted: bool,
    #[serde(default)]
    forwarded: bool,
    gets: Vec<String>,
    #[serde(default)]
    arrives: Option<String>,
}

/// The values of each name, in order.
type Values = BTreeMap<String, Vec<String>>;

fn values<'l>(lines: impl Iterator<Item = &'l str>) -> Values {
    let mut all = Values::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        all.entry(name.to_ascii_lowercase())
            .or_default()
            .push(value.trim().to_owned());
    }
    all
}

/// The fields of a raw head, but for those that only matter when they are expected.
fn fields(raw: &[u8], expected: &Values, optional: &[&str]) -> Values {
    // A byte is a character, as it is in the tables.
    let text: String = raw.iter().map(|&byte| char::from(byte)).collect();
    let mut all = values(text.split("\r\n").skip(1).filter(|line| !line.is_empty()));
    all.retain(|name, _| expected.contains_key(name) || !optional.contains(&name.as_str()));
    all
}

#[tokio::test]
async fn the_fields_of_a_request_pass_as_the_table_says() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let (plain, kept, named) = (origin.endpoint(), origin.endpoint(), origin.endpoint());
    let gateway = prox::gateway! {
        "/x"     => plain,
        "/kept"  => cluster(rr, [kept]).preserve_host().rewrite("/x"),
        "/named" => cluster(rr, [named]).forwarded().rewrite("/x"),
    };
    let gateway = gateway.unwrap();
    let strangers = Served::start(gateway.clone()).await;
    let trusting = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.0/8"])).await;
    let mut wrong = Vec::new();
    for case in table::load::<Headers>("headers.toml").request {
        let gateway = if case.trusted { &trusting } else { &strangers };
        let target = match (case.preserve_host, case.forwarded) {
            (true, _) => "/kept",
            (_, true) => "/named",
            _ => "/x",
        };
        let host = case.host.as_deref().unwrap_or("gateway.test");
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n{}",
            lines(&case.sends),
            case.body
        );
        let mut client = gateway.client().await;
        client.send(table::bytes(&request)).await;
        let status = client.response("POST").await.status;
        let expected = case
            .gets
            .iter()
            .map(|line| line.replace("{upstream}", &origin.address().to_string()));
        let expected: Vec<String> = expected.collect();
        let expected = values(expected.iter().map(String::as_str));
        let optional = [
            "host",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "content-length",
        ];
        let seen = origin.last();
        let got = fields(&seen.head.raw, &expected, &optional);
        if status != 200 || got != expected {
            wrong.push(format!(
                "{}: {status}, {got:#?} instead of {expected:#?}",
                case.about
            ));
        }
        if case
            .arrives
            .as_ref()
            .is_some_and(|body| *body != seen.body.text())
        {
            wrong.push(format!("{}: the body {:?} arrived", case.about, seen.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_fields_of_a_response_pass_as_the_table_says() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut wrong = Vec::new();
    for case in table::load::<Headers>("headers.toml").response {
        let (length, body) = match case.body.as_str() {
            "" => ("Content-Length: 5\r\n", "hello"),
            body => ("", body),
        };
        let response = format!(
            "HTTP/1.1 200 OK\r\n{}{length}\r\n{body}",
            lines(&case.sends)
        );
        origin.once([Reply::new().write(table::bytes(&response))]);
        let mut client = gateway.client().await;
        let answer = client.get("/").await;
        let expected = values(case.gets.iter().map(String::as_str));
        let got = fields(&answer.head.raw, &expected, &["content-length", "date"]);
        if answer.status != 200 || got != expected || answer.text() != "hello" {
            wrong.push(format!(
                "{}: {answer:?} instead of {expected:#?}",
                case.about
            ));
        }
        client.get("/the-connection-is-well").await.expect(200);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(Deserialize)]
struct Paths {
    case: Vec<PathCase>,
}

#[derive(Deserialize)]
struct PathCase {
    target: String,
    upstream: Option<String>,
}

#[tokio::test]
async fn paths_are_forwarded_as_the_table_says() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut wrong = Vec::new();
    for case in table::load::<Paths>("paths.toml").case {
        let before = origin.count();
        let mut client = gateway.client().await;
        client
            .send(table::bytes(&head("GET", &case.target, "")))
            .await;
        let status = client.response("GET").await.status;
        let went = (origin.count() > before).then(|| origin.last().target().to_owned());
        let expected = if case.upstream.is_some() { 200 } else { 400 };
        if status != expected || went != case.upstream {
            wrong.push(format!(
                "{:?}: {status}, {went:?} instead of {:?}",
                case.target, case.upstream
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_is_matched_is_what_is_forwarded() {
    let (inner, outer) = (
        Origin::start(Reply::ok("inner")).await,
        Origin::start(Reply::ok("outer")).await,
    );
    let (private, public) = (inner.endpoint(), outer.endpoint());
    let gateway = Served::start(prox::gateway! { "/admin" => private, "/" => public }).await;
    for target in ["/admin", "/%61dmin", "/x/../admin", "/x/%2e%2e/%61dmin/"] {
        assert_eq!(
            gateway.get(target).await.expect(200).text(),
            "inner",
            "{target}"
        );
        assert!(inner.last().target().starts_with("/admin"));
    }
    assert_eq!(
        gateway.get("/admin/../public").await.expect(200).text(),
        "outer"
    );
    assert_eq!(outer.last().target(), "/public");
}

#[tokio::test]
async fn a_route_may_take_encoded_slashes() {
    let origin = Origin::start(Reply::ok("")).await;
    let (objects, url) = (origin.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        "/objects/{name}" => cluster(rr, [objects]).encoded_slashes(),
        "/" => url,
    })
    .await;
    gateway.get("/objects/a%2fb").await.expect(200);
    assert_eq!(origin.last().target(), "/objects/a%2Fb");
    for target in [
        "/objects/..%2fadmin",
        "/objects/a%2f..%2fb",
        "/objects%2fa",
        "/a%2fb",
        "/objects/a%2fb/c/../../%2e%2e%2f",
    ] {
        gateway.get(target).await.expect(400);
    }
    assert_eq!(origin.count(), 1);
}

#[tokio::test]
async fn the_base_path_of_an_upstream_comes_before_every_path() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let base: prox::Endpoint = format!("{}/base/", origin.url()).parse().unwrap();
    let gateway = Served::start(prox::gateway! { "/" => base }).await;
    for (target, upstream) in [
        ("/", "/base/"),
        ("/a?b=c", "/base/a?b=c"),
        ("/a/../b", "/base/b"),
    ] {
        gateway.get(target).await.expect(200);
        assert_eq!(origin.last().target(), upstream);
    }
    gateway.get("/../a").await.expect(400);
}

#[tokio::test]
async fn the_method_passes_whatever_it_is() {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for method in [
        "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PURGE", "M-SEARCH", "get",
    ] {
        let mut client = gateway.client().await;
        client.request(method, "/").await;
        client.response(method).await.expect(200);
        assert_eq!(origin.last().method(), method);
    }
}

#[tokio::test]
async fn who_asks_about_the_way_is_told_where_it_ends() {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    let mut ask = async |method: &str, left: &str| {
        let line = format!("Max-Forwards: {left}\r\n");
        client.send(head(method, "/", &line)).await;
        client.response(method).await
    };
    for method in ["OPTIONS", "TRACE"] {
        ask(method, "2").await.expect(200);
        assert_eq!(origin.last().field("max-forwards"), Some("1"));
    }
    ask("GET", "0").await.expect(200);
    assert_eq!(origin.last().field("max-forwards"), Some("0"));
    assert_eq!(origin.count(), 3);
    assert_eq!(ask("OPTIONS", "0").await.expect(200).text(), "");
    assert_eq!(
        ask("TRACE", "0").await.expect(405).field("allow"),
        Some("OPTIONS")
    );
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn every_status_passes() {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    for status in [
        200, 201, 206, 299, 301, 400, 401, 404, 418, 429, 451, 500, 502, 503, 504, 599, 999,
    ] {
        origin.once([Reply::status(status, &[("X-From", "origin")], "body")]);
        let answer = gateway.get("/").await.expect(status);
        assert_eq!(
            (answer.field("x-from"), answer.text().as_str()),
            (Some("origin"), "body")
        );
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_needs_no_host() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = RawClient::connect(gateway.address()).await;
    client
        .send("GET / HTTP/1.0\r\nX-Forwarded-Host: evil.test\r\n\r\n")
        .await;
    client.response("GET").await.expect(200);
    client.closed().await;
    let seen = origin.last();
    assert_eq!(seen.head.start, "GET / HTTP/1.1");
    assert_eq!(
        seen.field("host"),
        Some(origin.address().to_string().as_str())
    );
    assert!(seen.lacks("x-forwarded-host"));
}

#[tokio::test]
async fn no_field_of_one_request_leaks_into_the_next() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client
        .send(head(
            "GET",
            "/",
            "X-Secret: 1\r\nAuthorization: Bearer x\r\n",
        ))
        .await;
    client.response("GET").await.expect(200);
    client.get("/").await.expect(200);
    assert!(origin.last().lacks("x-secret") && origin.last().lacks("authorization"));
    get(gateway.address(), "/").await.expect(200);
    assert_eq!(origin.accepted(), 1);
}
