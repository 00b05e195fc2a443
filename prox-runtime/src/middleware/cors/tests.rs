use http::{HeaderMap, Request as HttpRequest};

use super::*;
use crate::{
    handler::{Request, handler},
    middleware::{IntoLayer, Next},
};

const SHOP: &str = "https://shop.test";

/// A request with these fields.
fn request(method: &str, fields: &[(&str, &str)]) -> Request {
    let mut builder = HttpRequest::builder().method(method).uri("/notes");
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::empty()).unwrap()
}

fn preflight(origin: &str, method: &str, announces: &str) -> Request {
    request(
        "OPTIONS",
        &[
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", announces),
        ],
    )
}

/// What an upstream says that has rules of its own.
async fn upstream(_: Request) -> Response {
    let mut response = Response::new(Body::from("upstream"));
    let fields = response.headers_mut();
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-inner"),
        ("vary", "Accept-Encoding"),
    ] {
        fields.append(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer<O: 'static>(cors: &Cors<O>, req: Request) -> Response {
    cors.handle(req, Next::new(handler(upstream))).await
}

/// The fields of CORS without their common prefix, in order, and `vary`.
fn told(headers: &HeaderMap) -> Vec<String> {
    let mut told: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str();
            let name = name
                .strip_prefix("access-control-")
                .or((name == "vary").then_some(name))?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        })
        .collect();
    told.sort();
    told
}

fn problems<O: 'static>(cors: Cors<O>) -> Vec<String> {
    cors.into_layer().about().problems().to_vec()
}

#[tokio::test]
async fn a_preflight_is_allowed_by_origin_method_and_fields() {
    let cors = Cors::origins([SHOP, "https://*.preview.test"])
        .methods(["GET", "PUT", "PURGE"])
        .headers(["Content-Type", "X-Tenant"]);
    for (origin, method, announces, status) in [
        (SHOP, "PUT", "", 204),
        (SHOP, "PUT", "x-tenant", 204),
        (SHOP, "PUT", "X-TENANT , content-type,", 204),
        (SHOP, "PURGE", "", 204),
        ("https://a.preview.test", "GET", "", 204),
        (SHOP, "POST", "", 403),
        (SHOP, "put", "", 403),
        (SHOP, "PUT", "authorization", 403),
        (SHOP, "PUT", "x-tenant, x-other", 403),
        (SHOP, "PUT", "*", 403),
        ("https://evil.test", "PUT", "", 403),
        ("null", "PUT", "", 403),
        ("", "PUT", "", 403),
        ("https://shop.test https://evil.test", "PUT", "", 403),
    ] {
        let case = format!("{origin} {method} {announces}");
        let response = answer(&cors, preflight(origin, method, announces)).await;
        assert_eq!(response.status(), status, "{case}");
        let failure = response.extensions().get::<Failure>();
        assert_eq!(failure.is_some(), status == 403, "{case}");
        let allowed = response.headers().get("access-control-allow-origin");
        let listed = [SHOP, "https://a.preview.test"].contains(&origin);
        assert_eq!(allowed.is_some(), listed, "{case}");
        if !listed {
            let vary =
                "vary: origin, access-control-request-method, access-control-request-headers";
            assert_eq!(told(response.headers()), [vary], "{case}");
        }
    }
}

#[tokio::test]
async fn the_answer_to_a_preflight_has_all_fields() {
    let cors = Cors::origins([SHOP])
        .credentials()
        .expose(["x-total"])
        .max_age(Duration::from_mins(1))
        .private_network();
    let mut req = preflight(SHOP, "POST", "");
    req.extensions_mut().insert(Answerable(
        Methods::of(&Method::POST).union(Methods::of(&Method::GET)),
    ));
    let response = answer(&cors, req).await;
    let vary = "vary: origin, access-control-request-method, access-control-request-headers";
    assert_eq!(
        told(response.headers()),
        [
            "allow-credentials: true",
            "allow-headers: content-type, authorization",
            "allow-methods: GET, POST",
            "allow-origin: https://shop.test",
            "max-age: 60",
            vary,
        ]
    );
    let mut req = preflight(SHOP, "POST", "");
    req.headers_mut().insert(
        "access-control-request-private-network",
        HeaderValue::from_static("true"),
    );
    let response = answer(&cors, req).await;
    assert_eq!(
        response.headers()["access-control-allow-private-network"],
        "true"
    );
}

#[tokio::test]
async fn a_method_of_a_route_that_has_not_this_layer_is_never_told() {
    let get = Methods::of(&Method::GET);
    let cors = Cors::origins([SHOP]).methods(["GET", "DELETE"]);
    let mut req = preflight(SHOP, "GET", "");
    req.extensions_mut().insert(Answerable(get));
    let response = answer(&cors, req).await;
    assert_eq!(response.headers()["access-control-allow-methods"], "GET");
    // It goes on to what answers `405` there. A success of another route is not a permission.
    for (status, allowed) in [(405, true), (200, false)] {
        let mut req = preflight(SHOP, "DELETE", "");
        req.extensions_mut().insert(Answerable(get));
        let inner = StatusCode::from_u16(status).unwrap();
        let next = Next::new(handler(move |_| async move { inner }));
        let response = cors.handle(req, next).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(headers.contains_key("access-control-allow-origin"), allowed);
        assert!(!headers.contains_key("access-control-allow-methods"));
    }
}

#[tokio::test]
async fn options_that_are_not_a_preflight_pass() {
    let cors = Cors::origins([SHOP]);
    for fields in [
        &[][..],
        &[("origin", SHOP)],
        &[("access-control-request-method", "PUT")],
        &[
            ("origin", SHOP),
            ("access-control-request-method", "NO METHOD"),
        ],
    ] {
        let response = answer(&cors, request("OPTIONS", fields)).await;
        assert_eq!(response.status(), 200, "{fields:?}");
        assert_eq!(response.into_body().bytes(64).await.unwrap(), "upstream");
    }
}

#[tokio::test]
async fn an_ordinary_request_passes_and_only_the_layer_speaks_of_origins() {
    let listed = Cors::origins([SHOP])
        .credentials()
        .expose(["X-Total", "etag"]);
    let allowed = [
        "allow-credentials: true",
        "allow-origin: https://shop.test",
        "expose-headers: x-total, etag",
        "vary: Accept-Encoding",
        "vary: origin",
    ];
    let silent = ["vary: Accept-Encoding", "vary: origin"];
    for (origins, expected) in [
        (&[SHOP][..], &allowed[..]),
        (&[], &silent),
        (&["https://evil.test"], &silent),
        (&["null"], &silent),
        (&[SHOP, SHOP], &silent),
        (&["https://evil.test", SHOP], &silent),
    ] {
        let fields: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
        let response = answer(&listed, request("POST", &fields)).await;
        assert_eq!(response.status(), 200, "{origins:?}");
        assert_eq!(told(response.headers()), expected, "{origins:?}");
    }
    for fields in [&[][..], &[("origin", "null")]] {
        let response = answer(&Cors::any(), request("GET", fields)).await;
        let expected = ["allow-origin: *", "vary: Accept-Encoding"];
        assert_eq!(told(response.headers()), expected);
    }
}

#[tokio::test]
async fn vary_is_said_once() {
    for (said, expected) in [
        ("Origin", &["Origin"][..]),
        ("accept, ORIGIN", &["accept, ORIGIN"]),
        ("*", &["*"]),
        ("x-origin", &["x-origin", "origin"]),
    ] {
        let target = handler(move |_: Request| async move {
            let mut response = Response::new(Body::empty());
            response
                .headers_mut()
                .insert("vary", HeaderValue::from_static(said));
            response
        });
        let cors = Cors::origins([SHOP]);
        let response = cors.handle(request("GET", &[]), Next::new(target)).await;
        let vary: Vec<_> = response.headers().get_all("vary").iter().collect();
        assert_eq!(vary, expected);
    }
}

#[tokio::test]
async fn a_function_decides_by_the_request_and_never_on_null() {
    let cors = Cors::origin_if(|origin, parts| {
        assert_ne!(origin, "null");
        origin == SHOP && parts.uri.path() == "/notes"
    });
    for (origin, allowed) in [(SHOP, true), ("https://evil.test", false), ("null", false)] {
        let response = answer(&cors, request("GET", &[("origin", origin)])).await;
        let headers = response.headers();
        assert_eq!(headers.contains_key("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn of_two_layers_the_outer_one_counts() {
    let inner = Cors::any().into_layer();
    let outer = Cors::origins([SHOP]).into_layer();
    let chain = outer.wrap(inner.wrap(crate::handler::BoxHandler::new(handler(upstream))));
    let response = chain.call(request("GET", &[("origin", SHOP)])).await;
    let expected = [
        "allow-origin: https://shop.test",
        "vary: Accept-Encoding",
        "vary: origin",
    ];
    assert_eq!(told(response.headers()), expected);
    let response = chain.call(preflight("https://evil.test", "PUT", "")).await;
    assert_eq!(response.status(), 403);
}

#[test]
fn every_wrong_option_is_a_problem_that_names_the_value() {
    let cors = Cors::origins(["shop.test", SHOP, "*"])
        .methods(["get", "TRACE", "A B", "*", "PUT", "PURGE"])
        .headers(["x y", "*", "x-tenant"])
        .expose(["\u{e9}"]);
    assert_eq!(
        problems(cors),
        [
            "`Cors`: \"shop.test\" is not an origin: its scheme is missing, write \"https://shop.test\"",
            "`Cors`: \"*\" is not an origin: write `Cors::any()` to allow every origin",
            "`Cors`: methods have upper case, write \"GET\" for \"get\"",
            "`Cors`: no browser sends \"TRACE\", remove it",
            "`Cors`: \"A B\" is not a method, write one such as \"PUT\"",
            "`Cors`: \"*\" is not a method, write one such as \"PUT\"",
            "`Cors`: \"x y\" is not the name of a field",
            "`Cors`: \"*\" does not name a field, write the names",
            "`Cors`: \"\u{e9}\" is not the name of a field",
        ]
    );
    assert_eq!(problems(Cors::any().methods(["PUT"])), [""; 0]);
}
