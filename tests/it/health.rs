//! Upstreams that fail, and come back: who is asked, who is not, and what clients see of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use prox::{
    BreakerOptions, CheckTarget, Cluster, Condition, HealthCheck, HttpCheck, PassiveOptions,
    SlowStart, TcpCheck,
};
use prox_tests::{
    client::head,
    gateway::{Served, served},
    origin::{Origin, Reply},
    wait::eventually,
};

/// An ejection that is over before a test is.
const BRIEF: Duration = Duration::from_millis(100);

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

fn passive() -> PassiveOptions {
    PassiveOptions::new().eject_for(BRIEF, BRIEF * 2)
}

fn condition(users: &Cluster, index: usize) -> Condition {
    let state = users.endpoints().nth(index).expect("an endpoint");
    state.condition()
}

/// The statuses of so many requests, and how often each came.
async fn statuses(gateway: &Served, count: usize) -> Vec<(u16, usize)> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(gateway.get("/").await.status);
    }
    all.sort_unstable();
    let runs = all.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len())).collect()
}

#[tokio::test]
async fn an_endpoint_that_dies_is_ejected_and_no_request_fails_and_one_probe_brings_it_back() {
    let (mut dying, well) = (named("dying").await, named("well").await);
    let (a, b, options) = (dying.endpoint(), well.endpoint(), passive());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(options).slow_start(SlowStart::off());
        "/" => users,
    })
    .await;
    assert_eq!(statuses(&gateway, 4).await, [(200, 4)]);
    dying.stop().await;
    assert_eq!(statuses(&gateway, 20).await, [(200, 20)]);
    assert!(users.counters().ejected >= 1);
    assert_eq!(condition(&users, 0), Condition::Ejected);
    let state = users.endpoints().next().expect("the first");
    assert_eq!(state.last_error().expect("it failed").reason, "connect");
    dying.restart();
    for _ in 0..200 {
        gateway.get("/").await.expect(200);
        if condition(&users, 0) == Condition::Healthy {
            break;
        }
        tokio::time::sleep(BRIEF / 10).await;
    }
    assert_eq!(condition(&users, 0), Condition::Healthy);
    let (before, counters) = (dying.count(), users.counters());
    assert!(counters.probes >= 1 && counters.returned == 1);
    assert_eq!(statuses(&gateway, 10).await, [(200, 10)]);
    assert_eq!(dying.count(), before + 5);
}

#[tokio::test]
async fn an_endpoint_that_answers_500_is_ejected_after_five() {
    let bad = Origin::start(Reply::status(500, &[], "")).await;
    let good = named("good").await;
    let (a, b) = (bad.endpoint(), good.endpoint());
    let (gateway, users) =
        served(prox::gateway! { backend users = cluster(rr, [a, b]); "/" => users }).await;
    assert_eq!(statuses(&gateway, 30).await, [(200, 25), (500, 5)]);
    assert_eq!((bad.count(), users.counters().ejected), (5, 1));
}

#[tokio::test]
async fn an_endpoint_that_stalls_is_ejected_after_five() {
    let stalled = Origin::start(Reply::new().stall()).await;
    let good = named("good").await;
    let (a, b, limit) = (stalled.endpoint(), good.endpoint(), BRIEF / 2);
    let (gateway, _) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).timeout(limit);
        "/" => users,
    })
    .await;
    assert_eq!(statuses(&gateway, 20).await, [(200, 15), (504, 5)]);
}

#[tokio::test]
async fn a_client_that_leaves_ejects_nobody() {
    let stalled = Origin::start(Reply::new().stall()).await;
    let good = named("good").await;
    let (a, b) = (stalled.endpoint(), good.endpoint());
    let (gateway, users) =
        served(prox::gateway! { backend users = cluster(rr, [a, b]); "/" => users }).await;
    for count in 1..=7 {
        while stalled.count() < count {
            let mut client = gateway.client().await;
            client.send(head("GET", "/", "")).await;
            eventually("somebody is asked", || stalled.count() + good.count() > 0).await;
            tokio::time::sleep(BRIEF / 20).await;
            client.reset();
        }
    }
    eventually("all have been given up", || {
        users.endpoints().all(|endpoint| endpoint.active() == 0)
    })
    .await;
    assert_eq!(condition(&users, 0), Condition::Healthy);
    assert_eq!(users.endpoints().next().expect("one").last_error(), None);
}

#[tokio::test]
async fn when_all_fail_all_are_still_asked() {
    let (a, b) = (
        Origin::start(Reply::status(500, &[], "")).await,
        Origin::start(Reply::status(500, &[], "")).await,
    );
    let (one, two, options) = (
        a.endpoint(),
        b.endpoint(),
        PassiveOptions::new().at_most(100),
    );
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [one, two]).passive(options);
        "/" => users,
    })
    .await;
    assert_eq!(statuses(&gateway, 30).await, [(500, 30)]);
    let counters = users.counters();
    assert_eq!((counters.ejected, counters.panics), (2, 1));
    assert_eq!((a.count(), b.count()), (15, 15));
}

/// An origin whose health is said by a switch.
async fn switched(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&well);
    let origin = Origin::with(move |seen| {
        if seen.target() != "/healthz" {
            Reply::ok(name)
        } else if says.load(SeqCst) {
            Reply::ok("well")
        } else {
            Reply::status(503, &[], "")
        }
    })
    .await;
    (origin, well)
}

fn quick(path: &str) -> HttpCheck {
    let (soon, sooner) = (Duration::from_millis(20), Duration::from_millis(10));
    HttpCheck::new(path)
        .every(soon)
        .every_while_changing(sooner)
}

#[tokio::test]
async fn checks_take_an_endpoint_out_and_back_before_any_request_has_failed() {
    let ((a, a_is_well), (b, b_is_well)) = (switched("a").await, switched("b").await);
    let (one, two, check) = (a.endpoint(), b.endpoint(), quick("/healthz"));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [one, two]).health(check).slow_start(SlowStart::off());
        "/" => users,
    })
    .await;
    // Checks begin with the server, not with the first request.
    eventually("both are checked", || a.count() > 0 && b.count() > 0).await;
    a_is_well.store(false, SeqCst);
    let is = |index, is| condition(&users, index) == is;
    eventually("it is out", || is(0, Condition::Unhealthy)).await;
    for _ in 0..6 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "b");
    }
    b_is_well.store(false, SeqCst);
    eventually("both are out", || is(1, Condition::Unhealthy)).await;
    let refused = gateway.get("/").await.expect(503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    a_is_well.store(true, SeqCst);
    eventually("it is back", || is(0, Condition::Healthy)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "a");
    let counters = users.counters();
    assert_eq!((counters.unhealthy, counters.healthy), (2, 1));
    assert_eq!(counters.no_endpoint, 1);
}

#[tokio::test]
async fn a_check_says_host_and_path_and_judges_by_status() {
    let origin = Origin::start(Reply::status(404, &[], "")).await;
    let url = format!("{}/base", origin.url());
    let check = quick("/live?deep=1").host("app.example").expect(404..=404);
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).health(check);
        "/" => users,
    };
    let (_gateway, users) = served(gateway).await;
    origin.reached(3).await;
    let seen = origin.last();
    assert_eq!((seen.method(), seen.target()), ("GET", "/base/live?deep=1"));
    assert_eq!(seen.field("host"), Some("app.example"));
    assert_eq!(condition(&users, 0), Condition::Healthy);
    // Each has a connection of its own.
    assert!(origin.accepted() >= 3);
}

#[tokio::test]
async fn a_tcp_check_sees_that_nobody_listens() {
    let (mut dying, well) = (named("dying").await, named("well").await);
    let (a, b) = (dying.endpoint(), well.endpoint());
    let check = TcpCheck::new().every(Duration::from_millis(20)).fall(1);
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).health(check);
        "/" => users,
    })
    .await;
    dying.stop().await;
    eventually("it is out", || condition(&users, 0) == Condition::Unhealthy).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "well");
}

/// Nothing that a check waits for comes.
#[derive(Debug)]
struct Never(Arc<()>);

impl HealthCheck for Never {
    async fn check(&self, _: &CheckTarget) -> Result<(), String> {
        let _held = Arc::clone(&self.0);
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_check_never_outlives_its_gateway() {
    let (origin, held) = (named("one").await, Arc::new(()));
    let (url, check) = (origin.endpoint(), Never(Arc::clone(&held)));
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]).health(check);
        "/" => users,
    })
    .await;
    eventually("it is being checked", || Arc::strong_count(&held) == 3).await;
    gateway.stop().await;
    drop(users);
    eventually("nothing is left of it", || Arc::strong_count(&held) == 1).await;
}

#[tokio::test]
async fn a_drained_endpoint_finishes_what_it_has_and_gets_no_more() {
    let gate = prox_tests::wait::Gate::new();
    let slow = Origin::start(
        Reply::new()
            .wait(&gate)
            .head(200, &[], "content-length: 4")
            .write("slow"),
    )
    .await;
    let other = named("other").await;
    let (a, b) = (slow.endpoint(), other.endpoint());
    let (gateway, users) =
        served(prox::gateway! { backend users = cluster(rr, [a, b]); "/" => users }).await;
    let mut waiting = gateway.client().await;
    while slow.count() == 0 {
        waiting = gateway.client().await;
        waiting.request("GET", "/").await;
        eventually("somebody is asked", || {
            users.endpoints().any(|one| one.active() > 0) || other.count() > 0
        })
        .await;
        tokio::time::sleep(BRIEF / 10).await;
    }
    let address = slow.address().to_string();
    users.drain(&address).expect("it is known");
    assert_eq!(condition(&users, 0), Condition::Draining);
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "other");
    }
    gate.open();
    assert_eq!(waiting.response("GET").await.expect(200).text(), "slow");
    users.undrain(&address).expect("it is known");
    assert_eq!(statuses(&gateway, 4).await, [(200, 4)]);
    assert_eq!(slow.count(), 3);
    assert!(users.drain("nobody:1").is_err());
}

#[tokio::test]
async fn weights_and_groups_move_while_requests_come() {
    let (a, b, spare) = (named("a").await, named("b").await, named("spare").await);
    let endpoints = vec![a.endpoint(), b.endpoint(), spare.endpoint().priority(1)];
    let (gateway, users) =
        served(prox::gateway! { backend users = cluster(rr, endpoints); "/" => users }).await;
    users
        .set_weight(&b.address().to_string(), 3)
        .expect("known");
    assert_eq!(statuses(&gateway, 8).await, [(200, 8)]);
    assert_eq!((a.count(), b.count(), spare.count()), (2, 6, 0));
    for origin in [&a, &b] {
        users
            .set_weight(&origin.address().to_string(), 0)
            .expect("known");
    }
    assert_eq!(gateway.get("/").await.expect(200).text(), "spare");
}

#[tokio::test]
async fn a_client_with_the_cookie_stays() {
    let (a, b) = (named("a").await, named("b").await);
    let (one, two) = (a.endpoint(), b.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [one, two]).sticky(prox::Sticky::cookie("shop"));
        "/" => users,
    })
    .await;
    let first = gateway.get("/").await.expect(200);
    let cookie = first.field("set-cookie").expect("a cookie").to_owned();
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap_or_default();
    let mut client = gateway.client().await;
    let asking = head("GET", "/", &format!("cookie: {pair}\r\n"));
    for _ in 0..4 {
        client.send(&asking).await;
        let answer = client.response("GET").await.expect(200);
        assert_eq!(
            (answer.text(), answer.field("set-cookie")),
            (first.text(), None)
        );
    }
    let mine = if first.text() == "a" { &a } else { &b };
    users.drain(&mine.address().to_string()).expect("known");
    client.send(&asking).await;
    let moved = client.response("GET").await.expect(200);
    assert_ne!(moved.text(), first.text());
    assert!(moved.field("set-cookie").is_some());
}

#[tokio::test]
async fn a_breaker_spares_a_backend_that_fails_and_closes_when_probes_pass() {
    let origin = Origin::with({
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        move |_| {
            if asked.fetch_add(1, SeqCst) < 4 {
                Reply::status(500, &[], "")
            } else {
                Reply::ok("well")
            }
        }
    })
    .await;
    let url = origin.endpoint();
    let options = BreakerOptions::new()
        .share(50, 4, Duration::from_secs(10))
        .open_for(BRIEF * 3)
        .probes(2);
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]).breaker(options);
        "/" => users,
    })
    .await;
    assert_eq!(statuses(&gateway, 4).await, [(500, 4)]);
    let refused = gateway.get("/").await.expect(503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(origin.count(), 4);
    tokio::time::sleep(BRIEF * 3).await;
    assert_eq!(statuses(&gateway, 3).await, [(200, 3)]);
    let counters = users.counters();
    assert_eq!(
        (counters.breaker_opened, counters.breaker_half_open),
        (1, 1)
    );
    assert_eq!((counters.breaker_closed, counters.breaker_refused), (1, 1));
}

#[test]
fn a_check_that_cannot_be_made_is_told_at_the_start() {
    // What is literal is told while compiling.
    let path = "healthz";
    let gateway = prox::gateway! {
        backend users = cluster(rr, ["http://127.0.0.1:1"]).health(prox::HttpCheck::new(path));
        "/" => users,
    };
    let error = gateway.unwrap_err().to_string();
    assert!(error.contains("`healthz` is no path to check"), "{error}");
}
