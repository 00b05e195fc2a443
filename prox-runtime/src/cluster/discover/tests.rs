use std::{sync::Mutex, time::Duration};

use http::{StatusCode, header};
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::{
    client::Client,
    cluster::{
        CheckOptions, CheckTarget, Cluster, ClusterBuilder, Condition, HealthCheck, Lease, Outcome,
        PassiveOptions, RoundRobin, Sticky, Unavailable, cluster,
    },
    error::Failure,
    sync::lock,
};

const OK: Outcome = Outcome::Status(StatusCode::OK);
const BAD: Outcome = Outcome::Failed(Failure::Connect);
const SECOND: Duration = Duration::from_secs(1);

fn set(hosts: &str) -> Vec<Endpoint> {
    let url = |host| format!("http://{host}:1").parse().unwrap();
    hosts.chars().map(url).collect()
}

/// A cluster whose endpoints are moved by the sender.
fn moved(hosts: &str) -> (watch::Sender<Vec<Endpoint>>, ClusterBuilder) {
    let (sender, receiver) = watch::channel(set(hosts));
    (sender, cluster(RoundRobin::new(), receiver))
}

async fn started(builder: ClusterBuilder) -> Cluster {
    let cluster = builder.build("users").unwrap();
    cluster.core().start();
    settle().await;
    cluster
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

fn choose_with(cluster: &Cluster, cookie: Option<&str>) -> Result<Lease, Unavailable> {
    let mut request = http::Request::new(());
    if let Some(cookie) = cookie {
        let cookie = cookie.parse().unwrap();
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    let core = cluster.core();
    let client = Arc::new(Client::new(None));
    let caller = core.caller(&mut request.into_parts().0, &client);
    core.choose(&caller, &[], true, Instant::now())
}

fn choose(cluster: &Cluster) -> Result<Lease, Unavailable> {
    choose_with(cluster, None)
}

fn host(lease: &Lease) -> String {
    lease.upstream().endpoint.host().to_owned()
}

/// How many of so many requests each host gets.
fn shares(cluster: &Cluster, count: usize) -> String {
    let mut hosts: Vec<String> = (0..count)
        .map(|_| {
            let mut lease = choose(cluster).unwrap();
            lease.settle(OK);
            host(&lease)
        })
        .collect();
    hosts.sort_unstable();
    let shares = hosts.chunk_by(|a, b| a == b);
    let shares: Vec<String> = shares
        .map(|one| format!("{}{}", one[0], one.len()))
        .collect();
    shares.join(" ")
}

fn hosts(cluster: &Cluster) -> String {
    let endpoints = cluster.endpoints();
    endpoints.map(|one| one.host().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_first_set_and_no_longer_than_for_a_connection() {
    let (sender, builder) = moved("");
    let users = builder.build("users").unwrap();
    let core = Arc::clone(users.core());
    assert!(core.is_awaited());
    let start = Instant::now();
    core.found(3 * SECOND).await;
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!(choose(&users).unwrap_err().failure, Failure::NoEndpoint);
    let waiting = tokio::spawn(async move { core.found(3 * SECOND).await });
    sleep(SECOND).await;
    sender.send_replace(set("ab"));
    waiting.await.unwrap();
    assert_eq!(start.elapsed(), 4 * SECOND);
    assert!(!users.core().is_awaited());
    assert_eq!(shares(&users, 10), "a5 b5");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gets_no_more_requests_and_keeps_those_under_way() {
    let (sender, builder) = moved("ab");
    let users = started(builder).await;
    let leases: Vec<Lease> = (0..2).map(|_| choose(&users).unwrap()).collect();
    sender.send_replace(set("b"));
    settle().await;
    assert_eq!(shares(&users, 10), "b10");
    assert_eq!(hosts(&users), "b");
    let a = leases.iter().find(|lease| host(lease) == "a").unwrap();
    assert!(a.upstream().has_left());
    assert_eq!(a.upstream().load.active(), 1);
    drop(leases);
    let counters = users.counters();
    assert_eq!((counters.came, counters.left), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn new_ones_start_slowly_but_not_the_first() {
    let (sender, builder) = moved("ab");
    let users = started(builder).await;
    assert_eq!(shares(&users, 100), "a50 b50");
    sender.send_replace(set("abc"));
    settle().await;
    assert_eq!(
        users.endpoints().nth(2).unwrap().condition(),
        Condition::Warming
    );
    assert_eq!(shares(&users, 210), "a100 b100 c10");
    advance(30 * SECOND).await;
    assert_eq!(shares(&users, 30), "a10 b10 c10");
}

#[tokio::test(start_paused = true)]
async fn weights_and_priorities_are_found_too() {
    let (sender, builder) = moved("ab");
    let users = started(builder).await;
    users.set_weight("a:1", 3).unwrap();
    let mut other = set("ab");
    other[1] = other[1].clone().weight(2);
    sender.send_replace(other.clone());
    settle().await;
    assert_eq!(shares(&users, 10), "a6 b4");
    other[0] = other[0].clone().priority(1);
    sender.send_replace(other);
    settle().await;
    assert_eq!(shares(&users, 10), "b10");
    assert_eq!(users.endpoints().next().unwrap().priority(), 1);
    assert_eq!(users.counters().came, 2);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_did_holds_for_as_long_as_the_endpoint_is_there() {
    let (sender, builder) = moved("abc");
    let users = started(builder).await;
    users.drain("b:1").unwrap();
    sender.send_replace(set("bcd"));
    settle().await;
    advance(30 * SECOND).await;
    assert_eq!(shares(&users, 10), "c5 d5");
    let error = users.drain("a:1").unwrap_err().to_string();
    assert!(
        error.ends_with("it has http://b:1, http://c:1, http://d:1"),
        "{error}"
    );
    sender.send_replace(set("cd"));
    settle().await;
    sender.send_replace(set("bcd"));
    settle().await;
    advance(30 * SECOND).await;
    assert_eq!(shares(&users, 30), "b10 c10 d10");
}

#[tokio::test(start_paused = true)]
async fn a_client_keeps_its_endpoint_across_changes() {
    let (sender, builder) = moved("abcd");
    let users = started(builder.sticky(Sticky::cookie("shop"))).await;
    let core = users.core();
    let mut request = http::Request::new(()).into_parts().0;
    let caller = core.caller(&mut request, &Arc::new(Client::new(None)));
    let lease = core.choose(&caller, &[], true, Instant::now()).unwrap();
    let home = host(&lease);
    let cookie = lease.cookie(&caller, false).unwrap();
    let cookie = cookie
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    for hosts in ["xyz", "pq", "klmnopqrstuvw"] {
        sender.send_replace(set(&format!("{hosts}{home}")));
        settle().await;
        assert_eq!(host(&choose_with(&users, Some(&cookie)).unwrap()), home);
    }
    sender.send_replace(set("xyz"));
    settle().await;
    assert_ne!(host(&choose_with(&users, Some(&cookie)).unwrap()), home);
}

#[tokio::test(start_paused = true)]
async fn those_who_left_do_not_count_among_those_of_whom_half_may_be_ejected() {
    let (sender, builder) = moved("abcd");
    let users = started(builder.passive(PassiveOptions::new().at_most(50))).await;
    let held: Vec<Lease> = (0..4).map(|_| choose(&users).unwrap()).collect();
    let fail = |bad: &str| {
        for _ in 0..30 {
            let mut lease = choose(&users).unwrap();
            let is_bad = bad.contains(&host(&lease));
            lease.settle(if is_bad { BAD } else { OK });
        }
    };
    fail("ab");
    assert_eq!(users.counters().ejected, 2);
    sender.send_replace(set("cd"));
    settle().await;
    fail("c");
    assert_eq!(users.counters().ejected, 3);
    sender.send_replace(set("d"));
    settle().await;
    fail("d");
    assert_eq!(users.counters().ejected, 3);
    drop(held);
    assert_eq!(shares(&users, 5), "d5");
}

/// Fails and panics as it is told, by turns.
#[derive(Debug, Default)]
struct Flaky {
    calls: Mutex<Vec<Instant>>,
}

impl Discover for Arc<Flaky> {
    async fn discover(&self, endpoints: &EndpointSet) -> Result<(), String> {
        let call = {
            let mut calls = lock(&self.calls);
            calls.push(Instant::now());
            calls.len()
        };
        match call {
            1 => {
                endpoints.set(set("ab"))?;
                Err("lost".into())
            }
            2 => panic!("on purpose"),
            3 => endpoints.set([]),
            11 => {
                endpoints.set(set("ac"))?;
                std::future::pending().await
            }
            _ => Err(String::new()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_set_and_is_tried_again_ever_later() {
    let flaky = Arc::new(Flaky::default());
    let users = started(cluster(RoundRobin::new(), Arc::clone(&flaky))).await;
    assert_eq!(hosts(&users), "ab");
    sleep(400 * SECOND).await;
    assert_eq!(hosts(&users), "ac");
    let calls = lock(&flaky.calls).clone();
    let pauses: Vec<f64> = calls
        .windows(2)
        .map(|two| (two[1] - two[0]).as_secs_f64())
        .collect();
    let wanted = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0];
    assert!(calls.len() <= 11, "{pauses:?}");
    for (pause, wanted) in pauses.iter().zip(wanted) {
        assert!((pause - wanted).abs() <= wanted * 0.11, "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_counted_each_time_and_its_end_once() {
    let flaky = Arc::new(Flaky::default());
    let users = started(cluster(RoundRobin::new(), Arc::clone(&flaky))).await;
    sleep(10 * SECOND).await;
    let counters = users.counters();
    assert_eq!(counters.discovery_failed, lock(&flaky.calls).len() as u64);
    assert_eq!(counters.discovery_recovered, 0);
    sleep(400 * SECOND).await;
    let counters = users.counters();
    assert_eq!(
        (counters.discovery_failed, counters.discovery_recovered),
        (10, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_cluster() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let flaky = Arc::new(Flaky::default());
    let users =
        started(cluster(RoundRobin::new(), Arc::clone(&flaky)).health(Seen::default())).await;
    sleep(500 * SECOND).await;
    assert!(tasks() > before);
    let core = Arc::downgrade(users.core());
    drop(users);
    assert!(core.upgrade().is_none());
    sleep(SECOND).await;
    assert_eq!(tasks(), before);
    assert_eq!(Arc::strong_count(&flaky), 1);
}

#[test]
fn the_next_request_begins_anew_when_its_runtime_has_ended() {
    let (sender, builder) = moved("a");
    let users = builder.build("users").unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    runtime().block_on(users.core().found(SECOND));
    sender.send_replace(set("b"));
    assert_eq!(hosts(&users), "a");
    runtime().block_on(async {
        drop(choose(&users).unwrap());
        settle().await;
    });
    assert_eq!(hosts(&users), "b");
}

/// Notes who is checked, and finds everybody well.
#[derive(Debug, Default, Clone)]
struct Seen(Arc<Mutex<String>>);

impl HealthCheck for Seen {
    async fn check(&self, endpoint: &CheckTarget) -> Result<(), String> {
        lock(&self.0).push_str(endpoint.host());
        Ok(())
    }

    fn options(&self) -> CheckOptions {
        CheckOptions::new().every(SECOND)
    }
}

#[tokio::test(start_paused = true)]
async fn checks_follow_the_endpoints() {
    let seen = Seen::default();
    let checked = || {
        let mut all: Vec<char> = std::mem::take(&mut *lock(&seen.0)).chars().collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().collect::<String>()
    };
    let (sender, builder) = moved("ab");
    let users = started(builder.health(seen.clone())).await;
    sleep(3 * SECOND).await;
    assert_eq!(checked(), "ab");
    let held = choose(&users).unwrap();
    sender.send_replace(set("xy"));
    settle().await;
    checked();
    sleep(3 * SECOND).await;
    assert_eq!(checked(), "xy");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_refused_as_a_whole() {
    let (_sender, builder) = moved("a");
    let users = started(builder).await;
    let set = EndpointSet::new(Arc::downgrade(users.core()));
    assert_eq!(set.set([]), Err("there are no endpoints".into()));
    let secure = "https://-b".parse::<Endpoint>();
    if let Ok(secure) = secure {
        let error = set.set([secure]).unwrap_err();
        assert!(error.contains("certificate"), "{error}");
    }
    assert_eq!(hosts(&users), "a");
    drop(users);
    assert_eq!(
        set.set(super::tests::set("b")),
        Err("the gateway has ended".into())
    );
}

/// Is wrong as it is written.
#[derive(Debug)]
struct Wrong;

impl Discover for Wrong {
    async fn discover(&self, _: &EndpointSet) -> Result<(), String> {
        Ok(())
    }

    fn problem(&self) -> Option<String> {
        Some("it is wrong".into())
    }
}

#[test]
fn what_is_wrong_with_it_is_said_when_the_gateway_starts() {
    let error = cluster(RoundRobin::new(), Wrong)
        .build("users")
        .unwrap_err();
    assert!(
        error.to_string().contains("backend `users`: it is wrong"),
        "{error}"
    );
}
