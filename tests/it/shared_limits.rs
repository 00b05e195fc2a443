//! Limits that several gateways share through a real Redis, which is killed, stopped and replaced under load.

use std::{collections::BTreeMap, time::Duration};

use prox::middleware::{RateLimit, Redis, WhenDown};
use prox_tests::{
    client::{RawClient, Speaks},
    gateway::Served,
    redis::RedisServer,
    wait::within,
};

use crate::cors::send;

/// The most that a request may wait for a store; an order of magnitude below what is an error.
const LIMIT: Duration = Duration::from_millis(300);

/// A gateway with one limit of 40 requests an hour.
async fn gateway(server: &RedisServer, when: WhenDown) -> Served {
    let store = Redis::url(server.url()).timeout(LIMIT);
    Served::start(prox::gateway! {
        let limit = RateLimit::per_hour(40).global().name("api").shared(&store, when);
        "/" => respond(200, "ok") with [limit],
    })
    .await
}

/// How often each status came, of `each` requests from each of `clients` at each of the gateways, and the longest wait.
async fn load(
    gateways: &[&Served],
    clients: usize,
    each: usize,
) -> (BTreeMap<u16, usize>, Duration) {
    let mut tasks = Vec::new();
    for gateway in gateways {
        for _ in 0..clients {
            let address = gateway.address();
            tasks.push(tokio::spawn(async move {
                let mut client = RawClient::connect(address).await;
                let mut answers = Vec::new();
                for _ in 0..each {
                    let start = tokio::time::Instant::now();
                    let status = client.get("/").await.status;
                    answers.push((status, start.elapsed()));
                }
                answers
            }));
        }
    }
    let (mut statuses, mut longest) = (BTreeMap::new(), Duration::ZERO);
    for task in tasks {
        for (status, waited) in task.await.expect("a client") {
            *statuses.entry(status).or_default() += 1;
            longest = longest.max(waited);
        }
    }
    (statuses, longest)
}

#[tokio::test]
async fn two_gateways_with_one_limit_never_allow_more_together() {
    let server = RedisServer::start().await;
    let one = gateway(&server, WhenDown::Deny).await;
    let other = gateway(&server, WhenDown::Deny).await;
    // The first requests open the connections, for which a busy machine may need longer than the limit.
    within("both know the store", async {
        for gateway in [&one, &other] {
            while gateway.get("/").await.status == 503 {}
        }
    })
    .await;
    let before: usize = 40 - left(&one).await;
    let (statuses, _) = load(&[&one, &other], 5, 20).await;
    let passed = statuses.get(&200).copied().unwrap_or(0);
    let failed = statuses.get(&503).copied().unwrap_or(0);
    assert!(before + passed <= 40, "{before} {statuses:?}");
    // All of it is used, but for what a busy machine was too slow for.
    assert!(before + passed + failed >= 40, "{before} {statuses:?}");
    // Nothing tells of the client, and the key ends by itself.
    let key = server.command(&["KEYS", "*"]);
    assert!(key.starts_with("prox:{api:") && key.len() == 43, "{key}");
    let lives: i64 = server.command(&["TTL", &key]).parse().expect("a number");
    assert!((1..=3600).contains(&lives), "{lives}");
}

/// How many requests are left after one more.
async fn left(gateway: &Served) -> usize {
    let answer = gateway.get("/").await.expect(200);
    let told = answer.field("ratelimit").expect("it is told");
    let (_, left) = told.split_once("r=").expect("what is left");
    let (left, _) = left.split_once(';').expect("and until when");
    left.parse().expect("a number")
}

/// What is to be seen while the store is down.
fn check(when: WhenDown, statuses: &BTreeMap<u16, usize>, requests: usize) {
    let count = |status: u16| statuses.get(&status).copied().unwrap_or(0);
    let all = count(200) + count(429) + count(503);
    assert_eq!(all, requests, "{when:?} {statuses:?}");
    match when {
        WhenDown::Allow => assert_eq!(count(200), requests, "{statuses:?}"),
        WhenDown::Deny => assert_eq!(count(503), requests, "{statuses:?}"),
        // The full rate in each of two gateways.
        WhenDown::Local => assert_eq!(count(200), 80, "{statuses:?}"),
    }
}

/// Waits until these gateways ask the store again, which serves again.
async fn asked_again(when: WhenDown, server: &RedisServer, gateways: &[&Served]) {
    for gateway in gateways {
        if when != WhenDown::Local {
            recovered(gateway).await;
            continue;
        }
        // Whether the store is asked shows in what it keeps. What lay in its sockets while it hung does not count.
        server.command(&["FLUSHALL"]);
        within("the store is asked again", async {
            while server.command(&["DBSIZE"]) == "0" {
                gateway.get("/").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

/// Waits until the limit is that of the store again, which knows nothing or not much.
async fn recovered(gateway: &Served) {
    within("the store is asked again", async {
        loop {
            let answer = gateway.get("/").await;
            if answer.status == 200 && answer.field("ratelimit").is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_killed_and_replaced_under_load_does_what_was_said() {
    for when in [WhenDown::Allow, WhenDown::Deny, WhenDown::Local] {
        let mut server = RedisServer::start().await;
        let (one, other) = (gateway(&server, when).await, gateway(&server, when).await);
        recovered(&one).await;
        recovered(&other).await;
        let both = [&one, &other];
        let busy = load(&both, 2, 10);
        let kill = async {
            tokio::task::yield_now().await;
            server.kill();
        };
        let ((_, longest), ()) = tokio::join!(busy, kill);
        assert!(longest < LIMIT * 10, "{longest:?}");
        if when != WhenDown::Local {
            let (statuses, longest) = load(&[&one, &other], 3, 30).await;
            check(when, &statuses, 180);
            assert!(longest < LIMIT * 10, "{longest:?}");
        }
        if when == WhenDown::Deny {
            let grpc = [("content-type", "application/grpc")];
            let answer = send(Speaks::Http2, &one, "POST", "/", &grpc).await;
            assert_eq!(answer.headers()["grpc-status"], "14");
            assert_eq!(answer.headers()["grpc-message"], "limit_unavailable");
            let refused = one.get("/").await.expect(503);
            assert_eq!(refused.field("retry-after"), Some("1"));
        }
        server.replace().await;
        asked_again(when, &server, &[&one, &other]).await;
        let (statuses, _) = load(&[&one, &other], 2, 20).await;
        let passed = statuses.get(&200).copied().unwrap_or(0);
        if when == WhenDown::Deny {
            assert!(passed <= 40, "{statuses:?}");
        }
    }
}

#[tokio::test]
async fn a_store_that_hangs_holds_up_no_request_longer_than_the_limit() {
    for when in [WhenDown::Allow, WhenDown::Deny, WhenDown::Local] {
        let server = RedisServer::start().await;
        let (one, other) = (gateway(&server, when).await, gateway(&server, when).await);
        server.stop();
        // Their first requests meet a server that hangs.
        let (statuses, longest) = load(&[&one, &other], 3, 30).await;
        assert!(longest < LIMIT * 10, "{longest:?}");
        check(when, &statuses, 180);
        server.go_on();
        asked_again(when, &server, &[&one, &other]).await;
        // Then it hangs with connections that were in use.
        server.stop();
        let (statuses, longest) = load(&[&one, &other], 2, 10).await;
        assert!(longest < LIMIT * 10, "{longest:?}");
        if when != WhenDown::Local {
            check(when, &statuses, 40);
        }
        server.go_on();
    }
}

#[test]
fn what_is_wrong_with_a_shared_limit_is_said_without_its_secret() {
    let store = Redis::url("http://:hunter2@10.0.0.1".parse().expect("a secret"));
    let gateway = prox::gateway! {
        "/" => respond(200, "ok") with [RateLimit::per_second(5).shared(&store, WhenDown::Allow)],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("route `/`: `RateLimit`: the URL of `Redis` is malformed"),
        "{error}"
    );
    assert!(
        lines[1].starts_with("route `/`: `RateLimit`: a shared limit needs a name"),
        "{error}"
    );
    assert!(!error.contains("hunter2"));
}
