//! What clients claim, and what they try to take away: in every spelling and every place, over both protocols.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::Empty;
use prox::{Handler, Next, Request, RequestExt, Response, middleware::RequestId};
use prox_tests::{
    client::{HyperClient, RequestBody, Speaks, body, head, read, text},
    gateway::Served,
    origin::{Origin, Reply, Seen},
    service::{Frames, data},
    wire::lines,
};

/// The names that the guide lists.
fn listed() -> Vec<String> {
    let guide = include_str!("../../prox/docs/clients.md");
    let (_, section) = guide
        .split_once("## What a client claims")
        .expect("the section is there");
    let (section, _) = section.split_once("\n## ").expect("a section after it");
    let table = section.lines().filter(|line| line.starts_with("| "));
    let cells = table.skip(1).filter_map(|line| line.split('|').nth(2));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.replace("-*", "-anything").replace('*', "-anything"))
        .collect()
}

fn spellings(name: &str) -> [String; 6] {
    [
        name.to_owned(),
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replace('-', ""),
        format!("!{}", name.replace('-', "~_")),
    ]
}

fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

const WRITTEN: [&str; 3] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];

/// What of these names arrived, but for the fields that the gateway writes once.
fn arrived(seen: &[String], claims: &[String]) -> BTreeSet<String> {
    let claims: BTreeSet<String> = claims.iter().map(|name| folded(name)).collect();
    let claimed = seen.iter().filter(|name| claims.contains(&folded(name)));
    claimed
        .filter(|name| !WRITTEN.contains(&name.as_str()))
        .cloned()
        .collect()
}

fn nothing() -> RequestBody {
    body(Empty::new())
}

async fn get_with(speaks: Speaks, gateway: &Served, names: &[String]) -> u16 {
    let mut client = HyperClient::speaking(speaks, gateway.address()).await;
    let mut request = speaks.request("/");
    for name in names {
        request = request.header(name, "evil");
    }
    let request = request.body(nothing()).expect("the parts of a request");
    client
        .send(request)
        .await
        .expect("an answer")
        .status()
        .into()
}

#[tokio::test]
async fn a_stranger_claims_nothing_in_any_spelling() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let listed = listed();
    assert!(listed.len() > 60, "{listed:?}");
    let all: Vec<String> = listed.iter().flat_map(|name| spellings(name)).collect();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        for names in all.chunks(50) {
            assert_eq!(get_with(speaks, &gateway, names).await, 200);
            let seen = origin.last().head.fields;
            let wrong = arrived(&seen.names(), names);
            assert!(wrong.is_empty(), "{speaks:?}: {wrong:?}");
            for (name, value) in WRITTEN.iter().zip(["127.0.0.1", "http", "gateway.test"]) {
                assert_eq!(seen.all(name), [value], "{speaks:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_stranger_claims_nothing_in_trailers() {
    async fn trailers(req: Request) -> String {
        let collected = http_body_util::BodyExt::collect(req.into_body()).await;
        let collected = collected.expect("a whole body");
        let names = collected.trailers().expect("trailers").keys();
        names.map(HeaderName::as_str).collect::<Vec<_>>().join(" ")
    }
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url, "/handler" => handler(trailers) };
    // In trailers nobody claims anything.
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    let all: Vec<String> = listed().iter().flat_map(|name| spellings(name)).collect();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        for path in ["/", "/handler"] {
            for names in all.chunks(40) {
                let mut fields = HeaderMap::new();
                for name in names {
                    let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
                    fields.append(name, HeaderValue::from_static("evil"));
                }
                fields.append("x-sum", HeaderValue::from_static("1"));
                fields.append("cookie", HeaderValue::from_static("a=1"));
                let announced = format!("{}, x-sum, cookie", names.join(", "));
                let frames = [data("hello"), Ok(Frame::trailers(fields))];
                let post = speaks
                    .request(path)
                    .method("POST")
                    .header("te", "trailers")
                    .header("trailer", announced)
                    .body(body(Frames(frames.into_iter())));
                let mut client = HyperClient::speaking(speaks, gateway.address()).await;
                let response = client.send(post.expect("a request")).await;
                let response = response.expect("an answer");
                assert_eq!(response.status(), 200, "{speaks:?} {path}");
                let seen = match path {
                    "/" => origin.last().body.trailers.names().join(" "),
                    _ => read(response).await,
                };
                assert_eq!(seen, "x-sum", "{speaks:?} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_claims_in_the_usual_spelling_alone() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    let sent = [
        "X-Real-IP",
        "X_Real_IP",
        "X-Forwarded-Port",
        "X_Forwarded-Port",
        "X-Forwarded_For",
        "Client-Cert",
        "ClientCert",
        "Forwarded",
    ];
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let sent: Vec<String> = sent.iter().map(ToString::to_string).collect();
        get_with(speaks, &gateway, &sent).await;
        let arrived = arrived(&origin.last().head.fields.names(), &sent);
        let arrived: Vec<&str> = arrived.iter().map(String::as_str).collect();
        assert_eq!(arrived, ["client-cert", "x-forwarded-port", "x-real-ip"]);
    }
}

#[tokio::test]
async fn a_claim_may_be_passed_on_by_name() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let pass = |server: prox::Server<prox::Gateway>| server.pass_claims(["X-Real-IP"]);
    let gateway = Served::with(gateway, pass).await;
    let sent = ["X-Real-IP", "x_real_ip", "X-Forwarded-Port"].map(String::from);
    get_with(Speaks::Http1, &gateway, &sent).await;
    let arrived = arrived(&origin.last().head.fields.names(), &sent);
    assert_eq!(arrived.into_iter().collect::<Vec<_>>(), ["x-real-ip"]);

    let server = prox::Server::new(prox::gateway! { "/" => respond(200, "") });
    let error = server
        .pass_claims(["x-real_ip", "x-other"])
        .via("a name")
        .check()
        .unwrap_err();
    let text = format!("{error:?}");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains(
        "pass_claims: \"x-real_ip\" is another spelling of a claim: write \"x-real-ip\""
    ));
}

/// Answers with the names of the fields that it sees.
async fn names(req: Request) -> String {
    let mut names: Vec<&str> = req.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}

const OF_THE_CONNECTION: &str = "Connection: keep-alive, X-Private, Upgrade\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
    Proxy-Connection: x\r\nProxy-Authorization: Basic eDp5\r\nProxy-Authenticate: x\r\nUpgrade: websocket\r\n\
    TE: gzip\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Stays: 1\r\n";

#[tokio::test]
async fn guards_layers_and_handlers_see_no_field_of_the_connection_and_no_claim() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let layer = {
        let seen = Arc::clone(&seen);
        move |req: Request, next: Next| {
            let names = req.headers().keys().map(ToString::to_string);
            seen.lock().unwrap().extend(names);
            next.run(req)
        }
    };
    let any = |names: &'static [&'static str]| {
        move |parts: &prox::Parts| names.iter().any(|name| parts.headers.contains_key(*name))
    };
    let hidden = any(&[
        "connection",
        "x-private",
        "keep-alive",
        "proxy-authorization",
        "upgrade",
        "te",
        "x-real-ip",
        "x_forwarded_for",
    ]);
    let gateway = prox::gateway! {
        with [layer];
        "/" if hidden => respond(500, "a guard sees what it must not"),
        "/" if header("x-forwarded-for").is("127.0.0.1") => handler(names),
        "/tower" => service(tower::service_fn(async |req: Request| {
            Ok::<_, std::convert::Infallible>(prox::IntoResponse::into_response(names(req).await))
        })),
    };
    let gateway = Served::start(gateway).await;
    let expected = "host x-forwarded-for x-forwarded-host x-forwarded-proto x-stays";
    for path in ["/", "/tower"] {
        let mut client = gateway.client().await;
        client.send(head("GET", path, OF_THE_CONNECTION)).await;
        let answer = client.response("GET").await.expect(200);
        assert_eq!(answer.text(), expected);
    }
    // The layer for every request sees the refused ones as well.
    let mut client = gateway.client().await;
    client.send(head("GET", "/../x", OF_THE_CONNECTION)).await;
    client.response("GET").await.expect(400);
    let seen: BTreeSet<String> = seen.lock().unwrap().drain(..).collect();
    assert_eq!(Vec::from_iter(seen).join(" "), expected);
}

/// Says who the user is.
async fn identify(mut req: Request, next: Next) -> Response {
    assert!(!req.headers().contains_key("x-user"), "a client's own");
    req.headers_mut()
        .insert("x-user", HeaderValue::from_static("alice"));
    req.headers_mut()
        .insert("x-forwarded-prefix", HeaderValue::from_static("/app"));
    next.run(req).await
}

fn is_whole(seen: &Seen) {
    let fields = &seen.head.fields;
    assert_eq!(fields.all("x-user"), ["alice"]);
    assert_eq!(fields.all("x-forwarded-prefix"), ["/app"]);
    assert_eq!(fields.all("x-request-id").len(), 1);
    assert_eq!(fields.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(fields.all("via"), ["1.1 edge"]);
}

#[tokio::test]
async fn a_client_takes_away_nothing_that_the_gateway_or_a_layer_sets() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url with [RequestId::new(), identify] };
    let gateway = Served::with(gateway, |server| server.via("edge")).await;
    for lines in [
        "Connection: close, X-User, X-Request-Id, X-Forwarded-For, X-Forwarded-Prefix, Via\r\n",
        "Connection: X-User\r\nConnection: x-request-id,x-forwarded-prefix\r\nX-User: mallory\r\n",
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", lines)).await;
        client.response("GET").await.expect(200);
        is_whole(&origin.last());
    }
}

/// Adds a field to what the upstream answers, which it notes.
async fn around(req: Request, next: Next) -> Response {
    let mut response = next.run(req).await;
    let seen = format!("{:?}", response.headers().get("x-private"));
    let headers = response.headers_mut();
    headers.insert("x-layer", HeaderValue::from_static("1"));
    headers.insert("x-seen", HeaderValue::try_from(seen).unwrap());
    response
}

/// Answers as a server of its own would.
struct Connected;

impl Handler for Connected {
    async fn call(&self, _: Request) -> Response {
        let mut response = Response::new(prox::Body::from("ok"));
        let headers = response.headers_mut();
        headers.append("connection", HeaderValue::from_static("X-Layer, x-mine"));
        headers.append("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.append("transfer-encoding", HeaderValue::from_static("chunked"));
        headers.append("x-mine", HeaderValue::from_static("1"));
        response
    }
}

#[tokio::test]
async fn an_answer_takes_away_nothing_that_a_layer_sets() {
    let fields = [("Connection", "X-Private, X-Layer"), ("X-Private", "1")];
    let origin = Origin::start(Reply::status(200, &fields, "ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [around],
        "/own" => Connected with [around],
    })
    .await;
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mut client = HyperClient::speaking(speaks, gateway.address()).await;
        for path in ["/", "/own"] {
            let get = speaks.request(path).body(nothing()).unwrap();
            let response = client.send(get).await.unwrap();
            let fields = response.headers();
            assert_eq!(fields["x-layer"], "1", "{speaks:?} {path}");
            for name in ["connection", "keep-alive", "transfer-encoding", "x-private"] {
                assert!(!fields.contains_key(name), "{speaks:?} {path} {name}");
            }
            // An upstream's list is applied before the layer, and a handler has none.
            assert_eq!(fields["x-seen"], "None", "{speaks:?} {path}");
            assert_eq!(fields.contains_key("x-mine"), path == "/own");
            assert_eq!(fields["content-length"], "2");
            assert_eq!(read(response).await, "ok");
        }
    }
}

#[tokio::test]
async fn a_guard_and_a_layer_know_of_an_upgrade() {
    async fn asked(req: Request) -> String {
        format!("{:?}", req.upgrade())
    }
    let gateway = prox::gateway! {
        "/" if header("upgrade").is("websocket") => handler(asked),
        "/" => respond(200, "plain"),
    };
    let gateway = Served::start(gateway).await;
    for (fields, said) in [
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\n",
            "Some(\"websocket\")",
        ),
        // This asks for nothing.
        ("Upgrade: websocket\r\n", "plain"),
        ("", "plain"),
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", fields)).await;
        assert_eq!(client.response("GET").await.expect(200).text(), said);
    }
}

#[tokio::test]
async fn a_request_has_one_length_written_anew() {
    async fn length(req: Request) -> String {
        format!(
            "{:?}",
            Vec::from_iter(req.headers().get_all("content-length"))
        )
    }
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url, "/own" => handler(length) }).await;
    for (speaks, lengths) in [
        (Speaks::Http1, &["0005"][..]),
        (Speaks::Http2, &["0005"]),
        (Speaks::Http2, &["5", "5"]),
        (Speaks::Http2, &["05", "5", "0000005"]),
    ] {
        for path in ["/", "/own"] {
            let mut post = speaks.request(path).method("POST");
            for length in lengths {
                post = post.header("content-length", *length);
            }
            let mut client = HyperClient::speaking(speaks, gateway.address()).await;
            let response = client
                .send(post.body(text("hello")).unwrap())
                .await
                .unwrap();
            assert_eq!(response.status(), 200, "{lengths:?}");
            if path == "/own" {
                assert_eq!(read(response).await, "[\"5\"]", "{lengths:?}");
            } else {
                let seen = origin.last();
                assert_eq!(seen.head.fields.all("content-length"), ["5"], "{lengths:?}");
                assert_eq!(seen.body.text(), "hello");
            }
        }
    }
    let refused = lines(["Content-Length: 5", "Content-Length: 5"]);
    let mut client = gateway.client().await;
    client.send(head("POST", "/", &refused) + "hello").await;
    client.response("POST").await.expect(400);
}

#[tokio::test]
async fn a_response_has_one_length_written_anew() {
    let origin = Origin::start(Reply::ok("")).await;
    let url = origin.endpoint();
    let streams = prox_tests::service::ServiceOrigin::start(Speaks::Http2, async |_| {
        let response = http::Response::builder()
            .header("content-length", "5")
            .header("content-length", "05");
        Ok(response.body(text("hello")).unwrap())
    })
    .await;
    let streamed = streams.endpoint();
    let own = |_: Request| async {
        let response = http::Response::builder()
            .header("content-length", "005")
            .header("content-length", "5");
        response.body(prox::Body::from("hello")).unwrap()
    };
    let gateway = Served::start(prox::gateway! {
        "/" => url,
        "/http2" => cluster(rr, [streamed]).http2(),
        "/own" => handler(own),
    })
    .await;
    for speaks in [Speaks::Http1, Speaks::Http2] {
        for path in ["/", "/http2", "/own"] {
            origin.once([Reply::new()
                .head(200, &[], "Content-Length: 0005")
                .write("hello")]);
            for method in ["HEAD", "GET"] {
                if (method, path) == ("HEAD", "/") {
                    continue;
                }
                let get = speaks.request(path).method(method).body(nothing()).unwrap();
                let mut client = HyperClient::speaking(speaks, gateway.address()).await;
                let response = client.send(get).await.unwrap();
                let lengths = response.headers().get_all("content-length");
                let lengths: Vec<_> = lengths.iter().collect();
                assert_eq!(lengths, ["5"], "{speaks:?} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn an_embedded_gateway_lets_a_stranger_claim_no_more() {
    use tower::ServiceExt as _;

    let origin = Origin::start(Reply::ok("ok")).await;
    let (url, same) = (origin.endpoint(), origin.endpoint());
    let plain = prox::gateway! { "/" => url with [identify] }.unwrap();
    let knowing = prox::Embed::new(prox::gateway! { "/" => same with [identify] })
        .pass_claims(["x-real-port"])
        .service()
        .unwrap();
    let post = || {
        let mut fields = HeaderMap::new();
        fields.append("x-sum", HeaderValue::from_static("1"));
        fields.append("x_real.ip", HeaderValue::from_static("6.6.6.6"));
        let frames = [data("hello"), Ok(Frame::trailers(fields))];
        Speaks::Http1
            .request("/")
            .method("POST")
            .header("connection", "close, X-User")
            .header("x-user", "mallory")
            .header("x-real-port", "1")
            .header("x_real_port", "2")
            .header("x-forwarded-server", "evil.test")
            .header("trailer", "x-sum, x_real.ip")
            .body(body(Frames(frames.into_iter())))
            .unwrap()
    };
    for known in [false, true] {
        let response = if known {
            knowing.clone().oneshot(post()).await.unwrap()
        } else {
            plain.clone().oneshot(post()).await.unwrap()
        };
        assert_eq!(response.status(), 200);
        let seen = origin.last();
        assert_eq!(seen.head.fields.all("x-user"), ["alice"]);
        assert_eq!(seen.lacks("x-real-port"), !known);
        assert!(seen.lacks("x_real_port") && seen.lacks("x-forwarded-server"));
        assert_eq!(seen.body.trailers.names(), ["x-sum"]);
    }
}
