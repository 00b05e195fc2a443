use tokio::time::advance;

use super::*;
use crate::{
    client::Client,
    cluster::{
        BreakerOptions, Cluster, ClusterBuilder, Condition, PassiveOptions, RoundRobin, SlowStart,
        cluster,
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn two() -> ClusterBuilder {
    let passive = PassiveOptions::new().eject_for(5 * SECOND, 60 * SECOND);
    cluster(RoundRobin::new(), ["http://a:1", "http://b:1"])
        .passive(passive)
        .slow_start(SlowStart::off())
}

fn built(builder: ClusterBuilder) -> Cluster {
    builder.build("users").unwrap()
}

fn choose(cluster: &Cluster) -> Lease {
    let core = cluster.core();
    let mut parts = http::Request::new(()).into_parts().0;
    let caller = core.caller(&mut parts, &Arc::new(Client::new(None)));
    core.choose(&caller, &[], true, Instant::now()).unwrap()
}

/// A lease on the endpoint `index`; the others have answered well.
fn choose_of(cluster: &Cluster, index: usize) -> Lease {
    loop {
        let mut lease = choose(cluster);
        if lease.index() == index {
            return lease;
        }
        lease.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
    }
}

fn condition(cluster: &Cluster, index: usize) -> Condition {
    cluster.endpoints().nth(index).unwrap().condition()
}

fn reset() -> Error {
    Error::failure(Failure::Reset).after_send()
}

#[tokio::test(start_paused = true)]
async fn responses_that_break_off_eject_although_their_heads_were_good() {
    let users = built(two());
    for count in 1..=5 {
        assert_eq!(condition(&users, 0), Condition::Healthy, "{count}");
        let mut lease = choose_of(&users, 0);
        lease.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
        lease.broke_off(&reset());
        // Said already.
        lease.broke_off(&reset());
        lease.conclude();
    }
    assert_eq!(condition(&users, 0), Condition::Ejected);
    let state = users.endpoints().next().unwrap();
    assert_eq!(state.last_error().unwrap().reason, "reset");
    assert_eq!(users.counters().ejected, 1);
}

#[tokio::test(start_paused = true)]
async fn a_good_response_counts_when_it_has_ended_or_its_client_has_left() {
    let users = built(two());
    for _ in 0..3 {
        for _ in 0..4 {
            let mut lease = choose_of(&users, 0);
            lease.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
            lease.broke_off(&reset());
        }
        // Dropped in the middle of its response; a row of failures ends with it.
        let mut lease = choose_of(&users, 0);
        lease.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
        drop(lease);
    }
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_endpoints_doing_is_not_held_against_it() {
    let users = built(two());
    for _ in 0..20 {
        let mut lease = choose_of(&users, 0);
        lease.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
        lease.broke_off(&Error::failure(Failure::SlowClient));
    }
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_counts_at_once_and_only_once() {
    let users = built(two());
    let leases: Vec<Lease> = (0..5)
        .map(|_| {
            let mut lease = choose_of(&users, 0);
            lease.answered(
                StatusCode::INTERNAL_SERVER_ERROR,
                Instant::now(),
                Instant::now(),
                0,
            );
            lease.broke_off(&reset());
            lease
        })
        .collect();
    assert_eq!(condition(&users, 0), Condition::Ejected);
    drop(leases);
    assert_eq!(users.counters().ejected, 1);
}

/// With endpoint 0 ejected, and its probe due.
async fn probed() -> (Cluster, Lease) {
    let users = built(two());
    for _ in 0..5 {
        choose_of(&users, 0).settle(Outcome::Failed(Failure::Connect));
    }
    advance(6 * SECOND).await;
    let lease = choose_of(&users, 0);
    assert!(lease.probe);
    (users, lease)
}

#[tokio::test(start_paused = true)]
async fn a_probe_passes_when_its_response_has_ended() {
    let (users, mut probe) = probed().await;
    probe.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
    probe.goes_on();
    assert_eq!(condition(&users, 0), Condition::Ejected);
    probe.conclude();
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_response_breaks_off_has_failed() {
    let (users, mut probe) = probed().await;
    probe.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
    probe.broke_off(&reset());
    drop(probe);
    assert_eq!(condition(&users, 0), Condition::Ejected);
    assert_eq!(users.counters().ejected, 2);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_a_stream_passes_after_a_second() {
    let (users, mut probe) = probed().await;
    probe.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
    advance(SECOND).await;
    probe.goes_on();
    assert_eq!(condition(&users, 0), Condition::Healthy);
}

#[tokio::test(start_paused = true)]
async fn responses_that_break_off_open_the_breaker() {
    let options = BreakerOptions::new().share(50, 4, 10 * SECOND);
    let users = built(two().without_passive().breaker(options));
    for _ in 0..4 {
        let mut lease = choose(&users);
        lease.answered(StatusCode::OK, Instant::now(), Instant::now(), 0);
        lease.broke_off(&reset());
    }
    assert_eq!(users.counters().breaker_opened, 1);
}
