//! Endpoints that accept requests and do not answer, and those that only take long.

use std::{net::SocketAddr, time::Duration};

use prox::{Cluster, Condition, PassiveOptions};
use prox_tests::{
    client::RawClient,
    frame_origin::{FrameOrigin, ok},
    gateway::served,
    origin::{Origin, Reply},
    wait::{Gate, eventually, within},
};
use tokio::{task::JoinSet, time::sleep};

/// The limit of silence; a request may take 30 s.
const LIMIT: Duration = Duration::from_millis(200);

fn passive() -> PassiveOptions {
    let minutes = Duration::from_mins(5);
    PassiveOptions::new()
        .silence(LIMIT)
        .eject_for(minutes, minutes)
}

async fn good() -> Origin {
    Origin::start(Reply::ok("good")).await
}

fn condition(users: &Cluster, index: usize) -> Condition {
    let state = users.endpoints().nth(index).expect("an endpoint");
    state.condition()
}

/// Clients with one request each, and the statuses that they get.
#[derive(Default)]
struct Clients(JoinSet<u16>);

impl Clients {
    fn ask(&mut self, address: SocketAddr) {
        self.0.spawn(async move {
            let mut client = RawClient::connect(address).await;
            client.get("/").await.status
        });
    }

    /// One after the other, until the first endpoint is ejected.
    async fn ask_until_ejected(&mut self, address: SocketAddr, users: &Cluster) {
        within("the ejection", async {
            while condition(users, 0) != Condition::Ejected {
                self.ask(address);
                sleep(LIMIT / 40).await;
            }
        })
        .await;
    }

    async fn statuses(self) -> Vec<u16> {
        within("all answers", self.0.join_all()).await
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_ejected_before_a_request_there_has_failed() {
    let (silent, good) = (Origin::start(Reply::new().stall()).await, good().await);
    let (a, b, options) = (silent.endpoint(), good.endpoint(), passive());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(options);
        "/" => users,
    })
    .await;
    let mut clients = Clients::default();
    clients.ask_until_ejected(gateway.address(), &users).await;
    let state = users.endpoints().next().expect("the first");
    assert_eq!(state.last_error().expect("it failed").reason, "silence");
    assert!(state.active() >= 3, "they wait on");
    let before = silent.count();
    for _ in 0..10 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "good");
    }
    assert_eq!(silent.count(), before);
}

#[tokio::test]
async fn requests_that_wait_there_go_elsewhere_where_retries_are_on() {
    let (silent, good) = (Origin::start(Reply::new().stall()).await, good().await);
    let (a, b, options) = (silent.endpoint(), good.endpoint(), passive());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(options).retry(1);
        "/" => users,
    })
    .await;
    let mut clients = Clients::default();
    clients.ask_until_ejected(gateway.address(), &users).await;
    let statuses = clients.statuses().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(users.counters().retried >= 3);
    eventually("nobody waits there", || {
        users.endpoints().all(|endpoint| endpoint.active() == 0)
    })
    .await;
}

#[tokio::test]
async fn streams_of_http2_that_wait_there_go_elsewhere_as_well() {
    let silent = FrameOrigin::start(&[], |_| Vec::new()).await;
    let good = FrameOrigin::start(&[], |head| vec![ok(head.stream, true)]).await;
    let (a, b, options) = (silent.endpoint(), good.endpoint(), passive());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).http2().passive(options).retry(1);
        "/" => users,
    })
    .await;
    let mut clients = Clients::default();
    clients.ask_until_ejected(gateway.address(), &users).await;
    let statuses = clients.statuses().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test]
async fn a_late_answer_brings_the_endpoint_back() {
    let gate = Gate::new();
    let late = Reply::new()
        .wait(&gate)
        .head(200, &[], "Content-Length: 4")
        .write("late");
    let (silent, good) = (Origin::start(late).await, good().await);
    let (a, b, options) = (silent.endpoint(), good.endpoint(), passive());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(options);
        "/" => users,
    })
    .await;
    let mut clients = Clients::default();
    clients.ask_until_ejected(gateway.address(), &users).await;
    gate.open();
    let statuses = clients.statuses().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(condition(&users, 0), Condition::Warming);
    assert_eq!(users.counters().returned, 1);
}

#[tokio::test]
async fn endpoints_that_all_take_long_stay() {
    let slow = || {
        Reply::new()
            .pause(3 * LIMIT)
            .head(200, &[], "Content-Length: 4")
            .write("slow")
    };
    let (one, two) = (Origin::start(slow()).await, Origin::start(slow()).await);
    let (a, b, options) = (one.endpoint(), two.endpoint(), passive());
    let (gateway, users) = served(prox::gateway! {
        backend users = cluster(rr, [a, b]).passive(options);
        "/" => users,
    })
    .await;
    let mut clients = Clients::default();
    for _ in 0..40 {
        clients.ask(gateway.address());
        sleep(LIMIT / 10).await;
    }
    let statuses = clients.statuses().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(users.counters().ejected, 0);
}
