//! Gateways that are mounted below a path or for a host of another gateway.

use prox::{
    Describe, Explanation, IntoResponse, Next, Parts, Principal, Request, RequestExt, Response,
    http::{HeaderName, HeaderValue},
    middleware::{About, Authenticate, Cors, Declares, Middleware, Role, Verdict, role},
};
use prox_tests::{
    client::{Answer, head},
    gateway::Served,
    origin::{Origin, Reply},
};

/// The same routes below a prefix: as a gateway that is mounted, and in a scope.
macro_rules! twins {
    ($($name:ident at $prefix:literal { $($routes:tt)* })*) => {
        $(mod $name {
            pub(super) mod inner {
                prox::gateway! {
                    pub(super) struct Inner;
                    $($routes)*
                }
            }

            prox::gateway! {
                pub(super) struct Mounted;
                $prefix => gateway(inner::Inner),
                GET "/" => respond(200, "fallback"),
                "/other" => respond(200, "other"),
            }

            prox::gateway! {
                pub(super) struct Scoped;
                $prefix { $($routes)* }
                GET "/" => respond(200, "fallback"),
                "/other" => respond(200, "other"),
            }
        })*

        fn twins() -> Vec<(&'static str, &'static str, Explain, Explain)> {
            vec![$((
                stringify!($name),
                $prefix,
                (|method, url| $name::Mounted::explain(method, url)) as Explain,
                (|method, url| $name::Scoped::explain(method, url)) as Explain,
            )),*]
        }
    };
}

type Explain = fn(&'static str, &'static str) -> Explanation;

twins! {
    literals at "/v1" {
        exact "/" => respond(200, "root"),
        "/a" => respond(200, "a"),
        GET "/a/b" => respond(200, "a b"),
        exact "/b/" => respond(200, "b slash"),
        exact "/b" => respond(200, "b"),
    }
    prefix_of_all at "/v1" {
        "/" => respond(200, "all"),
        POST "/a" => respond(200, "a"),
    }
    parameters at "/v1/{tenant}" {
        "/{x}" => respond(200, "x"),
        GET "/{x}/b" => respond(200, "x b"),
        "/{n: int}" => respond(200, "number"),
        "/a/{*rest}" => respond(200, "rest"),
        GET "/{v: \"a\" | \"b\"}/7" => respond(200, "seven"),
    }
    rest at "/v1" {
        "/{*rest}" => respond(200, "rest"),
        GET | REPORT "/a" => respond(200, "a"),
    }
    guards at "/v1" {
        "/a" if query("q").is("1") => respond(200, "guarded"),
        GET "/a" => respond(200, "a"),
        PURGE "/a/b" if header("x").exists() => respond(200, "purged"),
    }
    deep at "/v1/a" {
        GET exact "/" => respond(200, "root"),
        "/b" { POST "/" => respond(200, "b"), exact "/7" => respond(200, "seven"), }
    }
}

/// All paths of so many segments.
fn paths(depth: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..depth {
        last = last
            .iter()
            .flat_map(|path| ["", "v1", "a", "b", "7", "x"].map(|part| format!("{path}/{part}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn a_mounted_gateway_is_matched_as_a_scope_with_its_routes() {
    let urls: Vec<&'static str> = paths(4)
        .into_iter()
        .flat_map(|path| [path.clone(), format!("{path}?q=1")])
        .map(|url| &*url.leak())
        .collect();
    for (name, _, mounted, scoped) in twins() {
        let mut reached = 0;
        for url in &urls {
            for method in ["GET", "HEAD", "POST", "REPORT", "PURGE", "LOCK"] {
                let (found, wanted) = (mounted(method, url), scoped(method, url));
                let rows = |explanation: &Explanation| -> Vec<String> {
                    let rows = explanation.considered().iter();
                    rows.map(|row| format!("{} {}: {:?}", row.route, row.route.target, row.verdict))
                        .collect()
                };
                assert_eq!(rows(&found), rows(&wanted), "{name}: {method} {url}");
                assert_eq!(found.status(), wanted.status(), "{name}: {method} {url}");
                reached += usize::from(found.route().is_some_and(|route| route.path != "/"));
            }
        }
        assert!(reached > 20, "{name}: {reached}");
    }
}

#[test]
fn the_routes_of_a_mounted_gateway_are_rows_as_those_of_a_scope() {
    let rows =
        |routes: prox::Routes| -> Vec<String> { routes.iter().map(ToString::to_string).collect() };
    assert_eq!(
        rows(parameters::Mounted::ROUTES),
        rows(parameters::Scoped::ROUTES)
    );
    assert_eq!(rows(deep::Mounted::ROUTES), rows(deep::Scoped::ROUTES));
}

/// Adds its name to the way there and the way back.
struct Mark(&'static str);

impl Middleware for Mark {
    async fn handle(&self, mut req: Request, next: Next) -> Response {
        req.headers_mut()
            .append("x-way", HeaderValue::from_static(self.0));
        let mut response = next.run(req).await;
        response
            .headers_mut()
            .append("x-back", HeaderValue::from_static(self.0));
        response
    }
}

async fn told(req: Request) -> impl IntoResponse {
    let params = ["tenant", "id"].map(|name| req.param(name).unwrap_or("-").to_owned());
    let route = req.route().map_or("", |route| route.path);
    format!("{route} {} {}", params.join(" "), req.uri().path())
}

mod orders {
    use super::{Mark, told};

    prox::gateway! {
        pub struct Orders { url: prox::Endpoint }

        env ORDERS_TEXT: String = "orders";

        backend orders = cluster(rr, [url]);

        with [Mark("inner")];

        GET "/{id: int}" => handler(told) with [Mark("route")],
        "/raw" => orders,
        "/rewritten/{id}" => orders.rewrite("/up/{id}"),
        "/prefix" => orders.rewrite("/below"),
        "/moved" => redirect(308, "/elsewhere{below}{query}"),
        "/text" => respond(200, ORDERS_TEXT),
        "/path" if |parts| parts.uri.path().ends_with("/path/guarded") => respond(200, "guarded"),
        GET | PURGE "/cache" => respond(200, "purged"),
        "/readyz" => prox::readiness(),
    }
}

prox::gateway! {
    struct Edge { url: prox::Endpoint }

    with [Mark("edge")];

    "/v1" => gateway(orders::Orders::new(url.clone())) with [Mark("mount")],
    "/t/{tenant}" => gateway(orders::Orders::new(url)),
    REPORT "/v1/cache" => respond(200, "reported"),
    host "orders.test" { "/" => gateway(orders::Orders::new("http://127.0.0.1:1".parse().expect("an endpoint"))), }
}

async fn edge() -> (Origin, Served) {
    let origin = Origin::start(Reply::ok("up")).await;
    let edge = Edge::with_env([("ORDERS_TEXT", "from the whole")], origin.endpoint());
    (
        origin,
        Served::start(edge.expect("the gateway can start")).await,
    )
}

async fn asked(served: &Served, method: &str, target: &str, lines: &str) -> Answer {
    let mut client = served.client().await;
    client.send(head(method, target, lines)).await;
    client.response(method).await
}

#[tokio::test]
async fn layers_of_the_mount_are_around_those_of_the_gateway() {
    let (_origin, served) = edge().await;
    let answer = served.get("/v1/7").await.expect(200);
    assert_eq!(answer.text(), "/v1/{id: int} - 7 /v1/7");
    assert_eq!(
        answer.head.fields.all("x-back"),
        ["route", "inner", "mount", "edge"]
    );
    let answer = served.get("/t/acme/7").await.expect(200);
    assert_eq!(answer.text(), "/t/{tenant}/{id: int} acme 7 /t/acme/7");
    assert_eq!(answer.head.fields.all("x-back"), ["route", "inner", "edge"]);
}

#[tokio::test]
async fn what_no_route_of_it_takes_passes_its_layers() {
    let (_origin, served) = edge().await;
    let answer = served.get("/v1/nothing").await.expect(404);
    assert_eq!(answer.head.fields.all("x-back"), ["inner", "mount", "edge"]);
    let answer = served.get("/nothing").await.expect(404);
    assert_eq!(answer.head.fields.all("x-back"), ["edge"]);
    // The outer route has the same path, so what is around both sees the refusal.
    let answer = asked(&served, "PUT", "/v1/cache", "").await.expect(405);
    assert_eq!(answer.field("allow"), Some("GET, HEAD, REPORT, PURGE"));
    assert_eq!(answer.head.fields.all("x-back"), ["edge"]);
    for (method, text) in [
        ("REPORT", "reported"),
        ("PURGE", "purged"),
        ("GET", "purged"),
    ] {
        let answer = asked(&served, method, "/v1/cache", "").await.expect(200);
        assert_eq!(answer.text(), text, "{method}");
    }
}

#[tokio::test]
async fn upstreams_get_the_whole_path_unless_it_is_rewritten() {
    let (origin, served) = edge().await;
    for (asked, wanted) in [
        ("/v1/raw/x?q=1", "/v1/raw/x?q=1"),
        ("/v1/rewritten/7", "/up/7"),
        ("/v1/prefix/x", "/below/x"),
        ("/t/acme/prefix", "/below"),
        ("/t/acme/raw", "/t/acme/raw"),
    ] {
        served.get(asked).await.expect(200);
        assert_eq!(origin.last().target(), wanted, "{asked}");
    }
    let answer = served.get("/v1/moved/x?q=1").await.expect(308);
    assert_eq!(answer.field("location"), Some("/elsewhere/x?q=1"));
    let answer = served.get("/v1/path/guarded").await.expect(200);
    assert_eq!(answer.text(), "guarded", "guards see the whole path");
    served.get("/v1/path/other").await.expect(404);
}

#[tokio::test]
async fn a_host_can_be_a_gateway_of_its_own() {
    let (_origin, served) = edge().await;
    let answer = asked(&served, "GET", "/7", "").await;
    answer.expect(404);
    let mut client = served.client().await;
    client
        .send("GET /7 HTTP/1.1\r\nHost: orders.test\r\n\r\n")
        .await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(answer.text(), "/{id: int} - 7 /7");
}

#[tokio::test]
async fn variables_and_backends_are_those_of_the_whole() {
    let (origin, served) = edge().await;
    let answer = served.get("/v1/text").await.expect(200);
    assert_eq!(answer.text(), "from the whole");
    let names: Vec<&str> = Edge::ENV.iter().map(|variable| variable.name).collect();
    assert_eq!(names, ["ORDERS_TEXT"]);
    let edge = Edge::new(origin.endpoint()).expect("the gateway can start");
    assert!(edge.backend("orders").is_some());
    let error = Edge::with_env([("OTHER", "x")], origin.endpoint()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "OTHER is given in code, but the gateway has no `env OTHER`: it reads ORDERS_TEXT"
    );
    let rows: Vec<&str> = Edge::ROUTES.iter().map(|route| route.host).collect();
    assert_eq!(
        rows.iter().filter(|host| **host == "orders.test").count(),
        9
    );
    assert!(
        Edge::ROUTES
            .iter()
            .all(|row| row.line > 0 && row.file.ends_with("mounts.rs"))
    );
}

mod required {
    prox::gateway! {
        pub struct Stock;

        env STOCK_URL: Endpoint;
        env SHARED: u16 = 1;
        env LIMIT: Option<u16>;

        backend stock = cluster(rr, [STOCK_URL]).required();

        "/" => stock,
        "/limits" => respond(200, format!("{SHARED} {LIMIT:?}")),
    }

    prox::gateway! {
        pub struct Fields { text: String }

        env FIELDS_URL: Endpoint;

        "/" => cluster(rr, [FIELDS_URL]),
        "/text" => respond(200, text),
    }

    /// In the middle, so that there are gateways within a mounted gateway.
    pub(super) mod middle {
        prox::gateway! {
            pub struct Middle;

            env SHARED: u16 = 1;

            "/stock" => gateway(super::Stock),
            "/shared" => respond(200, SHARED.to_string()),
        }
    }
}

prox::gateway! {
    struct Whole;

    env TEXT: String;
    env SHARED: u16;

    "/middle" => gateway(required::middle::Middle),
    "/fields" => gateway(required::Fields::new(format!("{TEXT} {SHARED}"))),
    "/readyz" => prox::readiness(),
}

#[test]
fn what_is_wrong_with_the_variables_of_all_is_said_at_once() {
    let error = Whole::with_env([("SHARED", "x"), ("LIMIT", "y")]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("5 environment variables"), "{text}");
    for line in [
        "TEXT is not set",
        "SHARED is \"x\", which is not a u16",
        "STOCK_URL is not set",
        "LIMIT is \"y\", which is not a Option<u16>",
        "FIELDS_URL is not set",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line} in {text}");
    }
    let error = Whole::with_env([("TEXT", "x"), ("SHARED", "2")]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("2 environment variables"), "{text}");
    assert!(!text.contains("no target"), "{text}");
}

#[test]
fn a_variable_that_one_of_them_cannot_do_without_is_required() {
    let rows: Vec<(&str, Option<&str>)> = Whole::ENV
        .iter()
        .map(|variable| (variable.name, variable.default))
        .collect();
    assert_eq!(
        rows,
        [
            ("TEXT", None),
            ("SHARED", None),
            ("STOCK_URL", None),
            ("LIMIT", None),
            ("FIELDS_URL", None),
        ]
    );
}

#[tokio::test]
async fn readiness_and_draining_are_those_of_the_whole() {
    let origin = Origin::start(Reply::ok("up")).await;
    let whole = Whole::with_env([
        ("TEXT", "text".to_owned()),
        ("SHARED", "2".to_owned()),
        ("STOCK_URL", origin.url()),
        ("FIELDS_URL", origin.url()),
    ]);
    let whole = whole.expect("the gateway can start");
    let served = Served::start(prox::Gateway::clone(&whole)).await;
    served.get("/readyz").await.expect(200);
    let answer = served.get("/middle/stock/limits").await.expect(200);
    assert_eq!(answer.text(), "2 None");
    assert_eq!(served.get("/middle/shared").await.text(), "2");
    assert_eq!(served.get("/fields/text").await.text(), "text 2");
    served.get("/middle/stock/x").await.expect(200);
    let stock = whole.backend("stock").expect("the gateway owns it").clone();
    assert_eq!(origin.last().target(), "/middle/stock/x");
    assert_eq!(stock.endpoints().len(), 1);
    assert!(whole.is_ready());
    whole.drain();
    served.get("/readyz").await.expect(503);
}

/// Knows callers by a field, and writes who they are for upstreams.
#[derive(Clone)]
struct Word;

impl Authenticate for Word {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        match parts.headers.remove("x-word") {
            None => Verdict::Absent,
            Some(_) => Verdict::Admitted(Principal::new("word", "ada")),
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static("Word"))
    }

    fn about(&self, about: &mut About) {
        about.sets(HeaderName::from_static("x-who"));
    }
}

/// Says nothing of who may enter by its type.
struct Silent;

impl Middleware for Silent {
    async fn handle(&self, req: Request, next: Next) -> Response {
        next.run(req).await
    }

    fn about(&self, about: &mut About) {
        about.role(Role::Admits);
    }
}

impl Declares for Silent {
    type Role = role::Admits;
}

mod guarded {
    pub(super) mod open {
        prox::gateway! {
            pub struct Open;
            with [super::super::Mark("open")];
            GET "/one" => respond(200, "one"),
            GET "/two" => respond(200, "two") with [super::super::Word],
        }
    }
    pub(super) mod closed {
        prox::gateway! {
            pub struct Closed;
            require auth;
            with [super::super::Word];
            GET "/one" => respond(200, "one"),
        }
    }
    pub(super) mod public {
        prox::gateway! {
            pub struct Anybody;
            require auth;
            GET "/one" => respond(200, "one") with [public],
        }
    }
}

fn problem(gateway: prox::Result<prox::Gateway>) -> String {
    gateway.expect_err("it cannot start").to_string()
}

#[tokio::test]
async fn a_mount_does_not_get_around_require_auth() {
    let text = problem(prox::gateway! {
        require auth;
        "/open" => gateway(guarded::open::Open),
        "/closed" => gateway(guarded::closed::Closed),
    });
    assert_eq!(
        text,
        "route `GET /open/one`: this route has no authentication layer: add an authenticator around it, or `public` to allow anonymous requests"
    );
    let text = problem(prox::gateway! {
        require auth;
        "/anybody" => gateway(guarded::public::Anybody) with [Word],
    });
    assert!(
        text.starts_with(
            "route `GET /anybody/one`: `public`: `public` has no effect after a layer that rejects callers"
        ),
        "{text}"
    );
    let served = Served::start(prox::gateway! {
        require auth;
        "/open" => gateway(guarded::open::Open) with [Word],
        "/closed" => gateway(guarded::closed::Closed),
        "/anybody" => gateway(guarded::public::Anybody),
    })
    .await;
    for (target, status) in [
        ("/open/one", 401),
        ("/closed/one", 401),
        ("/anybody/one", 200),
    ] {
        served.get(target).await.expect(status);
        asked(&served, "GET", target, "X-Word: x\r\n")
            .await
            .expect(200);
    }
    // A path that is not there tells strangers nothing.
    served.get("/closed/nothing").await.expect(401);
    asked(&served, "GET", "/closed/nothing", "X-Word: x\r\n")
        .await
        .expect(404);
}

#[tokio::test]
async fn what_a_mounted_gateway_guards_is_guarded_everywhere() {
    let origin = Origin::start(Reply::ok("up")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        "/" => url,
        "/closed" => gateway(guarded::closed::Closed),
        "/silent" => respond(200, "") with [Silent],
    };
    let gateway = gateway.expect("the gateway can start");
    let public: Vec<String> = gateway.public_routes().map(ToString::to_string).collect();
    assert_eq!(public, ["/"]);
    let served = Served::start(gateway).await;
    asked(&served, "GET", "/x", "X-Who: root\r\nX-Other: 1\r\n")
        .await
        .expect(200);
    assert!(origin.last().lacks("x-who"));
    assert_eq!(origin.last().field("x-other"), Some("1"));
}

mod browsers {
    prox::gateway! {
        pub struct Api;
        with [super::Cors::origins(["https://shop.test"])];
        GET "/items" => respond(200, "items"),
        DELETE "/items/{id}" => respond(204, ""),
    }
}

#[tokio::test]
async fn preflights_reach_the_layers_of_a_mounted_gateway() {
    let served = Served::start(prox::gateway! {
        "/api" => gateway(browsers::Api),
        "/api/other" => respond(200, "other"),
    })
    .await;
    let lines = "Origin: https://shop.test\r\nAccess-Control-Request-Method: DELETE\r\n";
    let answer = asked(&served, "OPTIONS", "/api/items/7", lines)
        .await
        .expect(204);
    assert_eq!(
        answer.field("access-control-allow-origin"),
        Some("https://shop.test")
    );
    assert_eq!(
        answer.field("access-control-allow-methods"),
        Some("GET, HEAD, DELETE")
    );
    let answer = asked(&served, "OPTIONS", "/api/other", lines).await;
    assert_eq!(answer.field("access-control-allow-origin"), None);
}

#[test]
fn explain_knows_the_routes_of_mounted_gateways() {
    let explained = Edge::explain("PURGE", "/v1/cache");
    let row = explained.route().expect("it is taken");
    assert_eq!((row.path, row.methods), ("/v1/cache", "GET|PURGE"));
    assert_eq!(
        row.layers,
        ["Mark(\"edge\")", "Mark(\"mount\")", "Mark(\"inner\")"]
    );
    let explained = Edge::explain("GET", "https://orders.test/7");
    assert_eq!(explained.route().map(|row| row.host), Some("orders.test"));
    let explained = Edge::explain("PUT", "/v1/cache");
    assert!(
        explained
            .to_string()
            .ends_with("405: the path takes GET, HEAD, REPORT, PURGE\n"),
        "{explained}"
    );
}

#[tokio::test]
async fn hosts_of_a_mounted_gateway_narrow_those_of_the_mount() {
    mod hosts {
        prox::gateway! {
            pub struct Hosts;
            host "a.test" { "/" => respond(200, "a"), }
            "/" => respond(200, "other"),
        }
    }
    let served = Served::start(prox::gateway! {
        host "*.test" { "/in" => gateway(hosts::Hosts), "/" => respond(200, "outside"), }
    })
    .await;
    for (host, target, text) in [
        ("a.test", "/in/x", "a"),
        ("b.test", "/in", "other"),
        ("a.test", "/x", "outside"),
    ] {
        let mut client = served.client().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(client.response("GET").await.expect(200).text(), text);
    }
}

mod lines {
    prox::gateway! {
        pub struct Lines;

        on "internal" { "/metrics" => respond(200, "metrics"), }
        "/" => respond(200, "all"),
    }
}

prox::gateway! {
    struct OnLines;

    "/app" => gateway(lines::Lines),
    on "internal" { "/inner" => gateway(lines::Lines), }
}

#[test]
fn routes_for_one_listener_are_those_of_mounted_gateways_too() {
    let every = OnLines::describe().expect("it has a name");
    let internal = every.on("internal").expect("the mounted gateway has it");
    let target =
        |on: &prox::Description, url: &str| on.explain("GET", url).route().map(|row| row.target);
    let (metrics, all) = (
        Some("respond(200, \"metrics\")"),
        Some("respond(200, \"all\")"),
    );
    assert_eq!(target(&internal, "/app/metrics"), metrics);
    assert_eq!(target(&every, "/app/metrics"), all);
    assert_eq!(target(&internal, "/inner/metrics"), metrics);
    assert_eq!(target(&internal, "/inner/x"), all);
    assert_eq!(target(&every, "/inner/x"), None);
    assert_eq!(every.listeners().collect::<Vec<_>>(), ["internal"]);
}
