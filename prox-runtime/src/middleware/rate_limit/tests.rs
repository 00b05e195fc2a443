use governor::clock::FakeRelativeClock;
use http::HeaderValue;

use super::*;
use crate::{
    body::Body,
    client::Client,
    handler::{BoxHandler, handler},
    middleware::IntoLayer,
};

/// A limit before a handler, and the clock that it goes by.
struct Limited {
    target: BoxHandler,
    clock: FakeRelativeClock,
}

fn limited(limit: RateLimit) -> Limited {
    let clock = FakeRelativeClock::default();
    let layer = limit.with_clock(clock.clone()).into_layer();
    Limited {
        target: layer.wrap(BoxHandler::new(handler(|_| async { "hello" }))),
        clock,
    }
}

impl Limited {
    async fn ask(&self, client: &str) -> Response {
        let mut req = Request::new(Body::empty());
        if let Ok(address) = client.parse::<std::net::IpAddr>() {
            let client = Client::new(Some((address, 1234).into()));
            req.extensions_mut().insert(Arc::new(client));
        } else {
            let name = HeaderValue::from_str(client).unwrap();
            req.headers_mut().insert("x-tenant", name);
        }
        self.target.call(req).await
    }

    async fn allows(&self, client: &str) -> bool {
        self.ask(client).await.status() == 200
    }

    /// How many requests in a row get through.
    async fn run(&self, client: &str) -> u32 {
        let mut passed = 0;
        while passed < 100 && self.allows(client).await {
            passed += 1;
        }
        passed
    }

    fn wait(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

const ANNA: &str = "192.0.2.1";
const BERT: &str = "192.0.2.2";

#[tokio::test]
async fn a_burst_passes_and_then_the_rate() {
    let limited = limited(RateLimit::per_second(100).burst(20));
    assert_eq!(limited.run(ANNA).await, 20);
    limited.wait(9);
    assert_eq!(limited.run(ANNA).await, 0);
    limited.wait(1);
    assert_eq!(limited.run(ANNA).await, 1);
    limited.wait(1000);
    assert_eq!(limited.run(ANNA).await, 20);
}

#[tokio::test]
async fn a_minute_is_sixty_seconds() {
    let limited = limited(RateLimit::per_minute(6));
    assert_eq!(limited.run(ANNA).await, 6);
    limited.wait(30_000);
    assert_eq!(limited.run(ANNA).await, 3);
}

#[tokio::test]
async fn each_client_has_a_bucket_of_its_own() {
    let limited = limited(RateLimit::per_second(1));
    assert!(limited.allows(ANNA).await);
    assert!(limited.allows(BERT).await);
    assert!(!limited.allows(ANNA).await);
    assert!(limited.allows("2001:db8::1").await);
    assert!(!limited.allows("2001:db8::2").await);
}

#[tokio::test]
async fn a_global_limit_is_shared_by_all() {
    let limited = limited(RateLimit::per_second(1).global());
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows(BERT).await);
}

#[tokio::test]
async fn a_key_of_ones_own_counts_instead_of_the_address() {
    let tenant = |parts: &Parts| {
        let tenant = parts.headers.get("x-tenant")?.to_str().ok()?;
        Some(tenant.to_owned())
    };
    let limited = limited(RateLimit::per_second(1).key(tenant));
    assert!(limited.allows("tenant a").await);
    assert!(!limited.allows("tenant a").await);
    assert!(limited.allows("tenant b").await);
    // These have no key.
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows(BERT).await);
}

#[tokio::test]
async fn every_response_says_what_is_left() {
    let limited = limited(RateLimit::per_second(2).burst(4));
    let response = limited.ask(ANNA).await;
    assert_eq!(
        response.headers()["ratelimit-policy"],
        "\"default\";q=4;w=2"
    );
    assert_eq!(response.headers()["ratelimit"], "\"default\";r=3;t=1");
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back() {
    let limited = limited(RateLimit::per_minute(6).burst(1));
    limited.ask(ANNA).await;
    limited.wait(3500);
    let refused = limited.ask(ANNA).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.extensions().get(), Some(&Failure::RateLimited));
    assert_eq!(
        refused.headers()["ratelimit-policy"],
        "\"default\";q=1;w=10"
    );
    assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=7");
    assert_eq!(refused.headers()["retry-after"], "7");
    limited.wait(6500);
    assert!(limited.allows(ANNA).await);
}

#[tokio::test]
async fn a_refusal_of_a_grpc_request_is_trailers_only() {
    let limited = limited(RateLimit::per_second(0));
    let mut req = Request::new(Body::empty());
    let kind = HeaderValue::from_static("application/grpc");
    req.headers_mut().insert("content-type", kind);
    let refused = limited.target.call(req).await;
    assert_eq!(refused.status(), 200);
    assert_eq!(refused.headers()["grpc-status"], "8");
}

#[tokio::test]
async fn a_rate_of_zero_and_a_burst_of_zero_refuse_everything() {
    for limit in [
        RateLimit::per_second(0),
        RateLimit::per_second(0).burst(5),
        RateLimit::per_second(5).burst(0),
    ] {
        let limited = limited(limit);
        let refused = limited.ask(ANNA).await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["ratelimit-policy"], "\"default\";q=0;w=1");
        assert_eq!(refused.headers()["retry-after"], "1");
        limited.wait(60_000);
        assert!(!limited.allows(ANNA).await);
    }
}

#[tokio::test]
async fn the_largest_numbers_are_no_problem() {
    for limit in [
        RateLimit::per_second(u32::MAX),
        RateLimit::per_minute(1).burst(u32::MAX),
        RateLimit::per_second(u32::MAX).burst(u32::MAX),
    ] {
        let limited = limited(limit);
        assert_eq!(limited.run(ANNA).await, 100);
        limited.wait(1000 * 60 * 60 * 24 * 365);
        assert!(limited.allows(ANNA).await);
    }
}

#[tokio::test]
async fn when_there_is_no_room_new_keys_share_a_bucket_and_old_ones_keep_theirs() {
    let limited = limited(RateLimit::per_minute(2).max_keys(2));
    assert!(limited.allows(ANNA).await);
    assert!(limited.allows(BERT).await);
    assert!(limited.allows("192.0.2.3").await);
    assert!(limited.allows("192.0.2.4").await);
    assert!(!limited.allows("192.0.2.5").await);
    assert_eq!(limited.run(ANNA).await, 1);
}

#[tokio::test]
async fn buckets_that_are_full_again_make_room() {
    let limited = limited(RateLimit::per_second(1).max_keys(1));
    assert!(limited.allows(ANNA).await);
    assert!(limited.allows(BERT).await);
    assert!(!limited.allows("192.0.2.3").await);
    limited.wait(2000);
    // Bert gets the room that was Anna's, and she shares with whoever comes.
    assert!(limited.allows(BERT).await);
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows("192.0.2.3").await);
    assert!(!limited.allows(BERT).await);
}

#[tokio::test]
async fn clones_share_their_buckets() {
    let limit = RateLimit::per_minute(1).global();
    let next = || Next::new(handler(|_| async {}));
    let ask = |limit: RateLimit| async move {
        let response = limit.handle(Request::new(Body::empty()), next()).await;
        response.status()
    };
    assert_eq!(ask(limit.clone()).await, 200);
    assert_eq!(ask(limit).await, 429);
}

/// Two limits around one handler, the first of them outside.
fn both(outer: RateLimit, inner: RateLimit, target: impl crate::handler::Handler) -> BoxHandler {
    let stopped = |limit: RateLimit| limit.with_clock(FakeRelativeClock::default()).into_layer();
    let target = stopped(inner).wrap(BoxHandler::new(target));
    stopped(outer).wrap(target)
}

async fn told(target: &BoxHandler) -> (u16, Vec<String>, Vec<String>) {
    let response = target.call(Request::new(Body::empty())).await;
    let all = |name: &str| {
        let values = response.headers().get_all(name).iter();
        values.map(|one| one.to_str().unwrap().to_owned()).collect()
    };
    let status = response.status().as_u16();
    (status, all("ratelimit-policy"), all("ratelimit"))
}

#[tokio::test]
async fn two_limits_around_a_route_are_two_items_with_different_names() {
    let hello = || handler(|_| async { "hello" });
    let target = both(
        RateLimit::per_minute(3),
        RateLimit::per_minute(1).global(),
        hello(),
    );
    let policies = || vec!["\"default\";q=3;w=60, \"default-2\";q=1;w=60".to_owned()];
    let left = vec!["\"default\";r=2;t=20, \"default-2\";r=0;t=60".to_owned()];
    assert_eq!(told(&target).await, (200, policies(), left));
    // The inner one refuses, then the outer one, and each is still called what it was.
    let left = vec!["\"default\";r=1;t=20, \"default-2\";r=0;t=60".to_owned()];
    assert_eq!(told(&target).await, (429, policies(), left));
    told(&target).await;
    let (status, policies, left) = told(&target).await;
    assert_eq!(status, 429);
    assert_eq!(policies, ["\"default\";q=3;w=60"]);
    assert_eq!(left, ["\"default\";r=0;t=20"]);
}

#[tokio::test]
async fn limits_are_called_by_their_names() {
    let hello = handler(|_| async { "hello" });
    let outer = RateLimit::per_minute(60).name("day");
    let inner = RateLimit::per_minute(6).name("a \"b\" \\ ü\n");
    let (_, policies, _) = told(&both(outer, inner, hello)).await;
    let inner = "\"a \\\"b\\\" \\\\ \";q=6;w=60";
    assert_eq!(policies, [format!("\"day\";q=60;w=60, {inner}")]);
}

#[tokio::test]
async fn the_items_of_an_upstream_are_kept() {
    let upstream = |fields: &'static [&'static str]| {
        handler(move |_| async move {
            let mut response = Response::new(Body::empty());
            for field in fields {
                let field = HeaderValue::from_static(field);
                response.headers_mut().append("ratelimit", field);
            }
            response
        })
    };
    let limit = || RateLimit::per_minute(6).name("edge");
    for (fields, left) in [
        (
            &["\"app\";r=5"][..],
            &["\"edge\";r=5;t=10, \"app\";r=5"][..],
        ),
        (
            &["\"app\";r=5", "\"day\";r=9"],
            &["\"edge\";r=5;t=10, \"app\";r=5", "\"day\";r=9"],
        ),
        // An older draft has no names.
        (
            &["limit=100, remaining=50"],
            &["limit=100, remaining=50", "\"edge\";r=5;t=10"],
        ),
    ] {
        let target = limit().into_layer().wrap(BoxHandler::new(upstream(fields)));
        let (_, _, told) = told(&target).await;
        assert_eq!(told, left);
    }
}
