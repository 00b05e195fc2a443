//! Which route wins: a table of requests that run against gateways whose routes say their own names.

use std::collections::HashMap;

use prox::{IntoResponse, Request, RequestExt};
use prox_tests::{gateway::Served, table, wire::lines};
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    gateway: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default = "any_host")]
    host: String,
    path: String,
    #[serde(default)]
    headers: Vec<String>,
    /// The name of the route that answers.
    route: Option<String>,
    #[serde(default = "ok")]
    status: u16,
    allow: Option<String>,
}

fn get() -> String {
    "GET".into()
}

fn any_host() -> String {
    "gateway.test".into()
}

fn ok() -> u16 {
    200
}

/// Says what was captured.
async fn params(req: Request) -> impl IntoResponse {
    let names = ["id", "x", "y", "rest"];
    let found = names.map(|name| req.param(name).map(|value| format!("{name}={value}")));
    found.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

type Named = [(&'static str, prox::Result<prox::Gateway>)];

/// What decides is the place: host and path.
fn by_place() -> Box<Named> {
    Box::new([
        (
            "hosts",
            prox::gateway! {
                host "api.example.com" { "/" => respond(200, "exact") }
                host "*.example.com" { "/" => respond(200, "suffix") }
                host "*.deep.example.com" { "/only" => respond(200, "longer suffix") }
                host "a.test" | "b.test" { "/" => respond(200, "either") }
                host "[::1]" | "127.0.0.1" { "/" => respond(200, "address") }
                "/" => respond(200, "any"),
            },
        ),
        (
            "hosts only",
            prox::gateway! {
                host "api.example.com" { "/" => respond(200, "exact") }
            },
        ),
        (
            "paths",
            prox::gateway! {
                exact "/"              => respond(200, "root"),
                "/api"                 => respond(200, "prefix"),
                exact "/api"           => respond(200, "exact"),
                "/api/users"           => respond(200, "longer prefix"),
                exact "/exact"         => respond(200, "exact alone"),
                exact "/exact/slash/"  => respond(200, "exact slash"),
                "/caf%C3%A9"           => respond(200, "escaped"),
            },
        ),
        (
            "params",
            prox::gateway! {
                "/users/{id}"          => handler(params),
                "/users/me"            => respond(200, "literal"),
                "/users/{id}/orders"   => respond(200, "orders"),
                exact "/exact/{id}"    => handler(params),
                "/two/{x}/and/{y}"     => handler(params),
                "/files/{*rest}"       => handler(params),
                "/files/known"         => respond(200, "known file"),
                "/mixed/{x}/{*rest}"   => handler(params),
            },
        ),
    ])
}

/// What decides is the request beside its place, or a scope around it.
fn by_request() -> Box<Named> {
    let post_json = |parts: &prox::Parts| {
        parts
            .headers
            .get("content-type")
            .is_some_and(|kind| kind == "application/json")
    };
    Box::new([
        (
            "methods",
            prox::gateway! {
                GET "/read"            => respond(200, "read"),
                POST "/read"           => respond(200, "write"),
                GET | PUT "/both"      => respond(200, "both"),
                GET "/head"            => respond(200, "get"),
                HEAD "/head"           => respond(204, ""),
                "/all"                 => respond(200, "all"),
                DELETE "/all/but"      => respond(200, "delete"),
                GET "/tree"            => respond(200, "tree"),
                POST "/tree/leaf"      => respond(200, "leaf"),
            },
        ),
        (
            "guards",
            prox::gateway! {
                "/header"   if header("x-beta").is("1")            => respond(200, "is 1"),
                "/header"                                          => respond(200, "otherwise"),
                "/exists"   if header("X-Beta").exists()           => respond(200, "exists"),
                "/starts"   if header("x-beta").starts_with("on-") => respond(200, "starts"),
                "/query"    if query("v").is("2")                  => respond(200, "v2"),
                "/query"                                           => respond(200, "v1"),
                "/cookie"   if cookie("canary").is("yes")          => respond(200, "canary"),
                "/cookie"                                          => respond(200, "stable"),
                "/closure"  if post_json                           => respond(200, "json"),
                "/closure"                                         => respond(200, "no json"),
                "/ip"       if client_ip().within("127.0.0.0/8")   => respond(200, "local"),
                "/not-here" if client_ip().within("10.0.0.0/8")    => respond(200, "ten"),
                GET "/only" if header("x-beta").is("1")            => respond(200, "guarded get"),
            },
        ),
        (
            "scopes",
            prox::gateway! {
                "/v1" {
                    "/"           => respond(200, "v1"),
                    exact "/"     => respond(200, "v1 itself"),
                    "/users" {
                        GET "/{id}"  => handler(params),
                        POST exact "/" => respond(201, "made"),
                    }
                }
                host "h.test" {
                    "/v1" { "/users" => respond(200, "of the host") }
                }
            },
        ),
    ])
}

fn gateways() -> HashMap<&'static str, prox::Gateway> {
    by_place()
        .into_iter()
        .chain(by_request())
        .map(|(name, gateway)| (name, gateway.expect("a gateway of constants can start")))
        .collect()
}

#[tokio::test]
async fn requests_are_routed_as_the_table_says() {
    let mut served = HashMap::new();
    for (name, gateway) in gateways() {
        served.insert(name, Served::start(gateway).await);
    }
    let mut wrong = Vec::new();
    for case in table::load::<Table>("routes.toml").case {
        let mut client = served[case.gateway.as_str()].client().await;
        let (method, path, host) = (&case.method, &case.path, &case.host);
        let lines = lines(&case.headers);
        client
            .send(format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"
            ))
            .await;
        let answer = client.response(method).await;
        let route = case
            .route
            .clone()
            .filter(|_| case.status < 400 && method != "HEAD");
        let as_expected = answer.status == case.status
            && route.is_none_or(|route| route == answer.text())
            && answer.field("allow") == case.allow.as_deref()
            && (method != "HEAD" || answer.text().is_empty());
        if !as_expected {
            let place = format!(
                "{}: {method} {host} {path} {:?}",
                case.gateway, case.headers
            );
            wrong.push(format!(
                "{place}: {} {:?}, Allow {:?}",
                answer.status,
                answer.text(),
                answer.field("allow")
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn explain_names_the_route_that_answers() {
    let gateways = gateways();
    for case in table::load::<Table>("routes.toml").case {
        if !case.headers.is_empty() || case.gateway == "guards" {
            continue;
        }
        let url = format!("http://{}{}", case.host, case.path);
        let explanation = gateways[case.gateway.as_str()].explain(&case.method, &url);
        let refused = explanation.status().map(|status| status.as_u16());
        let wanted = (case.status >= 400).then_some(case.status);
        assert_eq!(refused, wanted, "{} {url}\n{explanation}", case.gateway);
        if refused.is_some() {
            continue;
        }
        let explained = explanation.to_string();
        let Some(route) = case.route.filter(|route| !route.contains('=')) else {
            continue;
        };
        assert!(
            explained.contains(&format!("{route:?}")),
            "{} {url}: {route}\n{explained}",
            case.gateway
        );
    }
}
