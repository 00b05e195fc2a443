//! How large heads may be: the same in HTTP/1.1 and HTTP/2, for requests and for responses.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use prox_tests::{
    client::{HyperClient, Speaks, body, head, text},
    events::Events,
    gateway::{Served, served},
    origin::{Origin, Reply},
    service::ServiceOrigin,
};

const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// An upstream that answers with as many fields as the path says, each with a value of as many bytes.
///
/// Besides them there are `content-length` and `date`.
async fn many(speaks: Speaks) -> ServiceOrigin {
    ServiceOrigin::start(speaks, async |request| {
        let path = request.uri().path().to_owned();
        let mut numbers = path
            .split('/')
            .skip(1)
            .map(|number| number.parse().unwrap());
        let (count, size): (usize, usize) = (numbers.next().unwrap(), numbers.next().unwrap());
        let mut response = Response::builder();
        for _ in 0..count {
            response = response.header("link", "v".repeat(size));
        }
        Ok(response.body(text("hello")).unwrap())
    })
    .await
}

/// The status and the number of `Link` fields that a client gets.
async fn links(speaks: Speaks, gateway: &Served, path: &str) -> (u16, usize) {
    match speaks {
        Speaks::Http1 => {
            let answer = gateway.get(path).await;
            (answer.status, answer.head.fields.all("link").len())
        }
        Speaks::Http2 => {
            let mut client = HyperClient::speaking(speaks, gateway.address()).await;
            let get = Request::get(format!("http://gateway.test{path}"));
            let response = client.send(get.body(body(Empty::new())).unwrap()).await;
            let response = response.unwrap();
            let links = response.headers().get_all("link").iter().count();
            (response.status().as_u16(), links)
        }
    }
}

#[tokio::test]
async fn a_response_of_256_fields_passes_by_default_and_one_more_does_not() {
    for back in BOTH {
        let origin = many(back).await;
        let url = origin.endpoint();
        let gateway = match back {
            Speaks::Http1 => prox::gateway! { "/" => cluster(rr, [url]) },
            Speaks::Http2 => prox::gateway! { "/" => cluster(rr, [url]).http2() },
        };
        let gateway = Served::start(gateway).await;
        for front in BOTH {
            for (count, status) in [(120, 200), (254, 200), (255, 502), (120, 200)] {
                let got = links(front, &gateway, &format!("/{count}/8")).await;
                let passed = if status == 200 { count } else { 0 };
                assert_eq!(got, (status, passed), "{front:?} to {back:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_response_over_a_limit_is_a_502_and_the_limit_is_told() {
    for back in BOTH {
        let origin = many(back).await;
        let url = origin.endpoint();
        let gateway = match back {
            Speaks::Http1 => prox::gateway! {
                backend users = cluster(rr, [url]).max_response_headers(20).max_response_header_size(4096);
                "/" => users,
            },
            Speaks::Http2 => prox::gateway! {
                backend users = cluster(rr, [url]).http2().max_response_headers(20).max_response_header_size(4096);
                "/" => users,
            },
        };
        let (gateway, users) = served(gateway).await;
        for front in BOTH {
            let name = format!("{front:?} to {back:?}");
            for (path, passes) in [("/18/8", true), ("/1/3900", true), ("/10/380", true)] {
                assert_eq!(
                    links(front, &gateway, path).await.0 == 200,
                    passes,
                    "{name}"
                );
            }
            for (path, limit, allowed) in [
                ("/19/8", "max_response_headers", "20"),
                ("/10/400", "max_response_header_size", "4096"),
                ("/1/4096", "max_response_header_size", "4096"),
                ("/1/15000", "max_response_header_size", "4096"),
                ("/300/8", "max_response_headers", "20"),
            ] {
                let events = Events::record();
                let before = users.counters().heads_over;
                assert_eq!(links(front, &gateway, path).await.0, 502, "{name} {path}");
                let told = events.first("head of a response over the limit");
                let url = origin.endpoint().to_string();
                for (field, value) in [
                    ("backend", "users"),
                    ("endpoint", &url),
                    ("limit", limit),
                    ("allowed", allowed),
                ] {
                    assert_eq!(told.field(field), Some(value), "{name} {path} {told:?}");
                }
                assert_eq!(users.counters().heads_over, before + 1);
            }
        }
    }
}

#[tokio::test]
async fn limits_that_let_no_response_through_are_refused() {
    let zero = std::convert::identity(0);
    let gateway = prox::gateway! {
        "/" => cluster(rr, ["http://127.0.0.1:1"]).max_response_headers(zero).max_response_header_size(zero),
    };
    let error = format!("{:?}", gateway.unwrap_err());
    assert!(
        error.contains("`.max_response_headers(0)` lets no response through"),
        "{error}"
    );
    assert!(
        error.contains("`.max_response_header_size(0)` lets no response"),
        "{error}"
    );
}

/// The status that a request gets with these fields besides `Host`.
async fn status(speaks: Speaks, gateway: &Served, fields: &[(String, String)]) -> u16 {
    match speaks {
        Speaks::Http1 => {
            let lines = fields
                .iter()
                .map(|(name, value)| format!("{name}: {value}"));
            let mut client = gateway.client().await;
            client
                .send(head("GET", "/", &prox_tests::wire::lines(lines)))
                .await;
            client.response("GET").await.status
        }
        Speaks::Http2 => {
            let mut client = HyperClient::speaking(speaks, gateway.address()).await;
            let mut get = Request::get("http://gateway.test/");
            for (name, value) in fields {
                get = get.header(name, value);
            }
            let response = client.send(get.body(body(Empty::new())).unwrap()).await;
            response.unwrap().status().as_u16()
        }
    }
}

fn fields(count: usize, size: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| (format!("x-{number}"), "v".repeat(size)))
        .collect()
}

#[tokio::test]
async fn a_request_over_a_limit_is_a_431_and_the_limit_is_told() {
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let gateway = Served::with(gateway, |server| {
        server.max_header_size(16 * 1024).max_headers(20)
    })
    .await;
    for front in BOTH {
        for fields in [fields(19, 1), fields(1, 16_000), fields(10, 1600)] {
            assert_eq!(status(front, &gateway, &fields).await, 200, "{front:?}");
        }
        for (fields, limit, allowed) in [
            (fields(20, 1), "max_headers", "20"),
            (fields(1, 16_400), "max_header_size", "16384"),
            (fields(10, 1640), "max_header_size", "16384"),
        ] {
            let events = Events::record();
            assert_eq!(
                status(front, &gateway, &fields).await,
                431,
                "{front:?} {limit}"
            );
            let told = events.first("head of a request over the limit");
            assert_eq!(told.field("limit"), Some(limit), "{front:?} {told:?}");
            assert_eq!(told.field("allowed"), Some(allowed), "{front:?} {told:?}");
            assert_eq!(told.field("client"), Some("127.0.0.1"), "{front:?}");
        }
    }
}

#[tokio::test]
async fn cookies_that_come_one_by_one_are_one_field() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    // 180 cookies of a browser, and 98 other fields.
    let crumbs = (0..180).map(|n| ("cookie".to_owned(), format!("name-{n}={}", "v".repeat(100))));
    let all: Vec<_> = fields(98, 10).into_iter().chain(crumbs).collect();
    assert_eq!(status(Speaks::Http2, &gateway, &all).await, 200);
    let seen = origin.last().head.fields;
    assert_eq!(seen.all("cookie").len(), 1);
    assert_eq!(seen.all("cookie")[0].split("; ").count(), 180);
    let more: Vec<_> = fields(99, 10)
        .into_iter()
        .chain(all.into_iter().skip(98))
        .collect();
    assert_eq!(status(Speaks::Http2, &gateway, &more).await, 431);
}

#[tokio::test]
async fn a_client_that_is_refused_again_and_again_is_told_of_once() {
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let gateway = Served::start(gateway).await;
    let events = Events::record();
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    for _ in 0..5 {
        let mut get = Request::get("http://gateway.test/");
        let headers: &mut HeaderMap = get.headers_mut().unwrap();
        for (name, value) in fields(100, 1) {
            let name = http::HeaderName::try_from(name).unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        let response = client.send(get.body(body(Empty::new())).unwrap()).await;
        assert_eq!(response.unwrap().status(), 431);
    }
    let all = events.all();
    let told = all
        .iter()
        .filter(|told| told.message() == "head of a request over the limit");
    assert_eq!(told.count(), 1);
}
