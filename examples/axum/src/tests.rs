//! Who answers what, in both ways.

use axum::body::Body;
use prox::{
    Env, Failure,
    http::{Request, StatusCode},
    testing::Testable,
};
use tower::ServiceExt;

use super::{Outside, embedded, router};

#[tokio::test(start_paused = true)]
async fn the_router_is_a_target_of_the_gateway() {
    let outside = Outside::test().start(|| Outside::new(router()));
    outside.legacy.on("GET", "/elsewhere").reply_with("legacy");
    let own = outside.get("/own/7").await;
    own.is(200).body_is("number 7, answered by axum\n");
    own.by_route("/own").from_no_backend();
    outside.get("/own/seven").await.is(400);
    let elsewhere = outside.get("/elsewhere").await;
    elsewhere.is(200).body_is("legacy").from_backend("legacy");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_the_gateway_holds_for_the_router() {
    let outside = Outside::test().start(|| Outside::new(router()));
    for _ in 0..20 {
        outside.get("/own").from("192.0.2.7").await.is(200);
    }
    let refused = outside.get("/own").from("192.0.2.7").await;
    refused.is(429).failed_with(Failure::RateLimited);
    outside.get("/own").from("192.0.2.8").await.is(200);
}

#[tokio::test]
async fn the_gateway_takes_what_the_router_does_not_know() {
    // Nothing listens on this port.
    let env = Env::empty().set("LEGACY_URL", "http://127.0.0.1:1");
    let legacy = env.within(embedded).expect("a gateway");
    let router = router().fallback_service(legacy);
    for (path, status) in [
        ("/own", StatusCode::OK),
        ("/elsewhere", StatusCode::BAD_GATEWAY),
    ] {
        let request = Request::get(path)
            .header("host", "shop.test")
            .body(Body::empty())
            .expect("a request");
        let response = router.clone().oneshot(request).await.expect("a response");
        assert_eq!(response.status(), status, "{path}");
    }
}
