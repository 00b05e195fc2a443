//! The metrics of a gateway: each number is what clients and upstreams have seen, and no client makes a series.

use std::collections::{BTreeMap, BTreeSet};

use http_body_util::BodyExt;
use prox::{Gateway, Next, Request, RequestExt, Response};
use prox_tests::{
    client::{HyperClient, RawClient, Speaks, head, text},
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    wait::{Gate, eventually},
};

use crate::upgrades::{SWITCHED, Upstream, WEBSOCKET};

/// The samples of an exposition: name with labels, and value.
pub(crate) fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    let mut all = BTreeMap::new();
    for (name, value) in samples {
        assert!(all.insert(name.clone(), value).is_none(), "twice: {name}");
    }
    all
}

/// The value of one sample; 0 for one that is not there.
pub(crate) fn value(gateway: &Gateway, name: &str) -> f64 {
    samples(&gateway.metrics())
        .get(name)
        .copied()
        .unwrap_or(0.0)
}

/// Waits for a sample to have this value: a request counts when its response is written, which its client may see before.
pub(crate) async fn counts(gateway: &Gateway, name: &str, wanted: f64) {
    eventually(name, || value(gateway, name) >= wanted).await;
    let found = value(gateway, name);
    assert!(
        (found - wanted).abs() < 1e-9,
        "{name}: {found}\n{}",
        gateway.metrics()
    );
}

pub(crate) fn requests(route: &str, method: &str, status: u16, error: &str) -> String {
    let error = match error {
        "" => String::new(),
        error => format!(",error_type=\"{error}\""),
    };
    format!(
        "prox_requests_total{{{route}http_request_method=\"{method}\",http_response_status_code=\"{status}\"{error}}}"
    )
}

#[expect(
    clippy::too_many_lines,
    reason = "a table of requests, and what each of them counts as"
)]
#[tokio::test]
async fn each_request_counts_once_for_its_route_method_status_and_failure() {
    let origin = Origin::with(|seen| match seen.target() {
        "/users/missing" => Reply::status(404, &[], "no"),
        "/users/broken" => Reply::status(500, &[], "broken"),
        "/users/odd" => Reply::status(599, &[], ""),
        "/users/old" => Reply::status(304, &[("etag", "\"1\"")], ""),
        "/users/stream" => Reply::chunks(&[], &["one", "two"], &[]),
        _ => Reply::ok("hello"),
    })
    .await;
    let (url, dead) = (origin.endpoint(), Refused::new());
    let dead = dead.endpoint();
    let gateway = prox::gateway! {
        host "api.test" | "gateway.test" {
            "/users/{id}" => url,
            "/dead" => dead,
            GET "/hello" => respond(200, "hello"),
        }
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let mut wanted = BTreeMap::<String, f64>::new();
    for (round, speaks) in [(1.0, Speaks::Http1), (2.0, Speaks::Http2)] {
        let users = "host=\"api.test|gateway.test\",http_route=\"/users/{id}\",";
        let dead = "host=\"api.test|gateway.test\",http_route=\"/dead\",";
        let hello = "host=\"api.test|gateway.test\",http_route=\"/hello\",";
        let odd = format!(
            "prox_requests_total{{{users}http_request_method=\"GET\",http_response_status_code=\"5xx\",error_type=\"5xx\"}}"
        );
        for (method, target, status, name) in [
            ("GET", "/users/1", 200, requests(users, "GET", 200, "")),
            ("GET", "/users/stream", 200, requests(users, "GET", 200, "")),
            ("HEAD", "/users/1", 200, requests(users, "HEAD", 200, "")),
            ("POST", "/users/1", 200, requests(users, "POST", 200, "")),
            ("PURGE", "/users/1", 200, requests(users, "_OTHER", 200, "")),
            (
                "GET",
                "/users/missing",
                404,
                requests(users, "GET", 404, ""),
            ),
            (
                "GET",
                "/users/broken",
                500,
                requests(users, "GET", 500, "500"),
            ),
            ("GET", "/users/odd", 599, odd),
            ("GET", "/users/old", 304, requests(users, "GET", 304, "")),
            ("GET", "/dead", 502, requests(dead, "GET", 502, "connect")),
            ("GET", "/hello", 200, requests(hello, "GET", 200, "")),
            (
                "POST",
                "/hello",
                405,
                requests("", "POST", 405, "method_not_allowed"),
            ),
            ("GET", "/nowhere", 404, requests("", "GET", 404, "no_route")),
        ] {
            let mut client = HyperClient::speaking(speaks, served.address()).await;
            let content = if method == "POST" { "12345" } else { "" };
            let request = speaks.request(target).method(method).body(text(content));
            let response = client.send(request.expect("a request")).await;
            let response = response.expect("an answer");
            assert_eq!(response.status(), status, "{speaks:?} {method} {target}");
            response.into_body().collect().await.expect("its body");
            let count = wanted.entry(name.clone()).or_default();
            *count += 1.0;
            counts(&gateway, &name, *count).await;
        }
        let route = "host=\"api.test|gateway.test\",http_route=\"/users/{id}\"";
        // "hello" three times, "onetwo", "no" and "broken".
        let (bytes_in, bytes_out) = (5.0 * round, (3.0 * 5.0 + 6.0 + 2.0 + 6.0) * round);
        counts(
            &gateway,
            &format!("prox_request_body_bytes_total{{{route}}}"),
            bytes_in,
        )
        .await;
        counts(
            &gateway,
            &format!("prox_response_body_bytes_total{{{route}}}"),
            bytes_out,
        )
        .await;
        // The histogram has each request that is no tunnel.
        let durations =
            |error: &str| format!("http_server_request_duration_seconds_count{{{route}{error}}}");
        counts(&gateway, &durations(""), 7.0 * round).await;
        counts(&gateway, &durations(",error_type=\"500\""), round).await;
        counts(&gateway, &durations(",error_type=\"5xx\""), round).await;
        let version = match speaks {
            Speaks::Http1 => "1.1",
            Speaks::Http2 => "2",
        };
        let version =
            format!("prox_protocol_requests_total{{network_protocol_version=\"{version}\"}}");
        counts(&gateway, &version, 13.0).await;
    }
    // What the upstream has seen is what its backend has counted.
    let tries: f64 = samples(&gateway.metrics())
        .iter()
        .filter(|(name, _)| {
            name.starts_with("prox_endpoint_requests_total") && !name.contains("connect")
        })
        .map(|(_, count)| count)
        .sum();
    let seen = u32::try_from(origin.count()).expect("not that many");
    assert!((tries - f64::from(seen)).abs() < 1e-9);
    served.stop().await;
}

#[tokio::test]
async fn what_is_cut_says_why() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::with(move |seen| match seen.target() {
        "/stream" => Reply::new()
            .head(200, &[], "content-length: 100\r\n")
            .write("begin")
            .wait(&held),
        "/short" => Reply::new()
            .head(200, &[], "content-length: 100\r\n")
            .write("begin")
            .close(),
        _ => Reply::new().wait(&held),
    })
    .await;
    let url = origin.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let route = "host=\"_\",http_route=\"/\",";

    let mut client = served.client().await;
    client.request("GET", "/silent").await;
    origin.reached(1).await;
    assert!((value(&gateway, "http_server_active_requests") - 1.0).abs() < 1e-9);
    client.reset();
    counts(&gateway, &requests(route, "GET", 499, "client_gone"), 1.0).await;
    counts(&gateway, "http_server_active_requests", 0.0).await;

    let mut client = served.client().await;
    client.request("GET", "/stream").await;
    assert_eq!(client.response_head().await.status, 200);
    client.reset();
    counts(&gateway, &requests(route, "GET", 200, "client_gone"), 1.0).await;

    let mut client = served.client().await;
    client.request("GET", "/short").await;
    assert_eq!(client.response_head().await.status, 200);
    client.closed().await;
    counts(&gateway, &requests(route, "GET", 200, "reset"), 1.0).await;
    gate.open();
    served.stop().await;
}

#[tokio::test]
async fn a_tunnel_counts_when_it_begins_and_is_a_tunnel_until_it_ends() {
    let upstream = Upstream::start().await;
    let url = upstream.endpoint();
    let gateway = prox::gateway! { "/" => url };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let mut client = served.client().await;
    client.send(head("GET", "/ws", WEBSOCKET)).await;
    let (_, mut far) = upstream.request().await;
    tokio::io::AsyncWriteExt::write_all(far.stream(), SWITCHED.as_bytes())
        .await
        .expect("an answer");
    assert_eq!(client.response_head().await.status, 101);
    let route = "host=\"_\",http_route=\"/\",";
    counts(&gateway, &requests(route, "GET", 101, ""), 1.0).await;
    counts(&gateway, "prox_tunnels", 1.0).await;
    counts(&gateway, "http_server_active_requests", 0.0).await;
    drop((client, far));
    eventually("the end of the tunnel", || {
        value(&gateway, "prox_tunnels") < 0.5
    })
    .await;
    counts(&gateway, &requests(route, "GET", 101, ""), 1.0).await;
    assert!(
        !gateway
            .metrics()
            .contains("http_server_request_duration_seconds")
    );
    served.stop().await;
}

#[tokio::test]
async fn no_client_makes_a_series() {
    let gateway = prox::gateway! {
        host "shop.test" { "/v1/{id}" => respond(200, "ok"), }
        host _ { "/other" => respond(404, "no"), }
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let mut client = served.client().await;
    let names = |text: &str| samples(text).into_keys().collect::<BTreeSet<_>>();
    let ask = async |client: &mut RawClient, number: usize| {
        let host = if number.is_multiple_of(2) {
            "shop.test"
        } else {
            "x"
        };
        let lines = format!("{number}");
        let request = format!(
            "M{lines} /v1/{number} HTTP/1.1\r\nhost: {host}{}\r\nuser-agent: {number}\r\n\r\n",
            if host == "x" { lines.as_str() } else { "" }
        );
        client.send(request).await;
        client.response("GET").await;
    };
    for number in 0..2 {
        ask(&mut client, number).await;
    }
    let before = names(&gateway.metrics());
    for number in 2..1000 {
        ask(&mut client, number).await;
    }
    assert_eq!(names(&gateway.metrics()), before);
    served.stop().await;
}

#[tokio::test]
async fn layers_change_nothing_of_the_counts_and_learn_what_became_of_the_request() {
    async fn tells(req: Request, next: Next) -> Response {
        let tally = req.tally().expect("behind a gateway").clone();
        assert_eq!((tally.tries(), tally.backend()), (0, None));
        let mut response = next.run(req).await;
        let told = format!(
            "{} {} {}",
            tally.backend().expect("a backend"),
            tally.endpoint().expect("an endpoint"),
            tally.tries(),
        );
        assert!(tally.first_byte().is_some() && tally.connect().is_some());
        let told = told.parse().expect("a value of a field");
        response.headers_mut().insert("x-told", told);
        response
    }
    let (origin, dead) = (Origin::start(Reply::ok("hello")).await, Refused::new());
    let (url, dead) = (origin.endpoint(), dead.endpoint());
    let told = format!("users {url} 2");
    let gateway = prox::gateway! {
        backend users = cluster(rr, [dead, url]);
        "/users" => users with [tells],
        GET "/metrics" => prox::metrics(),
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mut client = HyperClient::speaking(speaks, served.address()).await;
        let request = speaks.request("/users").body(text("")).expect("a request");
        let response = client.send(request).await.expect("an answer");
        if speaks == Speaks::Http1 {
            assert_eq!(response.headers()["x-told"], told);
        }
        response.into_body().collect().await.expect("its body");
    }
    let route = "host=\"_\",http_route=\"/users\",";
    counts(&gateway, &requests(route, "GET", 200, ""), 2.0).await;

    let answer = served.get("/metrics").await.expect(200);
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert!(
        answer
            .text()
            .contains(&format!("{} 2\n", requests(route, "GET", 200, "")))
    );
    let mut client = served.client().await;
    let accept = "accept: application/openmetrics-text; version=1.0.0\r\n";
    client.send(head("GET", "/metrics", accept)).await;
    let answer = client.response("GET").await.expect(200);
    assert!(answer.text().ends_with("# EOF\n"));
    served.stop().await;
}

#[tokio::test]
async fn an_embedded_gateway_counts_as_well() {
    use tower::ServiceExt as _;

    let gateway = prox::gateway! { "/" => respond(200, "hello") };
    let gateway = gateway.expect("the gateway can start");
    for _ in 0..3 {
        let request = http::Request::post("/x")
            .header("host", "a.test")
            .body(prox::Body::from("12"));
        let response = gateway.clone().oneshot(request.expect("a request")).await;
        let response = response.expect("an answer");
        assert_eq!(
            response.into_body().bytes(64).await.expect("a body"),
            "hello"
        );
    }
    let route = "host=\"_\",http_route=\"/\"";
    let all = samples(&gateway.metrics());
    let count = |name: String| all.get(&name).copied().unwrap_or_default();
    assert!((count(requests(&format!("{route},"), "POST", 200, "")) - 3.0).abs() < 1e-9);
    assert!((count(format!("prox_response_body_bytes_total{{{route}}}")) - 15.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_gateway_with_a_name_shows_it() {
    mod named {
        prox::gateway! {
            pub(super) struct Corner;
            "/" => respond(200, "ok")
        }
    }
    let line = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("prox_build_info{"));
        line.expect("a line of the build").to_owned()
    };
    let gateway = named::Corner::new().expect("the gateway can start");
    let shown = line(&gateway.metrics());
    assert!(shown.contains("gateway=\"Corner\""), "{shown}");
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let shown = line(&gateway.expect("the gateway can start").metrics());
    assert!(!shown.contains("gateway="), "{shown}");
}

#[tokio::test]
async fn the_exposition_keeps_the_rules_of_its_formats() {
    let origin = Origin::start(Reply::ok("hello")).await;
    let (one, two) = (origin.endpoint(), origin.endpoint());
    let gateway = prox::gateway! {
        backend users = cluster(p2c, [one]).health(tcp().every(1h)).required();
        "/users" => users,
        // Two backends of one name, which share their samples.
        "/a" => two.clone(),
        "/b" => two.clone(),
    };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    for target in ["/users", "/a", "/b", "/none"] {
        served.get(target).await;
    }
    let text = gateway.metrics();
    samples(&text);
    let mut family = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().expect("a name").to_owned();
            assert!(seen.insert(family.clone()), "twice: {family}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(rest.starts_with(&format!("{family} ")), "{line}");
            continue;
        }
        assert!(line.starts_with(&family), "{family}: {line}");
    }
    for name in [
        "prox_ready 1",
        "prox_open_connections{tls=\"false\"} ",
        "prox_backend_retried_total{backend=\"users\"} 0",
        "prox_endpoints{backend=\"users\",condition=\"healthy\"} 1",
        "prox_backend_ready{backend=\"users\"} 1",
        "prox_build_info{version=",
        "prox_connections_refused_total{reason=\"tls\"} 0",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name}\n{text}");
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_refused_before_the_gateway_is_no_request_in_either_version() {
    let gateway = prox::gateway! { "/" => respond(200, "ok") };
    let gateway = gateway.expect("the gateway can start");
    let served = Served::start(gateway.clone()).await;
    let refused = "prox_connections_refused_total{reason=\"malformed\"}";

    let mut client = served.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nHost: b c\r\nX : y\r\n\r\n")
        .await;
    assert_eq!(client.response_head().await.status, 400);
    counts(&gateway, refused, 1.0).await;

    let mut client = HyperClient::speaking(Speaks::Http2, served.address()).await;
    let request = Speaks::Http2.request("/").header("host", "another.test");
    let response = client
        .send(request.body(text("")).expect("a request"))
        .await;
    assert_eq!(response.expect("an answer").status(), 400);
    counts(&gateway, refused, 2.0).await;

    let response = served.get("/").await.expect(200);
    drop(response);
    counts(
        &gateway,
        &requests("host=\"_\",http_route=\"/\",", "GET", 200, ""),
        1.0,
    )
    .await;
    let all = samples(&gateway.metrics());
    let requests = all
        .iter()
        .filter(|(name, _)| name.starts_with("prox_requests_total"));
    let sum: f64 = requests.map(|(_, count)| count).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{}", gateway.metrics());
    served.stop().await;
}
