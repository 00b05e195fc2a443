//! Which layers see the answer to a request that no route takes, and preflights, which need that.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, Method, StatusCode};
use prox::{Body, Middleware, Next, Request, RequestExt, Response};
use prox_tests::{
    client::{Answer, HyperClient, RawClient, Speaks, body, head},
    gateway::Served,
    origin::{Origin, Reply},
};
use tower_http::cors::CorsLayer;

/// Says on an answer that it has passed here, and which route it thought it was for.
struct Mark(&'static str);

impl Middleware for Mark {
    async fn handle(&self, req: Request, next: Next) -> Response {
        let route = req.route().map_or("none", |route| route.path);
        let mut response = next.run(req).await;
        let fields = response.headers_mut();
        fields.append("x-back", HeaderValue::from_static(self.0));
        fields.insert("x-route", HeaderValue::from_static(route));
        response
    }
}

/// Answers preflights of one origin by itself, as somebody might write it.
async fn own(req: Request, next: Next) -> Response {
    let origin = req.headers().get("origin").cloned();
    let asks = req.headers().contains_key("access-control-request-method");
    let mut response = if *req.method() == Method::OPTIONS && asks {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        next.run(req).await
    };
    if let Some(origin) = origin {
        let fields = response.headers_mut();
        fields.insert("access-control-allow-origin", origin);
    }
    response
}

const PREFLIGHT: &str = "Origin: https://shop.test\r\nAccess-Control-Request-Method: ";

async fn preflight(client: &mut RawClient, target: &str, method: &str) -> Answer {
    let lines = format!("{PREFLIGHT}{method}\r\n");
    client.send(head("OPTIONS", target, &lines)).await;
    client.response("OPTIONS").await
}

async fn send(client: &mut RawClient, method: &str, target: &str) -> Answer {
    client.send(head(method, target, "")).await;
    client.response(method).await
}

fn marks(answer: &Answer) -> Vec<&str> {
    answer.head.fields.all("x-back")
}

#[tokio::test]
async fn a_layer_of_a_scope_answers_the_preflight_of_a_route_in_it() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let (a, b) = (origin.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        "/tower" with [CorsLayer::permissive(), Mark("inner")] {
            POST "/notes" => a,
        }
        "/own" with [own, Mark("inner")] {
            POST "/notes" => b,
        }
    })
    .await;
    let mut client = gateway.client().await;
    let answer = preflight(&mut client, "/tower/notes", "POST").await;
    let answer = answer.expect(200);
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.field("access-control-allow-methods"), Some("*"));
    assert_eq!(marks(&answer), [""; 0], "it was answered before that");

    let answer = preflight(&mut client, "/own/notes", "POST").await;
    let answer = answer.expect(204);
    let allowed = answer.field("access-control-allow-origin");
    assert_eq!(allowed, Some("https://shop.test"));
    assert_eq!(origin.count(), 0);

    // The request itself passes as ever, and has the fields as well.
    let lines = "Origin: https://shop.test\r\nContent-Length: 0\r\n";
    client.send(head("POST", "/own/notes", lines)).await;
    let answer = client.response("POST").await.expect(200);
    let allowed = answer.field("access-control-allow-origin");
    assert_eq!(allowed, Some("https://shop.test"));
    assert_eq!(marks(&answer), ["inner"]);
}

#[tokio::test]
async fn a_preflight_over_http2_is_answered_alike() {
    let gateway = Served::start(prox::gateway! {
        "/api" with [CorsLayer::permissive()] {
            POST "/notes" => respond(200, "ok"),
        }
    })
    .await;
    let mut client = HyperClient::speaking(Speaks::Http2, gateway.address()).await;
    let request = http::Request::options(format!("http://{}/api/notes", gateway.address()))
        .header("origin", "https://shop.test")
        .header("access-control-request-method", "POST")
        .body(body(http_body_util::Empty::new()))
        .unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_layers_of_the_route_that_it_asks_for() {
    let gateway = Served::start(prox::gateway! {
        with [Mark("top")];
        "/notes" with [Mark("scope")] {
            GET "/" => respond(200, "list") with [Mark("get")],
            POST "/" => respond(200, "made") with [Mark("post"), own],
            GET "/{id}" => respond(200, "one"),
            DELETE "/{id}" if header("x-admin").exists() => respond(200, "gone") with [own, Mark("delete")],
        }
        GET "/" => respond(200, "home"),
    })
    .await;
    let mut client = gateway.client().await;
    let answer = preflight(&mut client, "/notes", "POST").await.expect(204);
    assert_eq!(marks(&answer), ["post", "scope", "top"]);
    assert_eq!(answer.field("x-route"), Some("/notes"));
    // No layer of this one answers it.
    let answer = preflight(&mut client, "/notes", "GET").await.expect(405);
    assert_eq!(marks(&answer), ["get", "scope", "top"]);
    assert_eq!(answer.field("allow"), Some("GET, HEAD, POST"));
    // A preflight has no field that a guard could hear.
    let answer = preflight(&mut client, "/notes/7", "DELETE").await;
    let answer = answer.expect(204);
    assert_eq!(marks(&answer), ["scope", "top"]);
    assert_eq!(answer.field("x-route"), Some("/notes/{id}"));
    // Nobody takes that: what stands around the path.
    let answer = preflight(&mut client, "/notes/7", "PUT").await.expect(405);
    assert_eq!(marks(&answer), ["scope", "top"]);
    let answer = preflight(&mut client, "/notes/7", "NO METHOD").await;
    assert_eq!(marks(&answer.expect(405)), ["scope", "top"]);
}

#[tokio::test]
async fn options_that_a_route_takes_go_there_though_they_are_a_preflight() {
    let origin = Origin::start(Reply::ok("asked")).await;
    let (a, b) = (origin.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        OPTIONS "/named" => a,
        POST "/named" => respond(200, "made") with [own],
        "/any" => b with [Mark("any")],
    })
    .await;
    let mut client = gateway.client().await;
    for target in ["/named", "/any"] {
        let answer = preflight(&mut client, target, "POST").await.expect(200);
        assert_eq!(answer.text(), "asked", "{target}");
    }
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_405_is_answered_within_what_is_common_to_the_routes_of_the_path() {
    let gateway = Served::start(prox::gateway! {
        with [Mark("top")];
        let shared = Arc::new(Mutex::new(0));
        let counted = move |req: Request, next: Next| {
            *shared.lock().unwrap() += 1;
            next.run(req)
        };
        host "gateway.test" with [Mark("host")] {
            "/one" with [Mark("scope")] {
                POST "/" => respond(200, "made") with [Mark("route"), counted],
            }
            "/two" with [Mark("scope")] {
                GET "/" => respond(200, "list") with [counted, Mark("get")],
                POST "/" => respond(200, "made") with [counted, Mark("post")],
                "/deep" with [Mark("deep")] { POST "/" => respond(200, "deep") }
            }
            POST "/guarded" if header("x-a").exists() => respond(200, "a") with [Mark("a")],
            POST "/guarded" => respond(200, "b") with [Mark("b")],
            GET "/" => respond(200, "home"),
        }
    })
    .await;
    let mut client = gateway.client().await;
    // One route alone: all that stands around it.
    let answer = send(&mut client, "DELETE", "/one").await.expect(405);
    assert_eq!(marks(&answer), ["route", "scope", "host", "top"]);
    assert_eq!(answer.field("allow"), Some("GET, HEAD, POST"));
    assert_eq!(answer.field("x-route"), Some("none"), "no route took it");
    // Two routes: a layer with a name is one layer, and the others of the routes are their own.
    let answer = send(&mut client, "DELETE", "/two").await.expect(405);
    assert_eq!(marks(&answer), ["scope", "host", "top"]);
    // The more specific path, whatever less specific ones there are.
    let answer = send(&mut client, "DELETE", "/two/deep").await.expect(405);
    assert_eq!(marks(&answer), ["deep", "scope", "host", "top"]);
    // A route whose guard refuses has nothing to say.
    let answer = send(&mut client, "DELETE", "/guarded").await.expect(405);
    assert_eq!(marks(&answer), ["b", "host", "top"]);
    client.send(head("DELETE", "/guarded", "X-A: 1\r\n")).await;
    let answer = client.response("DELETE").await.expect(405);
    assert_eq!(marks(&answer), ["host", "top"]);
    // What no route has is seen by the layers of every request alone.
    let answer = send(&mut client, "DELETE", "/elsewhere").await.expect(405);
    assert_eq!(marks(&answer), ["host", "top"], "`GET /` is a prefix");
}

#[tokio::test]
async fn a_404_is_seen_by_the_layers_of_every_request_alone() {
    let gateway = Served::start(prox::gateway! {
        with [Mark("top")];
        "/api" with [Mark("scope")] {
            POST "/notes" => respond(200, "made"),
            POST "/guarded" if header("x-a").exists() => respond(200, "a"),
        }
    })
    .await;
    let mut client = gateway.client().await;
    for target in ["/api/other", "/api/guarded"] {
        let answer = send(&mut client, "POST", target).await.expect(404);
        assert_eq!(marks(&answer), ["top"]);
    }
    // A preflight may ask for what a guard lets pass.
    let answer = preflight(&mut client, "/api/guarded", "POST").await;
    assert_eq!(marks(&answer.expect(404)), ["scope", "top"]);
}

#[tokio::test]
async fn a_layer_keeps_its_state_from_one_refusal_to_the_next() {
    let limit = prox::middleware::RateLimit::per_minute(2);
    let gateway = Served::start(prox::gateway! {
        "/notes" with [limit] {
            POST "/" => respond(200, "made"),
        }
    })
    .await;
    let mut client = gateway.client().await;
    send(&mut client, "GET", "/notes").await.expect(405);
    client.post("/notes", "").await.expect(200);
    send(&mut client, "GET", "/notes").await.expect(429);
}
