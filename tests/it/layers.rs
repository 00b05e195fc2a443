//! What stands in `with [..]`: every form side by side, at every level.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use prox::{IntoResponse, Middleware, Next, Request, Response};
use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
};
use tower::timeout::TimeoutLayer;
use tower_http::cors::CorsLayer;

/// Middleware of the project's own form: adds its name to the way there and the way back.
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

/// Middleware as an async function.
async fn function(mut req: Request, next: Next) -> impl IntoResponse {
    req.headers_mut()
        .append("x-way", HeaderValue::from_static("function"));
    let mut response = next.run(req).await;
    response
        .headers_mut()
        .append("x-back", HeaderValue::from_static("function"));
    response
}

async fn origin() -> Origin {
    Origin::start(Reply::ok("ok")).await
}

#[tokio::test]
async fn every_form_of_layer_stands_beside_the_others() {
    let origin = origin().await;
    let url = origin.endpoint();
    let closure = |mut req: Request, next: Next| async move {
        req.headers_mut()
            .append("x-way", HeaderValue::from_static("closure"));
        next.run(req).await
    };
    let gateway = Served::start(prox::gateway! {
        let limit = TimeoutLayer::new(5s);
        "/" => url with [Mark("first"), limit, function, CorsLayer::permissive(), closure, Mark("last")],
    })
    .await;
    let mut client = gateway.client().await;
    client
        .send(head("GET", "/", "Origin: https://example.com\r\n"))
        .await;
    let answer = client.response("GET").await.expect(200);
    assert_eq!(
        origin.last().head.fields.all("x-way"),
        ["first", "function", "closure", "last"]
    );
    assert_eq!(
        answer.head.fields.all("x-back"),
        ["last", "function", "first"]
    );
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn cors_answers_a_preflight_by_itself() {
    let origin = origin().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url with [CorsLayer::permissive()] }).await;
    let mut client = gateway.client().await;
    let lines = "Origin: https://example.com\r\nAccess-Control-Request-Method: PUT\r\n";
    client.send(head("OPTIONS", "/", lines)).await;
    let answer = client.response("OPTIONS").await.expect(200);
    assert_eq!(answer.field("access-control-allow-methods"), Some("*"));
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn a_timeout_of_tower_is_a_504() {
    let origin = Origin::start(Reply::new().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => url with [TimeoutLayer::new(100ms)],
        "/healthy" => respond(200, "ok"),
    })
    .await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(504);
    origin.left_alone().await;
    client.get("/healthy").await.expect(200);
}

#[tokio::test]
async fn layers_of_every_level_nest_from_the_outside_in() {
    let origin = origin().await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        backend all = cluster(rr, [url]);
        with [Mark("top"), Mark("top 2")];
        host "gateway.test" with [Mark("host")] {
            with [Mark("in host")];
            "/scope" with [Mark("scope")] {
                "/route" => all with [Mark("route"), Mark("route 2")],
                "/bare" => all,
            }
            "/" => all,
        }
    })
    .await;
    let way = async |path: &str| {
        gateway.get(path).await.expect(200);
        origin.last().head.fields.all("x-way").join(", ")
    };
    assert_eq!(
        way("/scope/route").await,
        "top, top 2, host, in host, scope, route, route 2"
    );
    assert_eq!(way("/scope/bare").await, "top, top 2, host, in host, scope");
    assert_eq!(way("/other").await, "top, top 2, host, in host");
}

#[tokio::test]
async fn the_layers_of_the_gateway_see_what_no_route_takes() {
    static SEEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    async fn watch(req: Request, next: Next) -> Response {
        let response = next.run(req).await;
        SEEN.lock().unwrap().push(response.status().as_u16());
        response
    }
    let gateway = Served::start(prox::gateway! {
        with [watch];
        host "gateway.test" with [Mark("host")] { GET "/here" => respond(200, "ok") }
    })
    .await;
    let mut client = gateway.client().await;
    client.get("/here").await.expect(200);
    let missing = client.get("/nowhere").await.expect(404);
    assert!(
        missing.head.fields.lacks("x-back"),
        "a host's layers are for its routes"
    );
    let refused = client.post("/here", "").await.expect(405);
    assert_eq!(refused.field("allow"), Some("GET, HEAD"));
    client.get("/a%2fb").await.expect(400);
    assert_eq!(*SEEN.lock().unwrap(), [200, 404, 405, 400]);
}

#[tokio::test]
async fn a_layer_may_answer_by_itself() {
    let origin = origin().await;
    let url = origin.endpoint();
    let deny = async |_: Request, _: Next| (StatusCode::FORBIDDEN, "not today");
    let gateway = Served::start(prox::gateway! { "/" => url with [Mark("outer"), deny] }).await;
    let answer = gateway.get("/").await.expect(403);
    assert_eq!(
        (answer.text().as_str(), answer.field("x-back")),
        ("not today", Some("outer"))
    );
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn a_layer_that_is_named_once_is_shared_by_its_routes() {
    struct Count(Arc<AtomicUsize>);
    impl Middleware for Count {
        async fn handle(&self, req: Request, next: Next) -> Response {
            self.0.fetch_add(1, SeqCst);
            next.run(req).await
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&count);
    let gateway = Served::start(prox::gateway! {
        let counted = Count(shared);
        "/a" => respond(200, "a") with [counted],
        "/b" => respond(200, "b") with [counted],
    })
    .await;
    gateway.get("/a").await.expect(200);
    gateway.get("/b").await.expect(200);
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test]
async fn a_length_that_a_layer_makes_wrong_by_changing_the_body_is_dropped() {
    let origin = Origin::start(Reply::ok("short")).await;
    let url = origin.endpoint();
    let grow = async |req: Request, next: Next| {
        let (parts, body) = next.run(req).await.into_parts();
        let text = body.bytes(1024).await.unwrap_or_default();
        let mut longer = text.to_vec();
        longer.extend_from_slice(b" and more");
        Response::from_parts(parts, longer.into())
    };
    let gateway = Served::start(prox::gateway! { "/" => url with [grow] }).await;
    let mut client = gateway.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/").await.expect(200).text(), "short and more");
    }
}

#[tokio::test]
async fn a_length_that_a_layer_makes_wrong_in_a_request_is_dropped() {
    let origin = origin().await;
    let url = origin.endpoint();
    let replace = async |req: Request, next: Next| {
        next.run(req.map(|_| prox::Body::from("another body")))
            .await
    };
    let gateway = Served::start(prox::gateway! { "/" => url with [replace] }).await;
    let mut client = gateway.client().await;
    for _ in 0..2 {
        client.post("/", "body").await.expect(200);
        assert_eq!(origin.last().body.text(), "another body");
    }
}

async fn broken(_: Request) -> &'static str {
    panic!("a handler with a bug");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_lives_on() {
    let gateway = Served::start(prox::gateway! {
        with [prox::middleware::Recover::new()];
        "/panics" => handler(broken),
        "/fine" => respond(200, "ok"),
    })
    .await;
    let mut client = gateway.client().await;
    client.get("/panics").await.expect(500);
    client.get("/fine").await.expect(200);
}

#[tokio::test]
async fn a_rate_limit_is_a_429() {
    use prox::middleware::RateLimit;
    let gateway = Served::start(prox::gateway! {
        "/" => respond(200, "ok") with [RateLimit::per_second(1).burst(2)],
    })
    .await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(200);
    client.get("/").await.expect(200);
    let answer = client.get("/").await.expect(429);
    assert!(answer.field("retry-after").is_some(), "{answer:?}");
}

#[tokio::test]
async fn a_layer_that_waits_is_dropped_when_its_client_leaves() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (began, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (starts, ends) = (Arc::clone(&began), Arc::clone(&ended));
    let wait = move |req: Request, next: Next| {
        let guard = Dropped(Arc::clone(&ends));
        starts.fetch_add(1, SeqCst);
        async move {
            tokio::time::sleep(Duration::from_hours(1)).await;
            drop(guard);
            next.run(req).await
        }
    };
    let gateway = Served::start(prox::gateway! { "/" => respond(200, "ok") with [wait] }).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    prox_tests::wait::eventually("the layer to begin", || began.load(SeqCst) == 1).await;
    drop(client);
    prox_tests::wait::eventually("the layer to be dropped", || ended.load(SeqCst) == 1).await;
}
