use std::{sync::Weak, time::Duration};

use http::{HeaderMap, StatusCode, header, request::Parts};
use tokio::time::{Instant, advance};

use Condition::{Healthy, Unhealthy};

use super::*;
use crate::cluster::{
    BreakerOptions, CheckOptions, CheckTarget, Cluster, ClusterBuilder, Condition, Endpoint,
    HealthCheck, PassiveOptions, RoundRobin, Sticky, Weighted, cluster, upstream,
};

const URLS: [&str; 4] = ["http://a:1", "http://b:1", "http://c:1", "http://d:1"];
const OK: Outcome = Outcome::Status(StatusCode::OK);
const BAD: Outcome = Outcome::Failed(Failure::Reset);
const GONE: Outcome = Outcome::Failed(Failure::Connect);
const SECOND: Duration = Duration::from_secs(1);

fn asked(core: &Arc<Core>, mut parts: Parts) -> Caller {
    core.caller(&mut parts, &Arc::new(Client::new(None)))
}

fn four() -> ClusterBuilder {
    cluster(RoundRobin::new(), URLS)
}

fn built(builder: ClusterBuilder) -> Cluster {
    builder.build("users").unwrap()
}

fn request(cookie: Option<&str>) -> Parts {
    let mut request = http::Request::new(());
    if let Some(cookie) = cookie {
        request
            .headers_mut()
            .insert(header::COOKIE, cookie.parse().unwrap());
    }
    request.into_parts().0
}

fn caller(cluster: &Cluster) -> Caller {
    asked(cluster.core(), request(None))
}

fn choose(cluster: &Cluster) -> Result<Lease, Unavailable> {
    let core = cluster.core();
    core.choose(&caller(cluster), &[], true, Instant::now())
}

/// One request, which ends as `outcome` says for its endpoint.
fn ask(cluster: &Cluster, outcome: impl Fn(usize) -> Outcome) -> usize {
    let mut lease = choose(cluster).unwrap();
    lease.settle(outcome(lease.index()));
    lease.index()
}

/// How many of so many requests each endpoint gets.
fn shares(cluster: &Cluster, count: usize) -> Vec<usize> {
    let mut shares = vec![0; cluster.endpoints().len()];
    for _ in 0..count {
        shares[ask(cluster, |_| OK)] += 1;
    }
    shares
}

fn conditions(cluster: &Cluster) -> Vec<Condition> {
    let endpoints = cluster.endpoints();
    endpoints.map(|endpoint| endpoint.condition()).collect()
}

/// Fails at the first endpoint until it is ejected.
fn eject_first(cluster: &Cluster) {
    for _ in 0..5 * cluster.endpoints().len() {
        ask(cluster, |index| if index == 0 { BAD } else { OK });
    }
    assert_eq!(conditions(cluster)[0], Condition::Ejected);
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_an_endpoint() {
    let users = built(four());
    eject_first(&users);
    assert_eq!(shares(&users, 300), [0, 100, 100, 100]);
    assert_eq!(users.counters().ejected, 1);
    let first = users.endpoints().next().unwrap();
    assert_eq!(first.last_error().unwrap().reason, "reset");
}

#[tokio::test(start_paused = true)]
async fn one_probe_brings_it_back_and_it_starts_slowly() {
    let users = built(four());
    eject_first(&users);
    advance(5 * SECOND).await;
    let mut probe = choose(&users).unwrap();
    assert_eq!(probe.index(), 0);
    // One at a time.
    assert!((0..8).all(|_| ask(&users, |_| OK) != 0));
    probe.settle(OK);
    assert_eq!(conditions(&users)[0], Condition::Warming);
    let tenth = shares(&users, 310);
    assert_eq!(tenth.iter().sum::<usize>(), 310);
    assert!((9..=11).contains(&tenth[0]), "{tenth:?}");
    advance(15 * SECOND).await;
    let half = shares(&users, 350);
    assert!((48..=52).contains(&half[0]), "{half:?}");
    advance(15 * SECOND).await;
    assert_eq!(shares(&users, 400), [100; 4]);
    assert_eq!(conditions(&users), [Condition::Healthy; 4]);
    assert_eq!((users.counters().probes, users.counters().returned), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_doubles_the_ejection() {
    let users = built(four());
    eject_first(&users);
    advance(5 * SECOND).await;
    assert_eq!(ask(&users, |_| BAD), 0);
    advance(9 * SECOND).await;
    assert_eq!(shares(&users, 30)[0], 0);
    advance(SECOND).await;
    assert_eq!(ask(&users, |_| OK), 0);
    assert_eq!(conditions(&users)[0], Condition::Warming);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_a_probe_gives_it_to_the_next() {
    let users = built(four());
    eject_first(&users);
    advance(5 * SECOND).await;
    let probe = choose(&users).unwrap();
    assert_eq!(probe.index(), 0);
    drop(probe);
    assert_eq!(ask(&users, |_| OK), 0);
    assert_eq!(conditions(&users)[0], Condition::Warming);
}

#[tokio::test(start_paused = true)]
async fn half_of_the_endpoints_stay_however_much_fails() {
    let users = built(four());
    for _ in 0..100 {
        ask(&users, |_| BAD);
    }
    let ejected = conditions(&users);
    let ejected = ejected.iter().filter(|one| **one == Condition::Ejected);
    assert_eq!(ejected.count(), 2);
    assert!(users.counters().spared > 0);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_ejected_all_are_used() {
    let users = built(four().passive(PassiveOptions::new().at_most(100)));
    for _ in 0..20 {
        ask(&users, |_| BAD);
    }
    assert_eq!(conditions(&users), [Condition::Ejected; 4]);
    assert_eq!(users.counters().panics, 1);
    let mut shares = [0; 4];
    for _ in 0..40 {
        shares[ask(&users, |_| BAD)] += 1;
    }
    assert_eq!(shares, [10; 4]);
    assert_eq!(users.counters().ejected, 4);
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_cannot_be_connected_to_are_all_ejected() {
    let users = built(four());
    for _ in 0..100 {
        ask(&users, |index| if index == 3 { OK } else { GONE });
    }
    assert_eq!(users.counters().ejected, 3);
    assert_eq!(shares(&users, 40), [0, 0, 0, 40]);
}

#[tokio::test(start_paused = true)]
async fn what_runs_out_of_time_ejects_nobody_who_has_answered_since_and_a_reset_does() {
    let late = Outcome::Failed(Failure::ResponseTimeout);
    for (outcome, answers, ejected) in [(late, true, 0), (late, false, 4), (BAD, true, 4)] {
        let users = built(four().passive(PassiveOptions::new().at_most(100)));
        let mut old: Vec<Lease> = (0..20).map(|_| choose(&users).unwrap()).collect();
        advance(30 * SECOND).await;
        if answers {
            assert_eq!(shares(&users, 4), [1; 4]);
        }
        for lease in &mut old {
            lease.settle(outcome);
        }
        assert_eq!(users.counters().ejected, ejected, "{outcome}, {answers}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_tried_all_others_tries_one_that_could_not_be_connected_to() {
    let users = built(four());
    let (core, caller) = (users.core(), caller(&users));
    for _ in 0..100 {
        ask(&users, |index| match index {
            0 | 1 => GONE,
            2 => BAD,
            _ => OK,
        });
    }
    assert_eq!(conditions(&users)[..2], [Condition::Ejected; 2]);
    assert!(core.has_another(&[2, 3]));
    let choose = |tried: &[usize]| core.choose(&caller, tried, true, Instant::now()).unwrap();
    let mut resort = choose(&[2, 3]);
    assert_eq!(resort.index(), 0);
    assert_eq!(choose(&[0, 2, 3]).index(), 1);
    assert!(!core.has_another(&[0, 1, 2, 3]));
    assert!(choose(&[0, 1, 2, 3]).index() > 1);
    resort.settle(OK);
    assert_eq!(conditions(&users)[0], Condition::Warming);
    // Who never tried gets none of them.
    assert!((0..40).all(|_| ask(&users, |_| OK) != 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_success_in_panic_ends_it_and_the_others_are_probed_at_once() {
    let users = built(four());
    for _ in 0..100 {
        ask(&users, |_| GONE);
    }
    assert_eq!(conditions(&users), [Condition::Ejected; 4]);
    let first = ask(&users, |_| OK);
    assert_eq!(conditions(&users)[first], Condition::Warming);
    let mut probed: Vec<usize> = (0..3).map(|_| ask(&users, |_| OK)).collect();
    probed.push(first);
    probed.sort_unstable();
    assert_eq!(probed, [0, 1, 2, 3]);
    assert_eq!(conditions(&users), [Condition::Warming; 4]);
    assert_eq!(shares(&users, 40), [10; 4]);
    let counters = users.counters();
    assert_eq!((counters.panics, counters.probes), (1, 3));
    assert_eq!((counters.ejected, counters.returned), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn the_only_endpoint_is_never_ejected_and_none_is_without_passive_health() {
    let one = built(upstream("http://a:1").passive(PassiveOptions::new().at_most(100)));
    let off = built(four().without_passive());
    for cluster in [&one, &off] {
        for _ in 0..100 {
            ask(cluster, |_| BAD);
        }
        assert_eq!(cluster.counters().ejected, 0);
    }
    assert_eq!(shares(&off, 40), [10; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_says_nothing_of_the_endpoint() {
    let users = built(four());
    for _ in 0..100 {
        drop(choose(&users).unwrap());
    }
    assert_eq!(conditions(&users), [Condition::Healthy; 4]);
    assert!(users.endpoints().all(|one| one.last_error().is_none()));
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_counted_until_the_lease_is_dropped() {
    let users = built(four());
    let mut lease = choose(&users).unwrap();
    let active = || users.endpoints().map(|one| one.active()).sum::<usize>();
    lease.settle(OK);
    assert_eq!(active(), 1);
    drop(lease);
    assert_eq!(active(), 0);
}

#[tokio::test(start_paused = true)]
async fn to_ask_whether_there_is_another_endpoint_passes_none_over() {
    let three = ["http://a:1", "http://b:1", "http://c:1"];
    let users = built(cluster(RoundRobin::new(), three).without_passive());
    let (core, caller, now) = (users.core(), caller(&users), Instant::now());
    let mut counts = [0; 3];
    for _ in 0..30 {
        let mut index = core.choose(&caller, &[], true, now).unwrap().index();
        if index == 0 {
            // It cannot be connected to.
            assert!(core.has_another(&[0]));
            index = core.choose(&caller, &[0], true, now).unwrap().index();
        }
        counts[index] += 1;
    }
    assert_eq!(counts, [0, 15, 15]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_elsewhere_while_there_is_an_elsewhere() {
    let users = built(four());
    let (core, caller, now) = (users.core(), caller(&users), Instant::now());
    for _ in 0..10 {
        let lease = core.choose(&caller, &[0, 1, 3], true, now).unwrap();
        assert_eq!(lease.index(), 2);
    }
    assert!(core.has_another(&[0, 1, 3]));
    assert!(!core.has_another(&[0, 1, 2, 3]));
    assert!(core.choose(&caller, &[0, 1, 2, 3], true, now).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_drained_endpoint_gets_nothing_until_it_is_taken_back() {
    let users = built(four());
    users.drain("b:1").unwrap();
    assert_eq!(shares(&users, 30), [10, 0, 10, 10]);
    assert_eq!(conditions(&users)[1], Condition::Draining);
    users.undrain("http://b:1").unwrap();
    assert_eq!(shares(&users, 40), [10; 4]);
    for url in URLS {
        users.drain(url).unwrap();
    }
    let refused = choose(&users).unwrap_err();
    assert_eq!(refused.failure, Failure::NoEndpoint);
    assert_eq!(users.counters().no_endpoint, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drained_endpoint_is_not_probed() {
    let users = built(four());
    eject_first(&users);
    users.drain("a:1").unwrap();
    advance(Duration::from_mins(10)).await;
    assert_eq!(shares(&users, 30), [0, 10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn the_only_endpoint_can_be_drained_too() {
    let one = built(upstream("http://a:1"));
    one.drain("a:1").unwrap();
    assert!(choose(&one).is_err());
    one.undrain("a:1").unwrap();
    assert!(choose(&one).is_ok());
}

#[tokio::test(start_paused = true)]
async fn weights_are_set_while_it_runs() {
    let users = built(four());
    users.set_weight("c:1", 3).unwrap();
    users.set_weight("d:1", 0).unwrap();
    assert_eq!(shares(&users, 50), [10, 10, 30, 0]);
    assert_eq!(users.endpoints().nth(2).unwrap().weight(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_endpoint_is_an_error_that_names_the_known() {
    let users = built(four());
    let error = users.drain("e:1").unwrap_err().to_string();
    assert_eq!(
        error,
        "backend `users` has no endpoint `e:1`; it has http://a:1, http://b:1, http://c:1, http://d:1"
    );
    assert!(users.set_weight("b:2", 1).is_err());
}

#[test]
fn an_endpoint_is_called_by_its_address() {
    let endpoint = |url: &str| url.parse::<Endpoint>().unwrap();
    for (url, address, is) in [
        ("http://a", "a:80", true),
        ("http://a", "A:80", true),
        ("http://a", "a", false),
        ("http://a/base", "a:80", true),
        ("http://a/base", "http://a", false),
        ("http://[::1]:8080", "[::1]:8080", true),
        ("unix:/run/a.sock", "/run/a.sock", true),
        ("unix:/run/a.sock", "localhost:80", false),
    ] {
        assert_eq!(endpoint(url).is_called(address), is, "{url} {address}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lower_group_is_used_when_the_upper_is_gone() {
    let spare = "http://spare:1".weight(2).priority(1);
    let users = built(cluster(
        RoundRobin::new(),
        ["http://a:1".priority(0), spare],
    ));
    assert_eq!(shares(&users, 10), [10, 0]);
    users.drain("a:1").unwrap();
    assert_eq!(shares(&users, 10), [0, 10]);
    users.undrain("a:1").unwrap();
    assert_eq!(shares(&users, 10), [10, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_keeps_its_endpoint_until_that_is_gone() {
    let users = built(four().sticky(Sticky::cookie("shop")));
    let core = users.core();
    let first = caller(&users);
    let lease = core.choose(&first, &[], true, Instant::now()).unwrap();
    let cookie = lease.cookie(&first, true).unwrap();
    let cookie = cookie.to_str().unwrap();
    assert!(cookie.ends_with("; Secure"));
    let bound = asked(core, request(cookie.split(';').next()));
    let ask = || core.choose(&bound, &[], true, Instant::now()).unwrap();
    for _ in 0..10 {
        assert_eq!(ask().index(), lease.index());
        assert_eq!(ask().cookie(&bound, true), None);
    }
    users.drain(URLS[lease.index()]).unwrap();
    let moved = ask();
    assert_ne!(moved.index(), lease.index());
    assert!(moved.cookie(&bound, true).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_for_all_and_closes_after_three_probes() {
    let users = built(four().without_passive().breaker(BreakerOptions::new()));
    for _ in 0..20 {
        ask(&users, |_| BAD);
    }
    let refused = choose(&users).unwrap_err();
    assert_eq!(refused.failure, Failure::CircuitOpen);
    assert_eq!(refused.retry_after, Some(5 * SECOND));
    advance(5 * SECOND).await;
    let mut probes: Vec<Lease> = (0..3).map(|_| choose(&users).unwrap()).collect();
    assert!(choose(&users).is_err());
    for probe in &mut probes {
        probe.settle(OK);
    }
    assert!(choose(&users).is_ok());
    let counters = users.counters();
    assert_eq!((counters.breaker_opened, counters.breaker_closed), (1, 1));
    assert_eq!(
        (counters.breaker_half_open, counters.breaker_refused),
        (1, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_try_without_an_endpoint_gives_its_probe_of_the_breaker_back() {
    let users = built(
        four()
            .without_passive()
            .breaker(BreakerOptions::new().probes(1)),
    );
    for _ in 0..20 {
        ask(&users, |_| BAD);
    }
    advance(5 * SECOND).await;
    for url in URLS {
        users.drain(url).unwrap();
    }
    assert_eq!(choose(&users).unwrap_err().failure, Failure::NoEndpoint);
    for url in URLS {
        users.undrain(url).unwrap();
    }
    ask(&users, |_| OK);
    assert_eq!(users.counters().breaker_closed, 1);
}

/// Passes but for endpoints of this name.
#[derive(Debug)]
struct But(&'static str);

impl HealthCheck for But {
    async fn check(&self, endpoint: &CheckTarget) -> Result<(), String> {
        assert_ne!(endpoint.host(), "panics");
        if endpoint.host() == "hangs" {
            std::future::pending::<()>().await;
        }
        if endpoint.host() == self.0 {
            return Err("no".into());
        }
        Ok(())
    }

    fn options(&self) -> CheckOptions {
        CheckOptions::new().timeout(SECOND)
    }
}

#[tokio::test(start_paused = true)]
async fn checks_take_out_who_fails_hangs_or_panics() {
    let urls = ["http://a", "http://b", "http://hangs", "http://panics"];
    let users = built(cluster(RoundRobin::new(), urls).health(But("b")));
    users.core().start();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(
        conditions(&users),
        [Healthy, Unhealthy, Unhealthy, Unhealthy]
    );
    let reasons: Vec<String> = users
        .endpoints()
        .filter_map(|one| Some(one.last_error()?.reason.clone()))
        .collect();
    assert_eq!(
        reasons,
        ["no", "the check took too long", "the check panicked"]
    );
    assert_eq!(shares(&users, 10), [10, 0, 0, 0]);
    assert_eq!(users.counters().unhealthy, 3);
}

#[tokio::test(start_paused = true)]
async fn checks_end_with_the_cluster_and_begin_anew_with_a_request() {
    let users = built(four().health(But("b")));
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    drop(choose(&users).unwrap());
    tokio::time::sleep(SECOND).await;
    assert_eq!(conditions(&users)[1], Condition::Unhealthy);
    let core: Weak<Core> = std::sync::Arc::downgrade(users.core());
    drop(users);
    assert!(core.upgrade().is_none());
    tokio::time::sleep(SECOND).await;
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_passes_again_is_pardoned_and_starts_slowly() {
    use crate::cluster::health::active::Verdict::{Healthy, Unhealthy};
    let users = built(four());
    eject_first(&users);
    let checked = |index: usize, verdict, reason| {
        let upstream = Arc::clone(users.core().fixed(index));
        users.core().checked(&upstream, verdict, reason);
    };
    checked(0, Unhealthy, "status 500");
    assert_eq!(conditions(&users)[0], Condition::Unhealthy);
    checked(0, Healthy, "");
    assert_eq!(conditions(&users)[0], Condition::Warming);
    for index in 0..4 {
        checked(index, Unhealthy, "status 500");
    }
    assert_eq!(choose(&users).unwrap_err().failure, Failure::NoEndpoint);
}

#[test]
fn workers_see_a_change_at_once() {
    let users = built(four());
    std::thread::scope(|scope| {
        let (drained, wait) = std::sync::mpsc::channel::<()>();
        let users = &users;
        let worker = scope.spawn(move || {
            let before = shares(users, 4);
            wait.recv().unwrap();
            (before, shares(users, 3))
        });
        users.drain("a:1").unwrap();
        drained.send(()).unwrap();
        let (_, after) = worker.join().unwrap();
        assert_eq!(after, [0, 1, 1, 1]);
    });
}

#[test]
fn a_cookie_field_of_nobody_is_no_affinity() {
    let users = built(four());
    let mut parts = request(Some("shop=0"));
    assert_eq!(asked(users.core(), parts.clone()).belongs, Belongs::Nowhere);
    parts.headers = HeaderMap::new();
    assert_eq!(asked(users.core(), parts.clone()).key, None);
}
