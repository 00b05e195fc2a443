//! The test kit itself: each fault, each client, and the failures that it reports.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use prox::{
    Endpoint, Failure, Gateway, RetryOptions,
    testing::{Fake, Fault, Harness, Reply, Seen, Testable, harness},
};

prox::gateway! {
    /// A gateway with one of each.
    pub struct Shop { greeting: String }

    env USERS_URL: Endpoint;
    env CANARY: u32 = 0;

    /// The users.
    backend users = cluster(rr, [USERS_URL, "http://10.0.0.2:8080"])
        .retry(RetryOptions::new(2).per_try_timeout(1s))
        .response_timeout(5s)
        .idle_timeout(5s);
    backend canary = "https://10.0.1.1";

    host "api.example.com" {
        GET "/v1/users/{id}" => users.rewrite("/people/{id}"),
        "/v1/orders" => users,
    }
    "/canary" => canary,
    "/share" => split { 95 => users, CANARY => canary },
    "/hello" => respond(200, greeting),
    "/other" => "http://10.0.0.9:80",
}

const ONE: &str = "10.0.0.1:8080";
const TWO: &str = "10.0.0.2:8080";

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn shop() -> Harness<ShopBackends<Fake>> {
    Shop::test()
        .env("USERS_URL", "http://10.0.0.1:8080")
        .seed(1)
        .start(|| Shop::new("hi".into()))
}

/// What a panic says.
fn panics(call: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(call)).expect_err("it panics");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .expect("a panic with a text")
}

const USER: &str = "https://api.example.com/v1/users/7";

#[tokio::test(start_paused = true)]
async fn a_stalled_endpoint_costs_a_second_and_no_request() {
    let shop = shop();
    shop.users
        .on("GET", "/people/{id}")
        .reply(|req| Reply::text(req.param("id")));
    shop.users.endpoint(ONE).fault(Fault::Stall);

    let answer = shop.get(USER).from("192.0.2.7").await;

    answer.is(200).body_is("7").took(secs(1));
    answer
        .by_route("GET /v1/users/{id}")
        .from_backend("users")
        .after_tries(2);
    let seen = shop.users.requests();
    assert_eq!(seen[1].endpoint(), TWO);
    assert_eq!(seen[1].header("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(seen[1].header("x-forwarded-proto"), Some("https"));
    shop.canary.was_never_asked();
    let retried = shop.metric("prox_backend_retried_total{backend=\"users\"}");
    assert!((retried - 1.0).abs() < f64::EPSILON, "{retried}");
}

#[tokio::test(start_paused = true)]
async fn faults_of_connections_send_a_request_elsewhere_or_nowhere() {
    for (fault, failure, time) in [
        (Fault::Refuse, Failure::Connect, Duration::ZERO),
        (Fault::Unresolvable, Failure::Dns, Duration::ZERO),
        (Fault::TlsFails, Failure::Tls, Duration::ZERO),
        (Fault::Unreachable, Failure::ConnectTimeout, secs(3)),
    ] {
        let shop = shop();
        shop.canary.reply_with("ok");
        shop.get("/canary").await.is(200);
        shop.canary.fault(fault.clone());
        let answer = shop.get("/canary").await;
        answer.is(failure.status().as_u16()).failed_with(failure);
        answer.took(time);
        shop.canary.was_asked(1);
        shop.canary.heal();
        shop.get("/canary").await.is(200);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_requests_are_those_of_real_upstreams() {
    let cases = [
        (Fault::Reset, 502, "", Duration::ZERO, Some(Failure::Reset)),
        (
            Fault::Stall,
            504,
            "",
            secs(30),
            Some(Failure::ResponseTimeout),
        ),
        (Fault::Delay(secs(2)), 200, "0123456789", secs(2), None),
        (
            Fault::raw("HTTP/1.1 203 Fine\r\ncontent-length: 2\r\n\r\nok"),
            203,
            "ok",
            Duration::ZERO,
            None,
        ),
        (
            Fault::raw("nonsense\r\n\r\n"),
            502,
            "",
            Duration::ZERO,
            Some(Failure::MalformedResponse),
        ),
        (Fault::Pause(3, secs(2)), 200, "0123456789", secs(2), None),
        (Fault::Slow(3, secs(1)), 200, "0123456789", secs(3), None),
    ];
    for (fault, status, body, time, failure) in cases {
        let shop = shop();
        shop.canary.reply_with("0123456789");
        shop.canary.fault(fault.clone());
        let answer = shop.request("POST", "/canary").body("x").await;
        answer.is(status).took(time);
        assert_eq!(answer.failure(), failure, "{fault:?}");
        if failure.is_none() {
            answer.body_is(body);
        }
        shop.canary.was_asked(1);
    }
    let shop = shop();
    shop.canary.reply_with("0123456789");
    shop.canary.fault(Fault::Cut(4)).times(1);
    let answer = shop.get("/canary").await;
    answer.is_cut().body_is("0123");
    assert_eq!(answer.status(), 200);
    shop.get("/canary").await.is(200).body_is("0123456789");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_of_http2_may_go_away() {
    let shop = harness(|| {
        prox::gateway! {
            backend users = cluster(rr, ["https://users.test"]).http2();
            "/" => users,
        }
    });
    let users = shop.upstream("users");
    users.reply(|req| async move { format!("{} {}", req.is_http2(), req.host().unwrap_or("")) });
    shop.get("/").await.is(200).body_is("true users.test");
    users.fault(Fault::GoAway).times(1);
    shop.post("/", "x").await.is(200).body_is("true users.test");
    assert_eq!(users.connections(), 2);
    users.was_asked(3);
    users.fault(Fault::Cut(2));
    shop.get("/").await.is_cut().body_is("tr");
}

#[tokio::test(start_paused = true)]
async fn replies_are_by_rule_in_turn_and_held() {
    let shop = shop();
    shop.users.reply_with(404);
    shop.users
        .on("POST", "/v1/orders")
        .then([(503, "busy"), (201, "made")]);
    let orders = "http://api.example.com/v1/orders";
    shop.post(orders, "a").await.is(503).body_is("busy");
    shop.post(orders, "b").await.is(201).body_is("made");
    shop.post(orders, "c").await.is(201);
    shop.get(orders).await.is(404);
    shop.users
        .on("*", "/v1/orders/*")
        .reply_with("once")
        .times(1);
    shop.get("http://api.example.com/v1/orders/1").await.is(200);
    shop.get("http://api.example.com/v1/orders/1").await.is(404);
    let bodies: Vec<String> = shop.users.requests().iter().map(Seen::text).collect();
    assert_eq!(bodies, ["a", "b", "c", "", "", ""]);

    let gate = shop.canary.reply_with("late").hold();
    let waiting = shop.get("/canary").start();
    gate.holds(1).await;
    assert!(!waiting.is_done());
    shop.advance(secs(2)).await;
    gate.open();
    waiting.await.is(200).body_is("late").took(secs(2));
    let other = shop.upstream("http://10.0.0.9:80");
    other.reply_with("other");
    shop.get("/other").await.is(200).body_is("other");
    shop.get("/hello")
        .await
        .is(200)
        .body_is("hi")
        .from_no_backend();
}

#[tokio::test(start_paused = true)]
async fn a_client_leaves_and_the_upstream_sees_it() {
    let shop = shop();
    let gate = shop.canary.reply_with("never").hold();
    let waiting = shop.get("/canary").start();
    gate.holds(1).await;
    waiting.abort();
    shop.advance(secs(1)).await;
    assert_eq!(gate.held(), 0, "the request to the upstream has ended too");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_speak_http2_bytes_or_another_protocol() {
    let shop = shop();
    shop.canary.reply_with("two");
    let answer = shop.get("https://a.test/canary").h2().await;
    answer
        .is(200)
        .body_is("two")
        .by_route("/canary")
        .after_tries(1);

    let mut raw = shop.connect();
    raw.send("GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let answer = String::from_utf8(raw.read_to_end().await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hi"),
        "{answer}"
    );
    let mut raw = shop.connect();
    raw.send("nonsense\r\n\r\n").await;
    let answer = String::from_utf8(raw.read_to_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    shop.canary.on("GET", "/canary/echo").reply(|_| {
        Reply::switch(|mut stream| async move {
            let line = stream.read_until("\n").await;
            stream.send(line).await;
        })
    });
    let mut stream = shop.get("/canary/echo").switch("echo").await;
    stream.send("hello\n").await;
    assert_eq!(stream.read_to_end().await, b"hello\n");
}

#[tokio::test(start_paused = true)]
async fn checks_pass_until_the_endpoint_fails_and_looked_up_endpoints_move() {
    let shop = harness(|| {
        prox::gateway! {
            backend users = cluster(rr, dns("http://users:8080")).health(http("/healthz").every(5s).fall(2).rise(1));
            "/" => users,
        }
    });
    let users = shop.upstream("users");
    users.reply(|req| Reply::text(req.endpoint()));
    users.on("GET", "/healthz").reply_with(200);
    shop.advance(secs(1)).await;
    shop.get("/").await.is(200).body_is("users:8080");
    users.set_endpoints(["10.0.0.1:8080", "10.0.0.2:8080"]);
    shop.advance(secs(60)).await;
    let ends = |count: usize| {
        let shop = &shop;
        async move {
            let mut found = std::collections::BTreeSet::new();
            for _ in 0..count {
                found.insert(shop.get("/").await.is(200).text());
            }
            found.into_iter().collect::<Vec<_>>()
        }
    };
    assert_eq!(ends(4).await, [ONE, TWO]);
    users.endpoint(TWO).fault(Fault::Refuse);
    shop.advance(secs(30)).await;
    let before = users.connections();
    assert_eq!(ends(4).await, [ONE]);
    assert!(
        users.connections() - before < 2,
        "nobody has tried the endpoint that is down"
    );
    assert_eq!(users.requests()[0].host(), Some("users:8080"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_is_under_way() {
    let shop = shop();
    let gate = shop.canary.reply_with("done").hold();
    let waiting = shop.get("/canary").start();
    gate.holds(1).await;
    let drained = tokio::spawn(shop.drain());
    shop.advance(secs(1)).await;
    assert!(!drained.is_finished() && !shop.gateway().is_ready());
    gate.open();
    waiting.await.is(200);
    assert_eq!(drained.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn chance_follows_from_the_seed() {
    async fn chosen(seed: u64) -> Vec<String> {
        let shop = Gateway::test().seed(seed).start(|| {
            prox::gateway! {
                "/" => cluster(random, ["http://10.0.0.1:1", "http://10.0.0.2:1", "http://10.0.0.3:1"]),
            }
        });
        let all = shop.upstream("10.0.0.1:1");
        all.reply_with("ok");
        for _ in 0..16 {
            shop.get("/").await.is(200);
        }
        let came = all.requests();
        came.iter().map(|seen| seen.endpoint().to_owned()).collect()
    }
    let one = chosen(1).await;
    assert_eq!(one, chosen(1).await);
    assert_ne!(one, chosen(2).await);
}

#[tokio::test(start_paused = true)]
async fn the_server_and_its_variables_are_those_of_the_test() {
    let shop = Shop::test()
        .env("USERS_URL", "http://10.0.0.1:8080")
        .env("TRUSTED_PROXIES", "10.0.0.0/8")
        .server(|server| server.via("edge"))
        .start(|| Shop::new("hi".into()));
    shop.canary
        .reply(|req| Reply::text(req.header("x-forwarded-for").unwrap_or_default()));
    let forwarded = |ip: &'static str| {
        shop.get("/canary")
            .header("x-forwarded-for", "192.0.2.9")
            .from(ip)
    };
    forwarded("10.1.2.3")
        .await
        .is(200)
        .body_is("192.0.2.9, 10.1.2.3")
        .has_header("via", "1.1 edge");
    forwarded("192.0.2.1").await.is(200).body_is("192.0.2.1");
    let wrong = panics(|| {
        Shop::test()
            .env("USER_URL", "http://a")
            .start(|| Shop::new(String::new()));
    });
    assert!(
        wrong.contains("the gateway cannot start") && wrong.contains("USERS_URL"),
        "{wrong}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_as_expected_is_told_with_how_it_came_about() {
    let shop = shop();
    shop.canary.reply_with((418, "teapot"));
    let answer = shop.get("/canary").await;
    let wrong = panics(|| {
        answer.is(200);
    });
    for part in [
        "GET http://localhost/canary: expected status 200, found 418",
        "route   `/canary`",
        "backend `canary`, 1 tries, the last at https://10.0.1.1",
        "body    \"teapot\"",
    ] {
        assert!(wrong.contains(part), "{wrong}");
    }
    let wrong = panics(|| shop.canary.was_never_asked());
    assert!(
        wrong.contains("canary: expected 0 requests, found 1\n  GET /canary at 10.0.1.1:443"),
        "{wrong}"
    );
    let wrong = panics(|| drop(shop.canary.endpoint("10.0.1.2:443")));
    assert!(wrong.contains("no endpoint \"10.0.1.2:443\""), "{wrong}");
    let wrong = panics(|| drop(shop.users.fault(Fault::TlsFails)));
    assert!(
        wrong.contains("`TlsFails` is for https:// endpoints"),
        "{wrong}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_fails_for_what_no_rule_takes_and_for_what_never_came() {
    let first = shop();
    first.users.on("GET", "/nothing").reply_with("x");
    first.get("/canary").await.is(501).body_has("no rule");
    first.canary.reply_with("x").times(2);
    let wrong = panics(move || drop(first));
    assert!(
        wrong.contains("canary: GET /canary came to 10.0.1.1:443, and there are no rule"),
        "{wrong}"
    );
    assert!(
        wrong.contains("canary: all requests was to be asked 2 times, and was asked 0"),
        "{wrong}"
    );
    let lenient = Shop::test()
        .env("USERS_URL", "http://10.0.0.1:8080")
        .lenient()
        .start(|| Shop::new("hi".into()));
    lenient.get("/canary").await.is(501);
}

/// A test that is quick is written: a thousand of them, each with a gateway of its own.
#[tokio::test(start_paused = true)]
async fn a_thousand_tests_take_seconds() {
    for number in 0..1_000_u32 {
        let shop = shop();
        shop.users.reply(|req| Reply::text(req.path()));
        let url = format!("http://api.example.com/v1/users/{number}");
        let answer = shop.get(&url).await;
        answer
            .is(200)
            .body_is(format!("/people/{number}"))
            .after_tries(1);
    }
}
