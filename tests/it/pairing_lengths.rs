//! The same lengths, empty bodies, interim responses and expectations, whatever is spoken on either side.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use prox_tests::{
    client::{HyperClient, RawClient, Speaks, body, head, text},
    gateway::Served,
    origin::{Origin, Reply},
    service::{Frames, ServiceOrigin, data},
    wire::End,
};

const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// What an upstream answers to a request, and what is left of it for the client.
#[derive(Clone, Copy, Debug)]
struct Case {
    method: &'static str,
    status: u16,
    /// The `Content-Length` that the upstream sends.
    sent: Option<&'static str>,
    /// The content; it has a length only if the upstream sends one.
    content: &'static str,
    /// The `Content-Length` that the client gets.
    got: Option<&'static str>,
}

const fn case(
    method: &'static str,
    status: u16,
    sent: Option<&'static str>,
    content: &'static str,
    got: Option<&'static str>,
) -> Case {
    Case {
        method,
        status,
        sent,
        content,
        got,
    }
}

const CASES: [Case; 15] = [
    case("GET", 200, Some("5"), "hello", Some("5")),
    case("GET", 200, None, "hello", None),
    case("GET", 200, Some("0"), "", Some("0")),
    case("POST", 201, Some("0"), "", Some("0")),
    case("HEAD", 200, Some("9757"), "", Some("9757")),
    case("HEAD", 200, Some("0"), "", Some("0")),
    case("HEAD", 200, None, "", None),
    case("GET", 304, Some("9757"), "", Some("9757")),
    case("GET", 304, Some("0"), "", Some("0")),
    case("GET", 304, None, "", None),
    case("HEAD", 304, Some("9757"), "", Some("9757")),
    case("GET", 204, Some("0"), "", None),
    case("GET", 204, None, "", None),
    case("GET", 205, Some("0"), "", Some("0")),
    case("GET", 404, Some("5"), "hello", Some("5")),
];

/// An upstream of HTTP/1.1, which is given a reply for each request.
async fn raw() -> Origin {
    Origin::start(Reply::ok("")).await
}

fn reply(case: &Case) -> Reply {
    let length = case.sent.map(|length| format!("Content-Length: {length}"));
    let bodiless = case.method == "HEAD" || matches!(case.status, 204 | 304);
    match length {
        None if bodiless => Reply::new().head(case.status, &[], ""),
        None => Reply::chunks(&[], &[case.content], &[]),
        Some(length) => Reply::new()
            .head(case.status, &[], &length)
            .write(case.content),
    }
}

/// An upstream of HTTP/2 that answers as the case says of which the path has the number.
async fn streams() -> ServiceOrigin {
    ServiceOrigin::start(Speaks::Http2, async |request: Request<Incoming>| {
        let number: usize = request.uri().path()[1..].parse().unwrap();
        let case = CASES[number];
        let mut response = Response::builder().status(case.status);
        if let Some(length) = case.sent {
            response = response.header("content-length", length);
        }
        Ok(match (case.content, case.sent) {
            ("", _) => response.body(body(Empty::new())),
            (content, Some(_)) => response.body(text(content)),
            (content, None) => response.body(body(Frames([data(content)].into_iter()))),
        }
        .unwrap())
    })
    .await
}

async fn ask(
    client: &mut HyperClient,
    front: Speaks,
    method: &str,
    path: &str,
) -> Response<Incoming> {
    let request = front
        .request(path)
        .method(method)
        .body(body(Empty::new()))
        .unwrap();
    client.send(request).await.expect("an answer")
}

#[tokio::test]
async fn lengths_are_the_same_in_every_pairing() {
    let (old, new) = (raw().await, streams().await);
    let (http1, http2) = (old.endpoint(), new.endpoint());
    let to_http1 = Served::start(prox::gateway! { "/" => http1 }).await;
    let to_http2 = Served::start(prox::gateway! { "/" => cluster(rr, [http2]).http2() }).await;
    for front in BOTH {
        for (back, gateway) in [(Speaks::Http1, &to_http1), (Speaks::Http2, &to_http2)] {
            // One connection for all of them: whoever miscounts one is out of step with the next.
            let mut client = HyperClient::speaking(front, gateway.address()).await;
            for (number, case) in CASES.iter().enumerate() {
                if back == Speaks::Http1 {
                    old.once([reply(case)]);
                }
                let path = format!("/{number}");
                let response = ask(&mut client, front, case.method, &path).await;
                let name = format!("{front:?} to {back:?}: {case:?}");
                assert_eq!(response.status().as_u16(), case.status, "{name}");
                let lengths = response.headers().get_all("content-length").iter();
                let lengths: Vec<&str> = lengths.map(|one| one.to_str().unwrap()).collect();
                assert_eq!(lengths, Vec::from_iter(case.got), "{name}");
                let content = response.into_body().collect().await.expect(&name);
                assert_eq!(content.to_bytes(), case.content, "{name}");
            }
        }
    }
    assert_eq!((old.accepted(), new.accepted()), (1, 1));
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_same_lengths_and_no_chunks() {
    let (old, new) = (raw().await, streams().await);
    let (http1, http2) = (old.endpoint(), new.endpoint());
    let to_http1 = Served::start(prox::gateway! { "/" => http1 }).await;
    let to_http2 = Served::start(prox::gateway! { "/" => cluster(rr, [http2]).http2() }).await;
    for gateway in [&to_http1, &to_http2] {
        for (number, case) in CASES.iter().enumerate() {
            if gateway.address() == to_http1.address() {
                old.once([reply(case)]);
            }
            let mut client = RawClient::connect(gateway.address()).await;
            let request = format!(
                "{} /{number} HTTP/1.0\r\nHost: gateway.test\r\n\r\n",
                case.method
            );
            client.send(request).await;
            let answer = client.response(case.method).await.expect(case.status);
            let lengths = answer.head.fields.all("content-length");
            assert_eq!(lengths, Vec::from_iter(case.got), "{case:?}");
            assert!(answer.head.fields.lacks("transfer-encoding"), "{case:?}");
            assert_eq!(answer.text(), case.content, "{case:?}");
            assert_eq!(client.closed().await, b"", "{case:?}");
        }
    }
}

/// Says what a request had that came to it.
async fn framing(request: Request<Incoming>) -> String {
    let length = request.headers().get("content-length").cloned();
    let coding = request.headers().get("transfer-encoding").cloned();
    let content = request.into_body().collect().await.unwrap().to_bytes();
    format!("{length:?} {coding:?} {content:?}")
}

#[tokio::test]
async fn a_request_without_content_gets_none() {
    for back in BOTH {
        let origin = ServiceOrigin::start(back, async |request| {
            Ok(Response::new(body(Full::from(framing(request).await))))
        })
        .await;
        let url = origin.endpoint();
        let gateway = match back {
            Speaks::Http1 => prox::gateway! { "/" => cluster(rr, [url]) },
            Speaks::Http2 => prox::gateway! { "/" => cluster(rr, [url]).http2() },
        };
        let gateway = Served::start(gateway).await;
        for front in BOTH {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
                for (length, expected) in [
                    (None, "None None b\"\""),
                    (Some("0"), "Some(\"0\") None b\"\""),
                ] {
                    // hyper's client of HTTP/2 says so by itself.
                    let says =
                        front == Speaks::Http2 && matches!(method, Method::POST | Method::PUT);
                    if says && length.is_none() {
                        continue;
                    }
                    let mut request = front.request("/");
                    if let Some(length) = length {
                        request = request.header("content-length", length);
                    }
                    let request = request.method(&method).body(body(Empty::new())).unwrap();
                    let mut client = HyperClient::speaking(front, gateway.address()).await;
                    let response = client.send(request).await.unwrap();
                    let content = response.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(
                        content, expected,
                        "{front:?} to {back:?}: {method} {length:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn interim_responses_of_http_1_1_go_no_further() {
    let origin = Origin::start(
        Reply::new()
            .write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            .write("HTTP/1.1 102 Processing\r\n\r\n")
            .head(200, &[], "Content-Length: 2")
            .write("ok"),
    )
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let answer = gateway.get("/").await.expect(200);
    assert!(
        answer.interim.is_empty() && answer.head.fields.lacks("link"),
        "{answer:?}"
    );
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let response = ask(&mut client, Speaks::Http2, "GET", "/").await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("link"));
}

#[tokio::test]
async fn an_expectation_reaches_the_upstream_and_the_body_follows() {
    for back in BOTH {
        let origin = ServiceOrigin::start(back, async |request| {
            let expect = request.headers().get("expect").cloned();
            let content = request.into_body().collect().await.unwrap().to_bytes();
            let content = format!("{expect:?} {content:?}");
            Ok(Response::new(body(Full::from(content))))
        })
        .await;
        let url = origin.endpoint();
        let gateway = match back {
            Speaks::Http1 => prox::gateway! { "/" => cluster(rr, [url]) },
            Speaks::Http2 => prox::gateway! { "/" => cluster(rr, [url]).http2() },
        };
        let gateway = Served::start(gateway).await;
        let expected = "Some(\"100-continue\") b\"hello\"";

        let mut client = gateway.client().await;
        let lines = "Content-Length: 5\r\nExpect: 100-continue\r\n";
        client.send(head("POST", "/", lines)).await;
        let interim = client.any_head().await.expect("a head");
        assert_eq!(interim.word(1), "100", "HTTP/1.1 to {back:?}");
        client.send("hello").await;
        let answer = client.response("POST").await.expect(200);
        assert_eq!(answer.text(), expected, "HTTP/1.1 to {back:?}");

        // A client of HTTP/2 is not told to go on, and sends its content after a while.
        let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
        let request = Request::post("http://gateway.test/").header("expect", "100-continue");
        let response = client.send(request.body(text("hello")).unwrap()).await;
        let content = response.unwrap().into_body().collect().await.unwrap();
        assert_eq!(content.to_bytes(), expected, "HTTP/2 to {back:?}");

        // Nobody waits for a client of HTTP/1.0 (RFC 9110, 10.1.1).
        let mut client = RawClient::connect(gateway.address()).await;
        client
            .send("POST / HTTP/1.0\r\nHost: gateway.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
            .await;
        let answer = client.response("POST").await.expect(200);
        assert_eq!(answer.text(), expected, "HTTP/1.0 to {back:?}");
        assert!(answer.interim.is_empty());
    }
}

#[tokio::test]
async fn an_expectation_that_is_refused_brings_no_body() {
    for back in BOTH {
        let origin = ServiceOrigin::start(back, async |_| {
            Ok(Response::builder().status(417).body(text("no")).unwrap())
        })
        .await;
        let url = origin.endpoint();
        let gateway = match back {
            Speaks::Http1 => prox::gateway! { "/" => cluster(rr, [url]) },
            Speaks::Http2 => prox::gateway! { "/" => cluster(rr, [url]).http2() },
        };
        let gateway = Served::start(gateway).await;
        let mut client = gateway.client().await;
        let lines = "Content-Length: 5\r\nExpect: 100-continue\r\n";
        client.send(head("POST", "/", lines)).await;
        let answer = client.response("POST").await;
        assert_eq!((answer.status, answer.interim.len()), (417, 0), "{back:?}");
        assert_eq!(answer.body.end, End::Complete);
    }
}

#[tokio::test]
async fn a_handler_tells_the_length_of_a_304_in_every_protocol() {
    let unchanged = |_: prox::Request| async {
        let response = Response::builder().status(304);
        let response = response.header("content-length", "9757");
        response.body(prox::Body::empty()).unwrap()
    };
    let gateway = Served::start(prox::gateway! { "/" => handler(unchanged) }).await;
    for front in BOTH {
        let mut client = HyperClient::speaking(front, gateway.address()).await;
        for _ in 0..2 {
            let response = ask(&mut client, front, "GET", "/").await;
            assert_eq!(response.status(), 304);
            assert_eq!(response.headers()["content-length"], "9757", "{front:?}");
        }
    }
}

#[tokio::test]
async fn an_embedded_gateway_tells_the_length_of_a_304() {
    let origin = Origin::start(Reply::new().head(304, &[], "Content-Length: 9757")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url }.unwrap();
    let router = axum::Router::new().fallback_service(gateway);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    for front in BOTH {
        let mut client = HyperClient::speaking(front, address).await;
        for _ in 0..2 {
            let response = ask(&mut client, front, "GET", "/").await;
            assert_eq!(response.status(), 304);
            assert_eq!(response.headers()["content-length"], "9757", "{front:?}");
        }
    }
}
