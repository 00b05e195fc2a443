//! Limits that several gateways share through a real Redis, which is killed, stopped and replaced under load.

use std::{collections::BTreeMap, time::Duration};

use prox::{
    Pem,
    middleware::{RateLimit, Redis, WhenDown},
};
use prox_tests::{
    certs::{Authority, Folder},
    client::{RawClient, Speaks},
    events::Events,
    gateway::Served,
    redis::RedisServer,
    wait::{eventually, within},
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

/// A gateway with one limit of two requests an hour.
async fn two_an_hour(store: Redis) -> Served {
    // The time is not what is tested, and a handshake on a busy machine takes some.
    let store = store.timeout(Duration::from_secs(30));
    Served::start(prox::gateway! {
        let limit = RateLimit::per_hour(2).global().name("api").shared(&store, WhenDown::Deny);
        "/" => respond(200, "ok") with [limit],
    })
    .await
}

async fn statuses(gateway: &Served) -> [u16; 3] {
    let mut statuses = [0; 3];
    for status in &mut statuses {
        *status = gateway.get("/").await.status;
    }
    statuses
}

/// A server with TLS on its port, for the name `localhost`. Clients show certificates of this authority if they must.
async fn secure(authority: &Authority, files: &Folder, clients: &str) -> (RedisServer, u16) {
    let issued = authority.issue(&["localhost"]);
    let certificate = files.write("server.pem", &issued.certificate);
    let key = files.write("server.key", &issued.key);
    let authority = files.write("authority.pem", authority.pem());
    let path = |path: &std::path::Path| path.display().to_string();
    let (server, [port, _]) = RedisServer::start_with(|[port, _]| {
        let options = [
            ("--port", "0".to_owned()),
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", path(&certificate)),
            ("--tls-key-file", path(&key)),
            ("--tls-ca-cert-file", path(&authority)),
            ("--tls-auth-clients", clients.to_owned()),
        ];
        let words = options.map(|(name, value)| [name.to_owned(), value]);
        words.into_iter().flatten().collect()
    })
    .await;
    (server, port)
}

fn at(url: &str) -> Redis {
    Redis::url(url.parse().expect("every text is a secret"))
}

#[tokio::test]
async fn a_store_with_tls_is_asked_if_it_is_the_right_one() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let files = Folder::new();
    let (server, port) = secure(&authority, &files, "no").await;
    let url = format!("rediss://localhost:{port}");
    let roots = || Pem::bytes(authority.pem());
    let gateway = two_an_hour(at(&url).roots(roots())).await;
    assert_eq!(statuses(&gateway).await, [200, 200, 429]);
    assert!(server.command(&["KEYS", "*"]).starts_with("prox:{api:"));
    // Two authorities, of which the second one counts.
    let both = at(&url).roots(Pem::bytes(other.pem())).roots(roots());
    assert_eq!(two_an_hour(both).await.get("/").await.status, 429);
    for (what, store) in [
        ("another authority", at(&url).roots(Pem::bytes(other.pem()))),
        ("the roots of this machine", at(&url)),
        (
            "another name",
            at(&format!("rediss://127.0.0.1:{port}")).roots(roots()),
        ),
        ("no TLS", at(&format!("redis://localhost:{port}"))),
    ] {
        let gateway = two_an_hour(store).await;
        assert_eq!(statuses(&gateway).await, [503; 3], "{what}");
    }
}

#[tokio::test]
async fn a_store_that_asks_for_a_certificate_gets_one() {
    let authority = Authority::new("authority");
    let files = Folder::new();
    let (_server, port) = secure(&authority, &files, "yes").await;
    let store = at(&format!("rediss://localhost:{port}")).roots(Pem::bytes(authority.pem()));
    let gateway = two_an_hour(store.clone()).await;
    assert_eq!(statuses(&gateway).await, [503; 3]);
    let issued = authority.issue(&["gateway.test"]);
    let certificate = files.write("gateway.pem", &issued.certificate);
    let key = files.write("gateway.key", &issued.key);
    let gateway = two_an_hour(store.client_certificate(&certificate, &key)).await;
    assert_eq!(statuses(&gateway).await, [200, 200, 429]);
}

#[test]
fn certificates_that_a_store_cannot_use_are_told_when_the_gateway_starts() {
    let (authority, files) = (Authority::new("authority"), Folder::new());
    let (one, other) = (authority.issue(&["a.test"]), authority.issue(&["b.test"]));
    let nonsense = files.write("nonsense.pem", "nonsense");
    let secure = || at("rediss://:hunter2@127.0.0.1:1");
    for (store, problem) in [
        (
            at("redis://:hunter2@127.0.0.1:1").roots(Pem::bytes(authority.pem())),
            "need a URL of `Redis` with `rediss://`",
        ),
        (
            secure().roots(files.path("missing.pem")),
            "`Redis::roots`: ",
        ),
        (secure().roots(&nonsense), "`Redis::roots`: "),
        (
            secure().client_certificate(Pem::bytes(one.certificate), Pem::bytes(other.key)),
            "`Redis::client_certificate`: ",
        ),
    ] {
        let gateway = prox::gateway! {
            let limit = RateLimit::per_hour(2).name("api").shared(&store, WhenDown::Deny);
            "/" => respond(200, "ok") with [limit],
        };
        let error = gateway.expect_err(problem).to_string();
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// A node of a cluster, and the port at which others find it.
async fn node() -> (RedisServer, [u16; 2]) {
    RedisServer::start_with(|[port, bus]| {
        let options = [
            ("--cluster-enabled", "yes".to_owned()),
            ("--port", port.to_string()),
            ("--cluster-port", bus.to_string()),
        ];
        let words = options.map(|(name, value)| [name.to_owned(), value]);
        words.into_iter().flatten().collect()
    })
    .await
}

#[tokio::test]
async fn a_cluster_of_one_shard_is_a_store_and_a_node_of_several_is_not() {
    let events = Events::record();
    let (one, _) = node().await;
    assert_eq!(
        one.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]),
        "OK"
    );
    let is_ok = |server: &RedisServer| {
        let info = server.command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok")
    };
    eventually("the cluster is ready", || is_ok(&one)).await;
    let gateway = two_an_hour(Redis::url(one.url())).await;
    assert_eq!(statuses(&gateway).await, [200, 200, 429]);

    let ((one, _), (other, [port, bus])) = (node().await, node().await);
    assert_eq!(
        one.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]),
        "OK"
    );
    let rest = ["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"];
    assert_eq!(other.command(&rest), "OK");
    let (port, bus) = (port.to_string(), bus.to_string());
    let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
    assert_eq!(one.command(&meet), "OK");
    eventually("the cluster is ready", || is_ok(&one) && is_ok(&other)).await;
    // Not now and then, by the slot of a key: each request gets the same answer.
    for server in [&one, &other] {
        let gateway = two_an_hour(Redis::url(server.url())).await;
        for _ in 0..10 {
            gateway.get("/").await.expect(503);
        }
    }
    let told = events.first("the store of limits does not answer");
    let reason = told.field("reason").expect("a reason");
    assert!(
        reason.starts_with("the server is a node of a Redis Cluster of 2 shards"),
        "{reason}"
    );
}
