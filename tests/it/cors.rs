//! `Cors`: preflights by a table, what pages may read, and tower-http's layer as an oracle.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use prox::{
    Body, BoxHandler, Failure, Next, Request, Response,
    dsl::handler,
    middleware::{Cors, IntoLayer, RateLimit},
};
use prox_tests::{
    client::{HyperClient, Speaks, body},
    gateway::Served,
    origin::{Origin, Reply},
    table,
};
use serde::Deserialize;
use tower_http::cors::{AllowOrigin, CorsLayer, MaxAge};

const SHOP: &str = "https://shop.test";
pub(crate) const SPEAKS: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// What the fields `Access-Control-*` say, by their names without that.
type Told = BTreeMap<String, String>;

fn told(headers: &HeaderMap) -> Told {
    let mut told = Told::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix("access-control-") {
            let value = value.to_str().expect("a text").to_owned();
            assert_eq!(
                told.insert(name.to_owned(), value),
                None,
                "{name} is there twice"
            );
        }
    }
    told
}

fn vary(headers: &HeaderMap) -> Vec<&str> {
    let fields = headers.get_all("vary").iter();
    fields.filter_map(|value| value.to_str().ok()).collect()
}

/// Sends a request without a body to the host `gateway.test`.
pub(crate) async fn send(
    speaks: Speaks,
    gateway: &Served,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> http::Response<hyper::body::Incoming> {
    let mut client = HyperClient::speaking(speaks, gateway.address()).await;
    let mut request = speaks.request(target).method(method);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request
        .body(body(http_body_util::Empty::new()))
        .expect("a request");
    client.send(request).await.expect("a response")
}

fn shop() -> Cors {
    Cors::origins([SHOP, "https://*.preview.test"]).credentials()
}

/// Answers preflights with rules of its own.
async fn own(_: Request) -> Response {
    let mut response = Response::new(Body::empty());
    let value = HeaderValue::from_static("of its own");
    response
        .headers_mut()
        .insert("access-control-allow-origin", value);
    response
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    origin: Option<String>,
    target: String,
    asks: String,
    announces: Option<String>,
    status: u16,
    fields: Told,
}

#[tokio::test]
async fn preflights_are_answered_as_the_table_says() {
    let origin = Origin::start(Reply::ok("upstream")).await;
    let (site, any, objects) = (origin.endpoint(), origin.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        let shop = shop();
        POST "/route" => respond(200, "made") with [shop],
        "/scope" with [shop] {
            GET "/notes" => respond(200, "list"),
            POST "/notes" => respond(200, "made"),
            PUT "/guarded" if header("authorization").exists() => respond(200, "put"),
        }
        "/any" => any with [shop],
        "/site" => site,
        GET "/site/mixed" => respond(200, "mixed") with [shop],
        OPTIONS "/own" => handler(own),
        POST "/own" => respond(200, "made") with [shop],
        POST "/own/deep" => respond(200, "made") with [shop],
        "/listed" with [
            Cors::any().methods(["PUT", "GET", "DELETE"]).headers(["x-tenant"]).max_age(Duration::ZERO)
        ] {
            PUT "/" => respond(200, "put"),
            GET "/" => respond(200, "list"),
            POST "/" => respond(200, "made"),
        }
        PUT "/objects/{name}" => cluster(rr, [objects]).encoded_slashes() with [shop],
    })
    .await;
    let Cases { case: cases } = table::load("preflights.toml");
    assert!(!cases.is_empty());
    for speaks in SPEAKS {
        for case in &cases {
            let about = format!("{speaks:?}: {}", case.about);
            let origin = case.origin.as_deref().unwrap_or(SHOP);
            let mut fields = vec![
                ("origin", origin),
                ("access-control-request-method", &case.asks),
            ];
            let announced = case.announces.as_deref();
            fields.extend(announced.map(|names| ("access-control-request-headers", names)));
            let answer = send(speaks, &gateway, "OPTIONS", &case.target, &fields).await;
            assert_eq!(answer.status(), case.status, "{about}");
            assert_eq!(told(answer.headers()), case.fields, "{about}");
            if matches!(case.status, 204 | 403) {
                let all = "origin, access-control-request-method, access-control-request-headers";
                assert_eq!(vary(answer.headers()), [all], "{about}");
            }
        }
    }
}

#[tokio::test]
async fn it_works_on_the_gateway_a_host_a_scope_and_a_route() {
    let gateways = [
        prox::gateway! { with [shop()]; POST "/x" => respond(200, "made"), },
        prox::gateway! { host "gateway.test" with [shop()] { POST "/x" => respond(200, "made"), } },
        prox::gateway! { "/x" with [shop()] { POST "/" => respond(200, "made"), } },
        prox::gateway! { POST "/x" => respond(200, "made") with [shop()], },
    ];
    for (place, gateway) in gateways.into_iter().enumerate() {
        let gateway = Served::start(gateway).await;
        for speaks in SPEAKS {
            let fields = [("origin", SHOP), ("access-control-request-method", "POST")];
            let answer = send(speaks, &gateway, "OPTIONS", "/x", &fields).await;
            assert_eq!(answer.status(), 204, "{place}");
            assert_eq!(told(answer.headers())["allow-methods"], "POST", "{place}");
            let answer = send(speaks, &gateway, "POST", "/x", &[("origin", SHOP)]).await;
            assert_eq!(answer.status(), 200, "{place}");
            assert_eq!(told(answer.headers())["allow-origin"], SHOP, "{place}");
            // Whatever the gateway refuses can be read as far as the layer stands around it.
            for (method, target, status) in [("PUT", "/x", 405), ("GET", "/y", 404)] {
                let answer = send(speaks, &gateway, method, target, &[("origin", SHOP)]).await;
                assert_eq!(answer.status(), status, "{place}");
                let readable = told(answer.headers()).contains_key("allow-origin");
                assert_eq!(readable, status == 405 || place == 0, "{place} {status}");
            }
        }
    }
}

#[tokio::test]
async fn failures_behind_the_layer_can_be_read_and_upstreams_have_no_say() {
    let fields = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Origin", "https://evil.test"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "x-secret"),
        ("Vary", "accept-encoding"),
    ];
    let origin = Origin::start(Reply::status(200, &fields, "upstream")).await;
    let (up, down) = (origin.endpoint(), "http://127.0.0.1:1");
    let down: prox::Endpoint = down.parse().expect("an endpoint");
    let none = RateLimit::per_second(0);
    let gateway = Served::start(prox::gateway! {
        "/api" with [shop().expose(["x-total"])] {
            "/up" => up,
            "/down" => down,
            "/401" => handler(async |_: Request| Failure::Unauthenticated),
            "/429" => respond(200, "ok") with [none],
            "/panic" => handler(async |_: Request| -> &'static str { panic!("a bug") }) with [prox::middleware::Recover::new()],
        }
    })
    .await;
    for speaks in SPEAKS {
        for (target, status) in [
            ("/api/up", 200),
            ("/api/down", 502),
            ("/api/401", 401),
            ("/api/429", 429),
            ("/api/panic", 500),
        ] {
            for (sent, readable) in [(SHOP, true), ("https://evil.test", false)] {
                let answer = send(speaks, &gateway, "GET", target, &[("origin", sent)]).await;
                assert_eq!(answer.status(), status, "{target}");
                let expected: Told = [
                    ("allow-credentials", "true"),
                    ("allow-origin", SHOP),
                    ("expose-headers", "x-total"),
                ]
                .into_iter()
                .filter(|_| readable)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
                assert_eq!(told(answer.headers()), expected, "{target} from {sent}");
                assert_eq!(vary(answer.headers()).last(), Some(&"origin"), "{target}");
            }
        }
    }
}

#[test]
fn everything_wrong_is_said_at_once_and_each_with_its_route() {
    let gateway = prox::gateway! {
        with [Cors::any().methods(["get"])];
        let shop = Cors::origins(["shop.test"]);
        "/a" => respond(200, "a") with [shop],
        "/b" => respond(200, "b") with [shop, Cors::origins(["https://b.test/", SHOP])],
        "/c" if header(format!("x{}y", " ")).exists() => respond(200, "c"),
    };
    let error = gateway.expect_err("it cannot start");
    assert!(error.is_config());
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            "route `/c if header(format!(\"x{}y\", \" \")).exists()`: `x y` is not a header name",
            "`Cors`: methods have upper case, write \"GET\" for \"get\"",
            "route `/a` and 1 more: `Cors`: \"shop.test\" is not an origin: its scheme is missing, write \"https://shop.test\"",
            "route `/b`: `Cors`: \"https://b.test/\" is not an origin: it ends after the host and the port, write \"https://b.test\"",
        ]
    );
}

/// The options of both layers, where both have the same rules.
struct Rules {
    origins: &'static [&'static str],
    credentials: bool,
    headers: &'static [&'static str],
}

const METHODS: [&str; 3] = ["GET", "PUT", "DELETE"];
const EXPOSED: [&str; 2] = ["x-total", "etag"];

impl Rules {
    fn ours(&self) -> Cors {
        let cors = Cors::origins(self.origins)
            .methods(METHODS)
            .headers(self.headers)
            .expose(EXPOSED);
        if self.credentials {
            cors.credentials()
        } else {
            cors
        }
    }

    fn theirs(&self) -> CorsLayer {
        let names = |list: &[&'static str]| -> Vec<HeaderName> {
            let names = list.iter().map(|name| HeaderName::from_static(name));
            names.collect()
        };
        let origins = self.origins.iter();
        let origins = origins.map(|origin| HeaderValue::from_static(origin));
        let methods: Result<Vec<Method>, _> = METHODS.iter().map(|name| name.parse()).collect();
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods(methods.expect("methods"))
            .allow_headers(names(self.headers))
            .expose_headers(names(&EXPOSED))
            .allow_credentials(self.credentials)
            .max_age(MaxAge::exact(Duration::from_mins(10)))
    }
}

/// All combinations of these.
fn sentences() -> Vec<[&'static str; 4]> {
    let mut all = Vec::new();
    for origin in [
        "",
        SHOP,
        "https://other.test:8443",
        "https://other.test",
        "http://shop.test",
        "https://shop.test.evil.test",
        "null",
    ] {
        for method in ["OPTIONS", "GET", "PUT"] {
            for asks in ["", "GET", "PUT", "POST", "PATCH"] {
                for announces in ["", "content-type", "x-tenant", "x-other, content-type"] {
                    // tower-http answers every `OPTIONS` by itself.
                    if method != "OPTIONS" || !origin.is_empty() && !asks.is_empty() {
                        all.push([origin, method, asks, announces]);
                    }
                }
            }
        }
    }
    all
}

#[tokio::test]
async fn tower_http_says_the_same_of_every_combination() {
    let target = || BoxHandler::new(handler(|_| async { "hello" }));
    let mut compared = 0;
    let lists: [&[&str]; 3] = [&[], &[SHOP], &[SHOP, "https://other.test:8443"]];
    let headers: [&[&str]; 2] = [&["content-type"], &["content-type", "x-tenant"]];
    let rules = lists.into_iter().flat_map(|origins| {
        [(false, 0), (false, 1), (true, 0), (true, 1)].map(|(credentials, which)| Rules {
            origins,
            credentials,
            headers: headers[which],
        })
    });
    for rules in rules {
        let theirs = rules.theirs().into_layer().wrap(target());
        let ours = rules.ours().into_layer().wrap(target());
        for sentence @ [origin, method, asks, announces] in sentences() {
            let request = || {
                let mut request = http::Request::builder().method(method).uri("/");
                for (name, value) in [
                    ("origin", origin),
                    ("access-control-request-method", asks),
                    ("access-control-request-headers", announces),
                ] {
                    if !value.is_empty() {
                        request = request.header(name, value);
                    }
                }
                request.body(Body::empty()).expect("a request")
            };
            let Rules {
                origins,
                credentials,
                headers,
            } = rules;
            let case = format!("{origins:?} {credentials} {headers:?}: {sentence:?}");
            let preflight = method == "OPTIONS";
            let (own, other) = (ours.call(request()).await, theirs.call(request()).await);
            let verdicts =
                [&own, &other].map(|answer| verdict(answer.headers(), preflight, asks, announces));
            assert_eq!(verdicts[0], verdicts[1], "{case}");
            if preflight {
                assert_eq!(own.status() == 204, verdicts[0].is_some(), "{case}");
            }
            compared += 1;
        }
    }
    assert!(compared > 3_000, "{compared}");
}

/// What a browser makes of a response (Fetch, 4.8 and 4.10): nothing if the page gets nothing, else what it keeps.
fn verdict(headers: &HeaderMap, preflight: bool, asks: &str, announces: &str) -> Option<Told> {
    let mut told = told(headers);
    told.get("allow-origin")?;
    let list = |told: &Told, name: &str| -> Vec<String> {
        let text = told.get(name).map_or("", String::as_str);
        text.split(',')
            .map(|word| word.trim().to_ascii_lowercase())
            .collect()
    };
    if preflight {
        let asks = asks.to_ascii_lowercase();
        // A browser would send `POST` though it is not in the list. The layer is stricter.
        if !list(&told, "allow-methods").contains(&asks) {
            return None;
        }
        let allowed = list(&told, "allow-headers");
        let mut names = announces
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        if !names.all(|name| allowed.contains(&name.to_ascii_lowercase())) {
            return None;
        }
    }
    for name in ["allow-methods", "allow-headers", "expose-headers"] {
        if told.contains_key(name) {
            let words = list(&told, name).join(",");
            told.insert(name.to_owned(), words);
        }
    }
    Some(told)
}

/// The layer is one like any other for tests of one's own.
#[tokio::test]
async fn it_can_be_called_without_a_gateway() {
    use prox::Middleware;
    let request = http::Request::options("/")
        .header("origin", SHOP)
        .header("access-control-request-method", "PURGE");
    let request = request.body(Body::empty()).expect("a request");
    let next = Next::new(handler(|_| async { "never" }));
    let answer = shop().handle(request, next).await;
    assert_eq!(answer.status(), 204);
    let methods = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, PURGE";
    assert_eq!(told(answer.headers())["allow-methods"], methods);
}
