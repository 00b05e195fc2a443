use std::sync::Arc;

use http::StatusCode;
use tokio::time::advance;

use super::*;
use crate::{
    client::Client,
    cluster::{
        Cluster, ClusterBuilder, Condition, Lease, Outcome, RoundRobin, SlowStart, Waited, cluster,
    },
    error::Failure,
};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(5);
/// The default of a route.
const PATIENCE: Duration = Duration::from_secs(30);

fn four() -> ClusterBuilder {
    let urls = ["http://a:1", "http://b:1", "http://c:1", "http://d:1"];
    cluster(RoundRobin::new(), urls).slow_start(SlowStart::off())
}

fn built(builder: ClusterBuilder) -> Cluster {
    builder.build("users").unwrap()
}

/// A request that is sent now to the endpoint `index`.
fn ask(users: &Cluster, index: usize) -> (Lease, Instant) {
    let others: Vec<usize> = (0..4).filter(|other| *other != index).collect();
    let core = users.core();
    let mut parts = http::Request::new(()).into_parts().0;
    let caller = core.caller(&mut parts, &Arc::new(Client::new(None)));
    let now = Instant::now();
    let lease = core.choose(&caller, &others, true, now).unwrap();
    assert_eq!(lease.index(), index);
    (lease, now)
}

fn ask_often(users: &Cluster, index: usize, count: usize) -> Vec<(Lease, Instant)> {
    (0..count).map(|_| ask(users, index)).collect()
}

fn answer((mut lease, sent): (Lease, Instant)) {
    lease.answered(StatusCode::OK, sent, Instant::now(), 0);
}

/// These endpoints answer some requests at once.
fn well(users: &Cluster, indices: impl IntoIterator<Item = usize>) {
    for index in indices {
        ask_often(users, index, 5).into_iter().for_each(answer);
    }
}

/// What those that have waited since they were sent are told.
fn look(asked: &mut [(Lease, Instant)]) -> Vec<Waited> {
    let now = Instant::now();
    asked
        .iter_mut()
        .map(|(lease, sent)| lease.waited(*sent, LIMIT, now))
        .collect()
}

fn condition(users: &Cluster, index: usize) -> Condition {
    users.endpoints().nth(index).unwrap().condition()
}

/// With endpoint 0 ejected for its silence, and the requests that wait there.
async fn silenced(users: &Cluster) -> Vec<(Lease, Instant)> {
    let mut waiting = ask_often(users, 0, 3);
    advance(LIMIT).await;
    well(users, 1..4);
    look(&mut waiting);
    assert_eq!(condition(users, 0), Condition::Ejected);
    waiting
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_where_several_requests_wait_while_others_answer_is_ejected() {
    let users = built(four());
    well(&users, 0..4);
    advance(SECOND).await;
    let mut waiting = ask_often(&users, 0, 3);
    advance(4 * SECOND).await;
    well(&users, 1..4);
    let until = waiting[0].1 + LIMIT;
    assert_eq!(look(&mut waiting), [Waited::Briefly { until }; 3]);
    advance(SECOND).await;
    let told = look(&mut waiting);
    assert_eq!(told, [Waited::Long, Waited::Long, Waited::Silent]);
    assert_eq!(look(&mut waiting), [Waited::Silent; 3]);
    assert_eq!(condition(&users, 0), Condition::Ejected);
    assert_eq!(users.counters().ejected, 1);
    let first = users.endpoints().next().unwrap();
    assert_eq!(first.last_error().unwrap().reason, "silence");
}

#[tokio::test(start_paused = true)]
async fn two_requests_are_not_several_and_those_whose_client_has_left_do_not_count() {
    let users = built(four());
    let mut waiting = ask_often(&users, 0, 2);
    let mut left = ask_often(&users, 0, 2);
    advance(LIMIT).await;
    well(&users, 1..4);
    assert_eq!(look(&mut left), [Waited::Long; 2]);
    drop(left);
    assert_eq!(look(&mut waiting), [Waited::Long; 2]);
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_back_is_a_sign_of_life() {
    for sign in 0..3 {
        let users = built(four());
        let mut waiting = ask_often(&users, 0, 9);
        let (mut lease, sent) = ask(&users, 0);
        advance(SECOND).await;
        match sign {
            0 => lease.answered(StatusCode::OK, sent, Instant::now(), 0),
            1 => lease.answered(StatusCode::SERVICE_UNAVAILABLE, sent, Instant::now(), 0),
            _ => _ = lease.waits_since(&mut None),
        }
        advance(4 * SECOND).await;
        well(&users, 1..4);
        assert_eq!(look(&mut waiting), [Waited::Long; 9], "{sign}");
        advance(SECOND).await;
        well(&users, 1..4);
        assert_eq!(look(&mut waiting), [Waited::Silent; 9], "{sign}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_ejected_while_the_others_do_not_answer_either() {
    let users = built(four());
    well(&users, 0..4);
    let mut waiting = ask_often(&users, 0, 9);
    advance(LIMIT).await;
    assert_eq!(look(&mut waiting), [Waited::Long; 9]);
    // A few answers may be luck.
    (1..4).for_each(|index| answer(ask(&users, index)));
    advance(2 * LIMIT).await;
    assert_eq!(look(&mut waiting), [Waited::Long; 9]);
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_are_equally_slow_are_not_silent() {
    let users = built(four());
    for _ in 0..20 {
        let mut all: Vec<_> = (0..4).map(|index| ask_often(&users, index, 3)).collect();
        advance(LIMIT).await;
        for waiting in &mut all {
            look(waiting);
        }
        advance(SECOND).await;
        // One after the other, so that some have answered a lot before the next does.
        for mut waiting in all {
            look(&mut waiting);
            waiting.into_iter().for_each(answer);
            advance(SECOND / 10).await;
        }
    }
    assert_eq!(users.counters().ejected, 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_at_an_endpoint_that_answers_shows_that_the_work_takes_long() {
    let users = built(four());
    let mut waiting = ask_often(&users, 0, 9);
    let mut poll = [ask(&users, 1)];
    advance(LIMIT).await;
    well(&users, 1..4);
    assert_eq!(look(&mut poll), [Waited::Long]);
    assert_eq!(look(&mut waiting), [Waited::Long; 9]);
    // When it is answered, the limit is twice as long as that took, for all.
    advance(SECOND).await;
    let [poll] = poll;
    answer(poll);
    well(&users, 1..4);
    let until = waiting[0].1 + 2 * (LIMIT + SECOND);
    assert_eq!(look(&mut waiting), [Waited::Briefly { until }; 9]);
    advance(until - Instant::now()).await;
    well(&users, 1..4);
    look(&mut waiting);
    assert_eq!(condition(&users, 0), Condition::Ejected);
    // That is forgotten in time.
    advance(MEMORY).await;
    let mut waiting = ask_often(&users, 1, 1);
    advance(LIMIT).await;
    assert_eq!(look(&mut waiting), [Waited::Long]);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_brings_a_silent_endpoint_back_and_it_gets_more_time() {
    let users = built(four());
    let mut waiting = silenced(&users).await;
    advance(SECOND).await;
    answer(waiting.remove(0));
    assert_eq!(condition(&users, 0), Condition::Healthy);
    assert_eq!(users.counters().returned, 1);
    let until = waiting[0].1 + 2 * (LIMIT + SECOND);
    assert_eq!(look(&mut waiting), [Waited::Briefly { until }; 2]);
    // The others do not get more: this one may have been ill.
    let mut other = [ask(&users, 1)];
    advance(LIMIT).await;
    assert_eq!(look(&mut other), [Waited::Long]);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_does_not_bring_back_what_was_ejected_for_its_failures() {
    let users = built(four());
    let late = ask(&users, 0);
    for (mut lease, _) in ask_often(&users, 0, 5) {
        lease.settle(Outcome::Failed(Failure::Reset));
    }
    advance(SECOND).await;
    answer(late);
    assert_eq!(condition(&users, 0), Condition::Ejected);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_not_answered_either_has_failed_after_the_same_time() {
    let users = built(four());
    let waiting = silenced(&users).await;
    advance(LIMIT).await;
    let mut probe = [ask(&users, 0)];
    assert_eq!(users.counters().probes, 1);
    advance(LIMIT).await;
    assert_eq!(look(&mut probe), [Waited::Silent]);
    assert_eq!(users.counters().ejected, 2);
    // The next is due after twice the time, and passes when it is answered.
    advance(2 * LIMIT).await;
    drop(waiting);
    answer(ask(&users, 0));
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_endpoints_stay_and_that_is_said_once_in_a_while() {
    let users = built(four());
    let mut waiting: Vec<_> = (0..3).flat_map(|at| ask_often(&users, at, 3)).collect();
    advance(LIMIT).await;
    well(&users, [3]);
    for _ in 0..5 {
        look(&mut waiting);
    }
    let counters = users.counters();
    assert_eq!((counters.ejected, counters.spared), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_limit_follows_the_route_unless_it_is_set() {
    let with = |limit| four().passive(PassiveOptions::new().silence(limit));
    let one = cluster(RoundRobin::new(), ["http://a:1"]);
    let rows = [
        (four(), PATIENCE, Some(LIMIT)),
        (four(), SECOND, Some(LIMIT)),
        (four(), 2 * PATIENCE, Some(2 * LIMIT)),
        (with(SECOND), 2 * PATIENCE, Some(SECOND)),
        (with(Duration::ZERO), PATIENCE, None),
        (four().without_passive(), PATIENCE, None),
        (one, PATIENCE, None),
    ];
    for (builder, response_timeout, expected) in rows {
        let users = built(builder);
        let core = users.core();
        let mut parts = http::Request::new(()).into_parts().0;
        let caller = core.caller(&mut parts, &Arc::new(Client::new(None)));
        let lease = core.choose(&caller, &[], true, Instant::now()).unwrap();
        assert_eq!(lease.silence(response_timeout), expected);
    }
}
