//! Upstreams that fail under load: what clients see of it, and what the other upstreams get.
//!
//! `just faults` does the same to processes, for longer, and beside other proxies.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::StatusCode;
use prox::{Cluster, Condition, Endpoint, PassiveOptions, RetryOptions};
use prox_tests::{
    client::RawClient,
    gateway::Served,
    origin::{Origin, Reply},
    wait::eventually,
    wire::End,
};
use tokio::{task::JoinSet, time::Instant};

/// Work that a request is, so that some are under way whenever an upstream fails.
const WORK: Duration = Duration::from_millis(3);

/// Clients that ask, each one request after the other.
const CLIENTS: usize = 8;

/// An ejection that a test does not see the end of.
const MINUTES: Duration = Duration::from_mins(5);

/// How a request ended for its client: the status, 0 for a response that is not whole, and how long it took.
type Asked = (u16, Duration);

/// Clients that ask until the test has seen enough.
struct Load {
    clients: JoinSet<Vec<Asked>>,
    count: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Load {
    fn on(gateway: &Served) -> Self {
        let (count, over) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let address = gateway.address();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (count, over) = (Arc::clone(&count), Arc::clone(&over));
            clients.spawn(async move {
                let mut asked = Vec::new();
                let mut client = RawClient::connect(address).await;
                while !AtomicBool::load(&over, SeqCst) {
                    let began = Instant::now();
                    let answer = client.get("/").await;
                    let whole = answer.body.end == End::Complete;
                    let status = if whole { answer.status } else { 0 };
                    asked.push((status, began.elapsed()));
                    count.fetch_add(1, SeqCst);
                    if !whole || answer.closes() {
                        client = RawClient::connect(address).await;
                    }
                }
                asked
            });
        }
        Self {
            clients,
            count,
            over,
        }
    }

    /// Waits until so many more requests have ended.
    async fn goes_on(&self, more: usize) {
        let enough = self.count.load(SeqCst) + more;
        eventually("requests to end", || self.count.load(SeqCst) >= enough).await;
    }

    /// How all requests ended.
    async fn end(mut self) -> Vec<Asked> {
        self.over.store(true, SeqCst);
        let mut all = Vec::new();
        while let Some(asked) = self.clients.join_next().await {
            all.extend(asked.expect("a client does not panic"));
        }
        all
    }
}

/// The statuses of those that failed.
fn failed(all: &[Asked]) -> Vec<u16> {
    let statuses = all.iter().map(|(status, _)| *status);
    statuses.filter(|status| *status != 200).collect()
}

/// No failed request.
const NONE: [u16; 0] = [];

fn slowest(all: &[Asked]) -> Duration {
    all.iter().map(|(_, took)| *took).max().unwrap_or_default()
}

fn well() -> Reply {
    Reply::new()
        .pause(WORK)
        .head(200, &[], "Content-Length: 4")
        .write("well")
}

async fn four() -> Vec<Origin> {
    let mut origins = Vec::new();
    for _ in 0..4 {
        origins.push(Origin::start(well()).await);
    }
    origins
}

fn endpoints(origins: &[Origin]) -> Vec<Endpoint> {
    origins.iter().map(Origin::endpoint).collect()
}

/// A gateway before these origins, and the handle of its backend.
async fn before(
    origins: &[Origin],
    retry: RetryOptions,
    passive: PassiveOptions,
) -> (Served, Cluster) {
    let endpoints = endpoints(origins);
    let gateway = prox::gateway! {
        backend users = cluster(rr, endpoints).retry(retry).passive(passive);
        "/" => users,
    };
    let gateway = gateway.expect("the gateway can start");
    let users = gateway.backend("users").expect("it has one").clone();
    (Served::start(gateway).await, users)
}

fn is(users: &Cluster, condition: Condition) -> usize {
    let endpoints = users.endpoints();
    endpoints.filter(|one| one.condition() == condition).count()
}

/// Puts load on a gateway, does something to its origins, and tells how the requests ended.
async fn under_load<F: Future>(
    gateway: &Served,
    faults: impl FnOnce(Arc<Load>) -> F,
) -> Vec<Asked> {
    let load = Arc::new(Load::on(gateway));
    load.goes_on(100).await;
    faults(Arc::clone(&load)).await;
    load.goes_on(100).await;
    let load = Arc::into_inner(load).expect("what was done to the origins is done");
    load.end().await
}

#[tokio::test]
async fn killing_one_of_four_costs_no_request() {
    let mut origins = four().await;
    let (gateway, users) = before(&origins, RetryOptions::new(2), PassiveOptions::new()).await;
    let killed = &mut origins[0];
    let all = under_load(&gateway, async |load| {
        killed.stop().await;
        eventually("it is out", || is(&users, Condition::Ejected) == 1).await;
        load.goes_on(100).await;
        killed.restart();
    })
    .await;
    assert_eq!(failed(&all), NONE);
}

#[tokio::test]
async fn killing_three_of_four_costs_no_request_that_was_not_under_way() {
    let mut origins = four().await;
    let passive = PassiveOptions::new().eject_for(MINUTES, MINUTES);
    let (gateway, users) = before(&origins, RetryOptions::default(), passive).await;
    let all = under_load(&gateway, async |load| {
        for origin in &mut origins[..3] {
            origin.stop().await;
        }
        eventually("they are out", || is(&users, Condition::Ejected) == 3).await;
        // Tries that were under way to one of them end meanwhile.
        load.goes_on(100).await;
        let before = users.counters();
        load.goes_on(300).await;
        assert_eq!(users.counters(), before);
    })
    .await;
    // Without retries, what was under way on a connection that was opened for it cannot be saved.
    assert!(failed(&all).len() <= CLIENTS, "{:?}", failed(&all));
}

#[tokio::test]
async fn restarting_all_one_after_the_other_costs_no_request_however_quickly_it_is_done() {
    let mut origins = four().await;
    let (gateway, _) = before(&origins, RetryOptions::new(2), PassiveOptions::new()).await;
    let all = under_load(&gateway, async |load| {
        for origin in &mut origins {
            origin.stop().await;
            load.goes_on(60).await;
            origin.restart();
            load.goes_on(20).await;
        }
    })
    .await;
    assert_eq!(failed(&all), NONE);
}

#[tokio::test]
async fn one_that_answers_500_costs_no_request_that_may_be_retried() {
    let mut origins = four().await;
    origins[0] = Origin::start(Reply::status(500, &[], "")).await;
    let retry = RetryOptions::new(2).on([StatusCode::INTERNAL_SERVER_ERROR]);
    let (gateway, users) = before(&origins, retry, PassiveOptions::new()).await;
    let all = under_load(&gateway, async |load| {
        load.goes_on(200).await;
        assert_eq!(is(&users, Condition::Ejected), 1);
    })
    .await;
    assert_eq!(failed(&all), NONE);
    // Five, and those that were under way with the fifth; a probe at most, since none was due for long.
    let asked = origins[0].count();
    assert!((5..=5 + CLIENTS + 5).contains(&asked), "{asked}");
}

#[tokio::test]
async fn one_that_stalls_holds_a_request_up_for_the_time_of_one_try() {
    let mut origins = four().await;
    origins[0] = Origin::start(Reply::new().stall()).await;
    let limit = Duration::from_millis(100);
    let retry = RetryOptions::new(2).per_try_timeout(limit);
    let (gateway, users) = before(&origins, retry, PassiveOptions::new()).await;
    let all = under_load(&gateway, async |_| {
        eventually("it is out", || is(&users, Condition::Ejected) == 1).await;
    })
    .await;
    assert_eq!(failed(&all), NONE);
    let asked = origins[0].count();
    assert!((5..=5 + CLIENTS + 5).contains(&asked), "{asked}");
    // Far less than the limit for a response, which is 30 s; the machine may be busy.
    assert!(
        (limit..limit * 100).contains(&slowest(&all)),
        "{:?}",
        slowest(&all)
    );
}

#[tokio::test]
async fn when_all_are_down_the_answer_comes_at_once_and_the_first_that_is_back_is_used_at_once() {
    let mut origins = four().await;
    let passive = PassiveOptions::new().eject_for(MINUTES, MINUTES);
    let (gateway, users) = before(&origins, RetryOptions::default(), passive).await;
    for origin in &mut origins {
        origin.stop().await;
    }
    let began = Instant::now();
    for _ in 0..40 {
        gateway.get("/").await.expect(502);
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(is(&users, Condition::Ejected), 4);
    assert_eq!(users.counters().panics, 1);
    for origin in &mut origins {
        origin.restart();
    }
    for _ in 0..40 {
        gateway.get("/").await.expect(200);
    }
    assert_eq!(is(&users, Condition::Ejected), 0);
    // All of them work again, none for the others.
    assert!(origins.iter().all(|origin| origin.count() >= 5));
}

#[tokio::test]
async fn when_all_fail_retries_stay_within_the_budget() {
    let mut origins = Vec::new();
    for _ in 0..4 {
        origins.push(
            Origin::start(Reply::new().pause(WORK).head(503, &[], "Content-Length: 0")).await,
        );
    }
    let (gateway, _) = before(&origins, RetryOptions::new(3), PassiveOptions::new()).await;
    let began = Instant::now();
    let all = under_load(&gateway, async |load| load.goes_on(600).await).await;
    assert_eq!(failed(&all).len(), all.len());
    let tries: usize = origins.iter().map(Origin::count).sum();
    // A fifth of the requests and ten a second, for as long as it took and the ten seconds that are looked back at.
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("a short test") + 11;
    let (extra, budget) = (tries - all.len(), all.len() / 5 + 10 * seconds);
    assert!((100..=budget).contains(&extra), "{extra} of {budget}");
}
