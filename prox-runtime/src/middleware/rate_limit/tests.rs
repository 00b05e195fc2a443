use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use tokio::time::advance;

use super::*;
use crate::{
    body::Body,
    client::Client,
    handler::{BoxHandler, handler},
    middleware::IntoLayer,
};

/// A limit before a handler. All time is virtual.
struct Limited {
    target: BoxHandler,
}

fn limited<K: LimitKey>(limit: RateLimit<K>) -> Limited {
    Limited {
        target: limit
            .into_layer()
            .wrap(BoxHandler::new(handler(|_| async { "hello" }))),
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
}

async fn wait(millis: u64) {
    advance(Duration::from_millis(millis)).await;
}

const ANNA: &str = "192.0.2.1";
const BERT: &str = "192.0.2.2";

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_then_the_rate() {
    let limited = limited(RateLimit::per_second(100).burst(20));
    assert_eq!(limited.run(ANNA).await, 20);
    wait(9).await;
    assert_eq!(limited.run(ANNA).await, 0);
    wait(1).await;
    assert_eq!(limited.run(ANNA).await, 1);
    wait(1000).await;
    assert_eq!(limited.run(ANNA).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_minute_is_sixty_seconds() {
    let limited = limited(RateLimit::per_minute(6));
    assert_eq!(limited.run(ANNA).await, 6);
    wait(30_000).await;
    assert_eq!(limited.run(ANNA).await, 3);
}

#[tokio::test(start_paused = true)]
async fn each_client_has_a_bucket_of_its_own() {
    let limited = limited(RateLimit::per_second(1));
    assert!(limited.allows(ANNA).await);
    assert!(limited.allows(BERT).await);
    assert!(!limited.allows(ANNA).await);
    assert!(limited.allows("2001:db8::1").await);
    assert!(!limited.allows("2001:db8::2").await);
}

#[tokio::test(start_paused = true)]
async fn a_global_limit_is_shared_by_all() {
    let limited = limited(RateLimit::per_second(1).global());
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows(BERT).await);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_ones_own_counts_instead_of_the_address() {
    let tenant = |parts: &Parts| {
        let tenant = parts.headers.get("x-tenant")?.to_str().ok()?;
        Some(tenant.to_owned())
    };
    let limited = limited(RateLimit::per_second(1).by(tenant));
    assert!(limited.allows("tenant a").await);
    assert!(!limited.allows("tenant a").await);
    assert!(limited.allows("tenant b").await);
    // These have no key.
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows(BERT).await);
}

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_to_come_back() {
    let limited = limited(RateLimit::per_minute(6).burst(1));
    limited.ask(ANNA).await;
    wait(3500).await;
    let refused = limited.ask(ANNA).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.extensions().get(), Some(&Failure::RateLimited));
    assert_eq!(
        refused.headers()["ratelimit-policy"],
        "\"default\";q=1;w=10"
    );
    assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=7");
    assert_eq!(refused.headers()["retry-after"], "7");
    wait(6500).await;
    assert!(limited.allows(ANNA).await);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_grpc_request_is_trailers_only() {
    let limited = limited(RateLimit::per_second(0));
    let mut req = Request::new(Body::empty());
    let kind = HeaderValue::from_static("application/grpc");
    req.headers_mut().insert("content-type", kind);
    let refused = limited.target.call(req).await;
    assert_eq!(refused.status(), 200);
    assert_eq!(refused.headers()["grpc-status"], "8");
}

#[tokio::test(start_paused = true)]
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
        wait(60_000).await;
        assert!(!limited.allows(ANNA).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_numbers_are_no_problem() {
    for limit in [
        RateLimit::per_second(u32::MAX),
        RateLimit::per_minute(1).burst(u32::MAX),
        RateLimit::per_second(u32::MAX).burst(u32::MAX),
    ] {
        let limited = limited(limit);
        assert_eq!(limited.run(ANNA).await, 100);
        wait(1000 * 60 * 60 * 24 * 365).await;
        assert!(limited.allows(ANNA).await);
    }
}

#[tokio::test(start_paused = true)]
async fn when_there_is_no_room_new_keys_share_a_bucket_and_old_ones_keep_theirs() {
    let limited = limited(RateLimit::per_minute(2).max_keys(2));
    assert!(limited.allows(ANNA).await);
    assert!(limited.allows(BERT).await);
    assert!(limited.allows("192.0.2.3").await);
    assert!(limited.allows("192.0.2.4").await);
    assert!(!limited.allows("192.0.2.5").await);
    assert_eq!(limited.run(ANNA).await, 1);
}

#[tokio::test(start_paused = true)]
async fn buckets_that_are_full_again_make_room() {
    let limited = limited(RateLimit::per_second(1).max_keys(1));
    assert!(limited.allows(ANNA).await);
    assert!(limited.allows(BERT).await);
    assert!(!limited.allows("192.0.2.3").await);
    wait(2000).await;
    // Bert gets the room that was Anna's, and she shares with whoever comes.
    assert!(limited.allows(BERT).await);
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows("192.0.2.3").await);
    assert!(!limited.allows(BERT).await);
}

#[tokio::test(start_paused = true)]
async fn clones_share_their_buckets() {
    let limit = RateLimit::per_minute(1).global();
    let next = || Next::new(handler(|_| async {}));
    let ask = |limit: RateLimit<Everyone>| async move {
        let response = limit.handle(Request::new(Body::empty()), next()).await;
        response.status()
    };
    assert_eq!(ask(limit.clone()).await, 200);
    assert_eq!(ask(limit).await, 429);
}

/// Two limits around one handler, the first of them outside.
fn both(
    outer: RateLimit,
    inner: impl Middleware,
    target: impl crate::handler::Handler,
) -> BoxHandler {
    let target = inner.into_layer().wrap(BoxHandler::new(target));
    outer.into_layer().wrap(target)
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

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn limits_are_called_by_their_names() {
    let hello = handler(|_| async { "hello" });
    let outer = RateLimit::per_minute(60).name("day");
    let inner = RateLimit::per_minute(6).name("a \"b\" \\ ü\n");
    let (_, policies, _) = told(&both(outer, inner, hello)).await;
    let inner = "\"a \\\"b\\\" \\\\ \";q=6;w=60";
    assert_eq!(policies, [format!("\"day\";q=60;w=60, {inner}")]);
}

#[tokio::test(start_paused = true)]
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

fn request(uri: &str, client: Option<IpAddr>) -> Request {
    let mut req = Request::new(Body::empty());
    *req.uri_mut() = uri.parse().unwrap();
    let client = client.map(|ip| SocketAddr::new(ip, 4000));
    req.extensions_mut().insert(Arc::new(Client::new(client)));
    req
}

fn answering(name: &'static str, value: &'static str) -> BoxHandler {
    BoxHandler::new(handler(move |_| async move {
        let mut response = Response::new(Body::empty());
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
        response
    }))
}

fn field(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_request_fits_into_all_windows_or_costs_nothing() {
    let limited = limited(RateLimit::per_second(5).and(Rate::per_minute(7)));
    assert_eq!(limited.run(ANNA).await, 5);
    wait(1000).await;
    let policies = "\"default-1s\";q=5;w=1, \"default-60s\";q=7;w=60";
    let passed = limited.ask(ANNA).await;
    assert_eq!(
        field(&passed, "ratelimit-policy").as_deref(),
        Some(policies)
    );
    assert_eq!(
        field(&passed, "ratelimit").as_deref(),
        Some("\"default-1s\";r=4;t=1, \"default-60s\";r=1;t=8")
    );
    assert!(limited.allows(ANNA).await);
    let refused = limited.ask(ANNA).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(field(&refused, "retry-after").as_deref(), Some("8"));
    assert_eq!(
        field(&refused, "ratelimit").as_deref(),
        Some("\"default-1s\";r=3;t=1, \"default-60s\";r=0;t=8")
    );
    // The refused one has taken nothing from the first window.
    wait(8000).await;
    assert!(limited.allows(ANNA).await);
    assert!(!limited.allows(ANNA).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_cost_more_than_one() {
    let cost = |req: &Parts| u32::try_from(req.uri.path().len()).unwrap();
    let layer = RateLimit::per_minute(10).cost_by(cost).into_layer();
    let target = layer.wrap(BoxHandler::new(handler(|_| async {})));
    let ask = async |path: &str| target.call(request(path, None)).await;
    assert_eq!(ask("/345678").await.status(), 200);
    let refused = ask("/345").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(
        field(&refused, "ratelimit").as_deref(),
        Some("\"default\";r=3;t=6")
    );
    assert_eq!(field(&refused, "retry-after").as_deref(), Some("6"));
    assert_eq!(ask("/34").await.status(), 200);
    wait(3_600_000).await;
    // One that is above the bucket never passes.
    assert_eq!(ask("/3456789012").await.status(), 429);
    assert_eq!(ask("/345678901").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn clones_of_different_cost_share_their_buckets() {
    let limit = RateLimit::per_minute(10);
    let (read, write) = (limit.clone(), limit.clone().cost(8).name("write").quiet());
    let next = || Next::new(handler(|_| async {}));
    let ask = |req| write.handle(req, next());
    assert_eq!(ask(Request::new(Body::empty())).await.status(), 200);
    let response = read.handle(Request::new(Body::empty()), next()).await;
    assert_eq!(
        field(&response, "ratelimit").as_deref(),
        Some("\"default\";r=1;t=6")
    );
    // Another rate, or another key, is another limit.
    let other = limit.burst(10);
    let other = other.handle(Request::new(Body::empty()), next());
    assert_eq!(
        field(&other.await, "ratelimit").as_deref(),
        Some("\"default\";r=9;t=6")
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_response_tells_is_charged_and_owed_up_to_one_bucket() {
    let limit = RateLimit::per_minute(60).cost(0).charge_header("x-tokens");
    let layer = limit.into_layer();
    let cheap = layer.wrap(answering("x-tokens", "10"));
    let dear = layer.wrap(answering("x-tokens", "4000000000"));
    let odd = layer.wrap(answering("x-tokens", "many"));
    let ask = async |target: &BoxHandler| {
        let response = target.call(request("/", None)).await;
        assert!(!response.headers().contains_key("x-tokens"));
        (
            response.status().as_u16(),
            field(&response, "ratelimit").unwrap(),
        )
    };
    assert_eq!(ask(&cheap).await, (200, "\"default\";r=50;t=1".into()));
    assert_eq!(ask(&odd).await, (200, "\"default\";r=50;t=1".into()));
    assert_eq!(ask(&dear).await, (200, "\"default\";r=0;t=61".into()));
    assert_eq!(ask(&cheap).await, (429, "\"default\";r=0;t=60".into()));
    wait(59_000).await;
    assert_eq!(ask(&cheap).await.0, 429);
    wait(1000).await;
    assert_eq!(ask(&cheap).await, (200, "\"default\";r=0;t=11".into()));
}

#[tokio::test(start_paused = true)]
async fn a_function_may_charge_by_the_response() {
    let failed = |response: &Response| if response.status() == 401 { 4 } else { 0 };
    let layer = RateLimit::per_minute(6).charge(failed).into_layer();
    let target = layer.wrap(BoxHandler::new(handler(|_| async {
        http::StatusCode::UNAUTHORIZED
    })));
    let ask = async || target.call(request("/", None)).await;
    assert_eq!(
        field(&ask().await, "ratelimit").as_deref(),
        Some("\"default\";r=1;t=10")
    );
    assert_eq!(ask().await.status(), 401);
    assert_eq!(ask().await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_the_rate_of_a_request() {
    let plan = |req: &Parts| {
        let gold = req.headers.contains_key("x-gold");
        gold.then(|| Rate::per_minute(5))
    };
    let layer = RateLimit::per_minute(2).plan(plan).into_layer();
    let target = layer.wrap(BoxHandler::new(handler(|_| async {})));
    let ask = async |gold: bool| {
        let mut req = request("/", None);
        if gold {
            req.headers_mut()
                .insert("x-gold", HeaderValue::from_static("1"));
        }
        let response = target.call(req).await;
        (
            response.status().as_u16(),
            field(&response, "ratelimit-policy").unwrap(),
        )
    };
    for _ in 0..5 {
        assert_eq!(ask(true).await, (200, "\"default\";q=5;w=60".into()));
    }
    assert_eq!(ask(true).await.0, 429);
    assert_eq!(ask(false).await, (429, "\"default\";q=2;w=60".into()));
    wait(30_000).await;
    assert_eq!(ask(false).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn older_fields_are_written_on_request_and_none_on_another() {
    let limit = || RateLimit::per_second(9).and(Rate::per_minute(7));
    let layer = limit().legacy_headers().into_layer();
    let target = layer.wrap(answering("x-ratelimit-remaining", "1000"));
    let response = target.call(request("/", None)).await;
    let told: Vec<_> = ["limit", "remaining", "reset"]
        .map(|name| field(&response, &format!("x-ratelimit-{name}")).unwrap())
        .into();
    assert_eq!(told, ["7", "6", "9"]);

    let layer = RateLimit::per_minute(1)
        .legacy_headers()
        .quiet()
        .into_layer();
    let target = layer.wrap(BoxHandler::new(handler(|_| async {})));
    assert!(target.call(request("/", None)).await.headers().is_empty());
    let refused = target.call(request("/", None)).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(field(&refused, "retry-after").as_deref(), Some("60"));
    assert!(
        refused
            .headers()
            .keys()
            .all(|name| !name.as_str().contains("ratelimit"))
    );
}

/// Whether two requests are in one bucket.
async fn meet(key: impl LimitKey, one: Request, other: Request) -> bool {
    let layer = RateLimit::per_minute(1).by(key).into_layer();
    let target = layer.wrap(BoxHandler::new(handler(|_| async {})));
    assert_eq!(target.call(one).await.status(), 200);
    target.call(other).await.status() == 429
}

#[tokio::test(start_paused = true)]
async fn keys_tell_requests_apart_as_the_table_says() {
    use crate::route::{cookie, header, query};
    let at = |ip: &str| request("/", Some(ip.parse().unwrap()));
    for (one, other, bits, together) in [
        ("192.0.2.1", "192.0.2.1", 64, true),
        ("192.0.2.1", "192.0.2.2", 1, false),
        ("192.0.2.1", "::ffff:192.0.2.1", 64, true),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", 64, true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", 64, false),
        ("2001:db8:1:200::1", "2001:db8:1:2ff::1", 56, true),
        ("2001:db8:1:200::1", "2001:db8:1:300::1", 56, false),
        ("2001:db8::1", "2001:db8::2", 128, false),
    ] {
        let key = client_ip().ipv6(bits);
        assert_eq!(
            meet(key, at(one), at(other)).await,
            together,
            "{one} {other}"
        );
        if bits == 64 {
            assert_eq!(meet(client_ip(), at(one), at(other)).await, together);
        }
    }
    let with = |uri: &str, field: &'static str| {
        let mut req = request(uri, None);
        if !field.is_empty() {
            let value = HeaderValue::from_static(field);
            req.headers_mut().insert("cookie", value.clone());
            req.headers_mut().insert("x-key", value);
        }
        req
    };
    for (one, other, together) in [
        (("/?a=1", "a=1"), ("/?a=1", "a=1"), true),
        (("/?a=1", "a=1"), ("/?a=2", "a=2"), false),
        // One without the part shares a bucket with others without it, and not with an empty one.
        (("/", ""), ("/", ""), true),
        (("/?a=", "a="), ("/", ""), false),
    ] {
        let pair = || (with(one.0, one.1), with(other.0, other.1));
        let (a, b) = pair();
        assert_eq!(meet(header("x-key"), a, b).await, together, "{one:?}");
        let (a, b) = pair();
        assert_eq!(meet(cookie("a"), a, b).await, together, "{one:?}");
        let (a, b) = pair();
        assert_eq!(meet(query("a"), a, b).await, together, "{one:?}");
        let (a, b) = pair();
        assert_eq!(meet((query("a"), client_ip()), a, b).await, together);
    }
    // What ends one part of a tuple does not begin the next.
    let pair = (query("a"), query("b"));
    let (one, other) = (request("/?a=xy&b=z", None), request("/?a=x&b=yz", None));
    assert!(!meet(pair, one, other).await);
    let (one, other) = (request("/?a=1", None), request("/?b=1", None));
    assert!(!meet((query("a"), query("b")), one, other).await);
    let text = |req: &Parts| req.uri.path().to_owned();
    assert!(!meet(text, request("/a", None), request("/b", None)).await);
    assert!(
        meet(
            |_: &Parts| None::<Vec<u8>>,
            request("/a", None),
            request("/b", None)
        )
        .await
    );
}

#[test]
fn what_is_wrong_with_a_limit_is_said_at_start() {
    let problems = |layer: crate::middleware::Layer| layer.about().problems().join("\n");
    assert_eq!(problems(RateLimit::per_second(0).into_layer()), "");
    for (layer, said) in [
        (
            RateLimit::per_second(5).cost(6).into_layer(),
            "`.cost(6)` is above a bucket of 5",
        ),
        (
            RateLimit::per_second(50)
                .and(Rate::per_minute(9).burst(3))
                .cost(4)
                .into_layer(),
            "`.cost(4)` is above a bucket of 3",
        ),
        (
            RateLimit::per_second(5).cost(0).into_layer(),
            "`.cost(0)` limits nothing",
        ),
        (
            RateLimit::per_second(5).charge_header("x y").into_layer(),
            "not the name of a header",
        ),
        (
            RateLimit::per_second(5).max_keys(0).into_layer(),
            "write at least 1",
        ),
        (
            RateLimit::per_hour(5).and(Rate::per_hour(9)).into_layer(),
            "two windows of 3600 s",
        ),
        (
            RateLimit::per_second(5)
                .and(Rate::per_minute(9))
                .and(Rate::per_hour(9))
                .and(Rate::per_day(9))
                .and(Rate::per_month(9))
                .into_layer(),
            "5 windows are more than the 4",
        ),
        (
            RateLimit::per_second(5)
                .by(client_ip().ipv6(129))
                .into_layer(),
            "`.ipv6(129)` is not the length of a prefix",
        ),
        (
            RateLimit::per_second(5)
                .by((param("{id}"), crate::route::header("x y")))
                .into_layer(),
            "write `param(\"id\")` for `{id}`; `x y`",
        ),
    ] {
        let problems = problems(layer);
        assert!(
            problems.contains(said) && !problems.contains('\n'),
            "{problems}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_a_client_chooses_take_no_more_room_than_there_is() {
    use crate::route::query;
    let limit = RateLimit::per_minute(5).by(query("key")).max_keys(64);
    let core = Arc::clone(&limit.core);
    let target = limit
        .into_layer()
        .wrap(BoxHandler::new(handler(|_| async {})));
    let mut passed = 0;
    for number in 0..5000 {
        let req = request(&format!("/?key={number}"), None);
        passed += usize::from(target.call(req).await.status() == 200);
    }
    assert_eq!(core.get().unwrap().buckets.len(), 64);
    // Each that has a bucket, and one bucket of 5 for the rest.
    assert_eq!(passed, 64 + 5);
}
