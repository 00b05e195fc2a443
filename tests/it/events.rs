//! What a gateway decides about its backends, as events with the target `prox` and as counts.

use std::time::Duration;

use prox::{BreakerOptions, BudgetOptions, PassiveOptions, QueueOptions, SlowStart};
use prox_tests::{
    events::{Events, Told},
    gateway::{Served, served},
    origin::{Origin, Reply},
    ports::Refused,
    wait::{Gate, within},
};
use tracing::Level;

use crate::retries::InTurn;

const BRIEF: Duration = Duration::from_millis(100);

async fn answering(status: u16) -> Origin {
    Origin::start(Reply::status(status, &[], "")).await
}

fn failures(count: usize) -> impl Iterator<Item = Reply> {
    (0..count).map(|_| Reply::status(500, &[], ""))
}

/// Asks until the backend says that it is enough.
async fn ask_until(gateway: &Served, what: &str, enough: impl Fn() -> bool) {
    within(what, async {
        while !enough() {
            gateway.get("/").await;
            tokio::time::sleep(BRIEF / 20).await;
        }
    })
    .await;
}

/// It is of this level, and of the backend `users`, and has these fields.
fn holds(told: &Told, level: Level, fields: &[(&str, &str)]) {
    assert_eq!(told.level(), level, "{told:?}");
    for (name, value) in [("backend", "users")].iter().chain(fields) {
        assert_eq!(told.field(name), Some(*value), "{name} of {told:?}");
    }
}

#[tokio::test]
async fn that_an_endpoint_is_ejected_and_returns_is_told() {
    let events = Events::record();
    let (bad, good) = (answering(200).await, answering(200).await);
    bad.once(failures(5));
    let (a, b) = (bad.endpoint(), good.endpoint());
    let passive = PassiveOptions::new().eject_for(BRIEF, BRIEF);
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(passive).slow_start(SlowStart::off());
        "/" => users,
    })
    .await;
    ask_until(&gateway, "it is back", || users.counters().returned == 1).await;
    let url = bad.url();
    let endpoint = ("endpoint", url.as_str());
    let ejected = events.first("endpoint ejected");
    let why = [endpoint, ("reason", "failures in a row"), ("times", "1")];
    holds(&ejected, Level::WARN, &why);
    assert!(ejected.field("length").is_some(), "{ejected:?}");
    holds(&events.first("endpoint probed"), Level::INFO, &[endpoint]);
    holds(&events.first("endpoint returned"), Level::INFO, &[endpoint]);
    assert_eq!(users.counters().ejected, 1);
}

#[tokio::test]
async fn a_retry_is_told_and_so_is_why_there_is_none() {
    let events = Events::record();
    let (bad, good) = (answering(503).await, answering(200).await);
    let (a, b) = (bad.endpoint(), good.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(InTurn, [a, b]).retry(1);
        "/" => users,
    })
    .await;
    let url = bad.url();
    gateway.get("/").await.expect(200);
    let told = events.first("tried again");
    let fields = [("endpoint", url.as_str()), ("reason", "503")];
    holds(&told, Level::DEBUG, &fields);
    let counters = users.counters();
    assert_eq!((counters.retried, counters.not_retried), (1, 0));

    gateway.client().await.post("/", "once").await.expect(503);
    let told = events.first("not tried again");
    let fields = [
        ("endpoint", url.as_str()),
        ("failure", "503"),
        ("reason", "method"),
    ];
    holds(&told, Level::DEBUG, &fields);
    let counters = users.counters();
    assert_eq!((counters.retried, counters.not_retried), (1, 1));
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told() {
    let events = Events::record();
    let (gone, good) = (Refused::new(), answering(200).await);
    let (a, b) = (gone.endpoint(), good.endpoint());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(InTurn, [a, b]).retry_budget(BudgetOptions::percent(0));
        "/" => users,
    })
    .await;
    gateway.get("/").await.expect(502);
    let fields = [("failure", "connect"), ("reason", "budget")];
    holds(&events.first("not tried again"), Level::DEBUG, &fields);
    assert_eq!(users.counters().not_retried, 1);
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_counted_as_refused() {
    let events = Events::record();
    let gone = Refused::new();
    let url = gone.endpoint();
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]);
        "/" => users,
    })
    .await;
    gateway.get("/").await.expect(502);
    let fields = [("failure", "connect"), ("reason", "off")];
    holds(&events.first("not tried again"), Level::DEBUG, &fields);
    assert_eq!(users.counters(), prox::Counters::default());
}

#[tokio::test]
async fn a_request_that_goes_well_is_no_event_and_one_on_a_dead_connection_is() {
    let events = Events::record();
    let origin = answering(200).await;
    let url = origin.endpoint();
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]).retry(1);
        "/" => users,
    })
    .await;
    let mut client = gateway.client().await;
    for _ in 0..3 {
        client.get("/").await.expect(200);
    }
    let all = events.all();
    assert!(
        all.iter().all(|told| told.message() == "listening"),
        "{all:?}"
    );
    assert_eq!(users.counters(), prox::Counters::default());

    origin.once([Reply::new().close()]);
    client.get("/").await.expect(200);
    let url = origin.url();
    let endpoint = ("endpoint", url.as_str());
    holds(&events.first("sent again"), Level::DEBUG, &[endpoint]);
    let counters = users.counters();
    assert_eq!((counters.resent, counters.retried), (1, 0));
}

#[tokio::test]
async fn who_finds_the_queue_full_or_waits_in_vain_is_told() {
    let in_vain = "waited in the queue in vain";
    for (queue, message, reason, counts) in [
        (QueueOptions::new().length(0), "queue full", None, (1, 0)),
        (
            QueueOptions::new().timeout(BRIEF),
            in_vain,
            Some("too_long"),
            (0, 1),
        ),
    ] {
        let events = Events::record();
        let gate = Gate::new();
        let slow = Reply::new().wait(&gate).head(200, &[], "Content-Length: 0");
        let origin = Origin::start(slow).await;
        let url = origin.endpoint();
        let (gateway, users) = served(prox::gateway! {
            backend users = cluster(rr, [url]).max_connections(1).queue(queue);
            "/" => users,
        })
        .await;
        let mut first = gateway.client().await;
        first.request("GET", "/").await;
        origin.reached(1).await;
        gateway.get("/").await.expect(503);
        let url = origin.url();
        let told = events.first(message);
        holds(&told, Level::DEBUG, &[("endpoint", url.as_str())]);
        assert_eq!(told.field("reason"), reason);
        let counters = users.counters();
        assert_eq!((counters.queue_full, counters.queue_timeouts), counts);
        gate.open();
        first.response("GET").await.expect(200);
    }
}

#[tokio::test]
async fn that_a_breaker_opens_probes_and_closes_is_told() {
    let events = Events::record();
    let origin = answering(200).await;
    origin.once(failures(2));
    let url = origin.endpoint();
    let breaker = BreakerOptions::new()
        .share(50, 2, Duration::from_secs(10))
        .open_for(BRIEF * 5)
        .probes(1);
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [url]).breaker(breaker);
        "/" => users,
    })
    .await;
    ask_until(&gateway, "it is closed", || {
        users.counters().breaker_closed == 1
    })
    .await;
    let opened = events.first("circuit breaker opened");
    let why = [("reason", "failures"), ("failed", "2"), ("of", "2")];
    holds(&opened, Level::WARN, &why);
    let refused = events.first("circuit breaker refused a request");
    holds(&refused, Level::DEBUG, &[]);
    assert!(refused.field("retry_after").is_some(), "{refused:?}");
    holds(&events.first("circuit breaker half open"), Level::INFO, &[]);
    holds(&events.first("circuit breaker closed"), Level::INFO, &[]);
    let refusals = events.all();
    let refusals = refusals
        .iter()
        .filter(|told| told.message() == "circuit breaker refused a request");
    assert_eq!(users.counters().breaker_refused, refusals.count() as u64);
}
