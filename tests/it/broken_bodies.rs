//! Upstreams whose responses break off count as failing, although their heads were good.

use std::time::Duration;

use prox::{Cluster, Condition, PassiveOptions, SlowStart};
use prox_tests::{
    client::head,
    frame_origin::{FrameOrigin, code, data, ok, reset},
    gateway::{Served, served},
    origin::{Origin, Reply},
    wait::eventually,
    wire::End,
};

const LONG: Duration = Duration::from_mins(5);

fn condition(users: &Cluster, index: usize) -> Condition {
    let state = users.endpoints().nth(index).expect("an endpoint");
    state.condition()
}

/// How many of so many responses broke off.
async fn cut(gateway: &Served, count: usize) -> usize {
    let mut cut = 0;
    for _ in 0..count {
        let answer = gateway.get("/").await;
        assert_eq!(answer.status, 200);
        cut += usize::from(answer.body.end == End::Cut);
    }
    cut
}

/// Answers what begins well, then breaks off, before a server that works.
async fn beside_a_good_one(reply: Reply) -> (Origin, Origin, Served, Cluster) {
    let (bad, good) = (
        Origin::start(reply).await,
        Origin::start(Reply::ok("good")).await,
    );
    let (a, b) = (bad.endpoint(), good.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(PassiveOptions::new().eject_for(LONG, LONG));
        "/" => users,
    })
    .await;
    (bad, good, gateway, users)
}

fn half() -> Reply {
    Reply::new()
        .head(200, &[], "Content-Length: 10")
        .write("12345")
}

#[tokio::test]
async fn an_endpoint_that_resets_in_mid_body_is_ejected_after_five() {
    let (bad, _good, gateway, users) = beside_a_good_one(half().reset()).await;
    assert_eq!(cut(&gateway, 20).await, 5);
    assert_eq!(condition(&users, 0), Condition::Ejected);
    assert_eq!((bad.count(), users.counters().ejected), (5, 1));
    let state = users.endpoints().next().expect("the first");
    assert_eq!(state.last_error().expect("it failed").reason, "reset");
}

#[tokio::test]
async fn a_body_cut_short_counts_as_well() {
    let (_bad, _good, gateway, users) = beside_a_good_one(half().close()).await;
    assert_eq!(cut(&gateway, 20).await, 5);
    assert_eq!(condition(&users, 0), Condition::Ejected);
}

#[tokio::test]
async fn a_stream_of_http2_that_is_reset_counts_as_well() {
    let bad = FrameOrigin::start(&[], |head| {
        vec![
            ok(head.stream, false),
            data(head.stream, b"half", false),
            reset(head.stream, code::INTERNAL_ERROR),
        ]
    })
    .await;
    let good = FrameOrigin::start(&[], |head| {
        vec![ok(head.stream, false), data(head.stream, b"good", true)]
    })
    .await;
    let (a, b) = (bad.endpoint(), good.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b])
            .http2()
            .passive(PassiveOptions::new().eject_for(LONG, LONG));
        "/" => users,
    })
    .await;
    assert_eq!(cut(&gateway, 20).await, 5);
    assert_eq!(condition(&users, 0), Condition::Ejected);
}

#[tokio::test]
async fn clients_that_leave_in_mid_body_eject_nobody() {
    let (bad, _good, gateway, users) = beside_a_good_one(half().stall()).await;
    for count in 1..=7 {
        while bad.count() < count {
            let mut client = gateway.client().await;
            client.send(head("GET", "/", "")).await;
            client.response_head().await;
            client.reset();
        }
    }
    eventually("all have been given up", || {
        users.endpoints().all(|endpoint| endpoint.active() == 0)
    })
    .await;
    assert_eq!(condition(&users, 0), Condition::Healthy);
    let state = users.endpoints().next().expect("the first");
    assert_eq!(state.last_error(), None);
}

#[tokio::test]
async fn a_probe_that_breaks_off_does_not_bring_the_endpoint_back() {
    let brief = Duration::from_millis(50);
    let bad = Origin::start(half().reset()).await;
    let good = Origin::start(Reply::ok("good")).await;
    let (a, b) = (bad.endpoint(), good.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b])
            .passive(PassiveOptions::new().eject_for(brief, brief))
            .slow_start(SlowStart::off());
        "/" => users,
    })
    .await;
    assert_eq!(cut(&gateway, 12).await, 5);
    tokio::time::sleep(2 * brief).await;
    let mut after = 0;
    while users.counters().probes == 0 {
        after += cut(&gateway, 1).await;
    }
    assert_eq!(after, 1);
    let counters = users.counters();
    assert_eq!((counters.returned, counters.ejected), (0, 2));
    assert_eq!(condition(&users, 0), Condition::Ejected);
}
