//! Slow requests that are sent to a second endpoint too.

use std::time::Duration;

use prox::{BudgetOptions, Cluster, Condition, HedgeOptions, QueueOptions};
use prox_tests::{
    client::head,
    gateway::{Served, served},
    origin::{Origin, Reply},
    wait::{Gate, eventually},
};

use crate::retries::InTurn;

const DELAY: Duration = Duration::from_millis(30);

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

/// Answers once the gate is open.
async fn slow(gate: &Gate) -> Origin {
    let reply = Reply::new()
        .wait(gate)
        .head(200, &[], "content-length: 4")
        .write("slow");
    Origin::start(reply).await
}

/// Never answers.
async fn stalled() -> Origin {
    Origin::start(Reply::new().stall()).await
}

/// These two endpoints, tried in this order, with hedging.
async fn before(
    first: &Origin,
    second: &Origin,
    options: impl Into<HedgeOptions>,
) -> (Served, Cluster) {
    let (a, b, options) = (first.endpoint(), second.endpoint(), options.into());
    served(prox::gateway! {
        backend users = cluster(InTurn, [a, b]).hedge(options);
        "/" => users,
    })
    .await
}

/// Hedged, won, and not hedged.
fn counts(users: &Cluster) -> (u64, u64, u64) {
    let counters = users.counters();
    (counters.hedged, counters.hedges_won, counters.not_hedged)
}

#[tokio::test]
async fn the_second_endpoint_answers_while_the_first_is_slow_and_the_first_is_cancelled() {
    let (first, second) = (stalled().await, named("fast").await);
    let (gateway, users) = before(&first, &second, DELAY).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "fast");
    assert_eq!((first.count(), second.count()), (1, 1));
    first.left_alone().await;
    assert_eq!(counts(&users), (1, 1, 0));
    for endpoint in users.endpoints() {
        assert_eq!(endpoint.active(), 0, "{endpoint}");
        assert_eq!(endpoint.condition(), Condition::Healthy);
        assert_eq!(endpoint.last_error(), None);
    }
}

#[tokio::test]
async fn an_answer_in_time_is_asked_for_once() {
    let (first, second) = (named("first").await, named("second").await);
    let (gateway, users) = before(&first, &second, Duration::from_secs(10)).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "first");
    }
    assert_eq!(second.count(), 0);
    assert_eq!(counts(&users), (0, 0, 0));
}

#[tokio::test]
async fn the_first_endpoint_may_still_be_the_faster_one() {
    let gate = Gate::new();
    let (first, second) = (slow(&gate).await, stalled().await);
    let (gateway, users) = before(&first, &second, DELAY).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    second.reached(1).await;
    gate.open();
    assert_eq!(client.response("GET").await.expect(200).text(), "slow");
    second.left_alone().await;
    assert_eq!(counts(&users), (1, 0, 0));
}

#[tokio::test]
async fn a_second_answer_that_is_a_failure_is_not_the_one() {
    let gate = Gate::new();
    let first = slow(&gate).await;
    let second = Origin::start(Reply::status(503, &[], "busy")).await;
    let (gateway, users) = before(&first, &second, DELAY).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    second.reached(1).await;
    gate.open();
    assert_eq!(client.response("GET").await.expect(200).text(), "slow");
    assert_eq!(counts(&users), (1, 0, 0));
    let state = users.endpoints().nth(1).expect("the second");
    assert_eq!(state.last_error().expect("it failed").reason, "status 503");
}

#[tokio::test]
async fn what_may_not_be_done_twice_is_done_once() {
    let gate = Gate::new();
    let (first, second) = (slow(&gate).await, named("fast").await);
    let (gateway, users) = before(&first, &second, DELAY).await;
    let mut client = gateway.client().await;
    client.request_with("POST", "/", "once").await;
    first.reached(1).await;
    tokio::time::sleep(3 * DELAY).await;
    gate.open();
    assert_eq!(client.response("POST").await.expect(200).text(), "slow");
    assert_eq!((second.count(), counts(&users)), (0, (0, 0, 0)));
}

#[tokio::test]
async fn a_body_that_has_arrived_whole_goes_to_both() {
    let (first, second) = (stalled().await, named("fast").await);
    let (gateway, users) = before(&first, &second, DELAY).await;
    let mut client = gateway.client().await;
    client.request_with("PUT", "/item?7", "all of it").await;
    assert_eq!(client.response("PUT").await.expect(200).text(), "fast");
    let seen = second.last();
    assert_eq!((seen.method(), seen.target()), ("PUT", "/item?7"));
    assert_eq!(seen.field("content-length"), Some("9"));
    assert_eq!(seen.body.text(), "all of it");
    assert_eq!(counts(&users), (1, 1, 0));
}

#[tokio::test]
async fn a_client_that_is_still_sending_is_what_is_waited_for() {
    let gate = Gate::new();
    let (first, second) = (slow(&gate).await, named("fast").await);
    let (gateway, users) = before(&first, &second, DELAY).await;
    gate.open();
    let mut client = gateway.client().await;
    client.send(head("PUT", "/", "content-length: 4\r\n")).await;
    client.send("ab").await;
    eventually("it is decided", || users.counters().not_hedged == 1).await;
    client.send("cd").await;
    assert_eq!(client.response("PUT").await.expect(200).text(), "slow");
    assert_eq!(second.count(), 0);
}

#[tokio::test]
async fn a_budget_of_nothing_and_a_single_endpoint_hedge_nothing() {
    let gate = Gate::new();
    let (first, second) = (slow(&gate).await, named("fast").await);
    let never = HedgeOptions::after(DELAY).budget(BudgetOptions::percent(0));
    let (gateway, users) = before(&first, &second, never).await;
    let url = first.endpoint();
    let (alone, only) = served(prox::gateway! {
        backend users = cluster(rr, [url]);
        "/" => users.hedge(30ms),
    })
    .await;
    for (gateway, users) in [(&gateway, &users), (&alone, &only)] {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        eventually("it is decided", || counts(users) == (0, 0, 1)).await;
    }
    assert_eq!(second.count(), 0);
}

#[tokio::test]
async fn both_tries_end_with_the_client() {
    let (first, second) = (stalled().await, stalled().await);
    let (gateway, users) = before(&first, &second, DELAY).await;
    let mut client = gateway.client().await;
    client.request("GET", "/").await;
    second.reached(1).await;
    client.reset();
    first.left_alone().await;
    second.left_alone().await;
    eventually("both are given up", || {
        users.endpoints().all(|endpoint| endpoint.active() == 0)
    })
    .await;
    assert!(users.endpoints().all(|one| one.last_error().is_none()));
}

#[tokio::test]
async fn the_second_try_waits_for_its_place_and_the_time_of_the_request_ends_both() {
    let (first, second) = (stalled().await, stalled().await);
    let (a, b, limit) = (first.endpoint(), second.endpoint(), 10 * DELAY);
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(InTurn, [a, b])
            .max_connections(1)
            .queue(QueueOptions::new().timeout(10s));
        "/" => users.hedge(30ms).timeout(limit),
        "/second" => users,
    })
    .await;
    // Takes the only place at the first, so that the second is free for who is hedged, and for nobody else.
    let mut one = gateway.client().await;
    one.request("GET", "/").await;
    second.reached(1).await;
    let mut two = gateway.client().await;
    two.request("GET", "/").await;
    eventually("it is hedged", || users.counters().hedged == 2).await;
    eventually("both of its tries wait", || {
        users.endpoints().all(|endpoint| endpoint.waiting() == 1)
    })
    .await;
    assert_eq!((first.count(), second.count()), (1, 1));
    one.response("GET").await.expect(504);
    two.response("GET").await.expect(504);
}

#[tokio::test]
async fn a_client_that_is_kept_at_its_endpoint_stays_there() {
    let gate = Gate::new();
    let (first, second) = (slow(&gate).await, named("fast").await);
    let (a, b) = (first.endpoint(), second.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(InTurn, [a, b]).sticky(cookie("side"));
        "/" => users.hedge(30ms),
        "/first" => users,
    })
    .await;
    let mut client = gateway.client().await;
    client.request("GET", "/first").await;
    first.reached(1).await;
    gate.open();
    let answer = client.response("GET").await.expect(200);
    let cookie = answer.field("set-cookie").expect("a cookie");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    first.once([Reply::new()
        .pause(3 * DELAY)
        .head(200, &[], "content-length: 0")]);
    client
        .send(head("GET", "/", &format!("cookie: {pair}\r\n")))
        .await;
    client.response("GET").await.expect(200);
    assert_eq!((second.count(), counts(&users)), (0, (0, 0, 0)));
}
