//! Whether the gateway is ready for requests, and connections that are there before the first.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use prox::{PoolOptions, Server};
use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    wait::{Gate, eventually},
};
use tokio::sync::watch;

const SOON: Duration = Duration::from_millis(20);

/// An origin whose health is said by a switch.
async fn switched(well: bool) -> (Origin, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(well));
    let says = Arc::clone(&well);
    let origin = Origin::with(move |_| {
        if says.load(SeqCst) {
            Reply::ok("well")
        } else {
            Reply::status(503, &[], "")
        }
    })
    .await;
    (origin, well)
}

#[tokio::test]
async fn it_follows_the_backends_that_are_required() {
    let (origin, well) = switched(false).await;
    let (url, other) = (origin.endpoint(), Refused::new());
    let other = other.endpoint();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url])
            .health(http("/healthz").every(SOON).every_while_changing(SOON).timeout(10ms).fall(1).rise(1))
            .required();
        backend optional = cluster(rr, [other]).health(tcp().every(SOON).timeout(10ms));
        GET "/readyz" => prox::readiness(),
        "/users" => users,
        "/optional" => optional,
    };
    let gateway = gateway.expect("the gateway can start");
    // Nothing has been asked yet.
    assert!(!gateway.is_ready());
    let served = Served::start(gateway.clone()).await;
    let answer = served.get("/readyz").await.expect(503);
    assert_eq!(answer.text(), "not ready\n");
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(gateway.unready().collect::<Vec<_>>(), ["users"]);
    well.store(true, SeqCst);
    eventually("it is ready", || gateway.is_ready()).await;
    assert_eq!(served.get("/readyz").await.expect(200).text(), "ready\n");
    assert_eq!(gateway.unready().count(), 0);
    well.store(false, SeqCst);
    eventually("it is not ready", || !gateway.is_ready()).await;
    served.get("/readyz").await.expect(503);
}

#[tokio::test]
async fn a_required_backend_that_is_written_in_a_split_counts_too() {
    let origin = Origin::start(Reply::ok("one")).await;
    let (a, b) = (origin.endpoint(), origin.endpoint());
    let address = origin.address().to_string();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [a]);
        "/readyz" => prox::readiness(),
        "/" => split { 1 => users, 1 => cluster(rr, [b]).required() },
    };
    let gateway = gateway.expect("the gateway can start");
    assert!(gateway.is_ready());
    // Only the other one is required.
    let users = gateway.backend("users").expect("it has one");
    users.drain(&address).expect("it is known");
    assert!(gateway.is_ready());
}

#[tokio::test]
async fn a_gateway_that_drains_is_not_ready() {
    let gate = Gate::new();
    let slow = Reply::new().wait(&gate).head(200, &[], "content-length: 0");
    let origin = Origin::start(slow).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        "/readyz" => prox::readiness(),
        "/" => url,
    };
    let gateway = gateway.expect("the gateway can start");
    let mut served = Served::start(gateway.clone()).await;
    assert!(gateway.is_ready());
    let mut client = served.client().await;
    client.send(head("GET", "/", "")).await;
    origin.reached(1).await;
    served.begin_shutdown();
    eventually("it is not ready", || !gateway.is_ready()).await;
    gate.open();
    client.response("GET").await.expect(200);
    served.stop().await;
}

#[tokio::test]
async fn connections_are_there_before_the_first_request() {
    let origin = Origin::start(Reply::ok("one")).await;
    let (url, refused) = (origin.endpoint(), Refused::new());
    let gone = refused.endpoint();
    let gateway = Served::start(prox::gateway! {
        backend users = cluster(rr, [url, gone]).pool(PoolOptions::new().warm(3));
        "/" => users,
    })
    .await;
    eventually("they are there", || origin.open() == 3).await;
    assert_eq!(origin.count(), 0);
    for _ in 0..4 {
        gateway.get("/").await.expect(200);
    }
    assert_eq!(origin.accepted(), 3);
}

#[tokio::test]
async fn endpoints_that_come_are_warmed_up_and_those_that_stay_are_not_again() {
    let (a, b) = (
        Origin::start(Reply::ok("a")).await,
        Origin::start(Reply::ok("b")).await,
    );
    let (sender, sets) = watch::channel(Vec::new());
    let _gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, sets).pool(PoolOptions::new().warm(2)),
    })
    .await;
    sender.send_replace(vec![a.endpoint()]);
    eventually("the first is warm", || a.open() == 2).await;
    sender.send_replace(vec![a.endpoint(), b.endpoint()]);
    eventually("the second is warm", || b.open() == 2).await;
    assert_eq!((a.accepted(), b.accepted()), (2, 2));
    sender.send_replace(vec![b.endpoint()]);
    a.left_alone().await;
}

#[tokio::test]
async fn a_warm_connection_that_died_costs_no_request() {
    let mut origin = Origin::start(Reply::ok("one")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).pool(PoolOptions::new().warm(1)),
    })
    .await;
    eventually("it is there", || origin.open() == 1).await;
    origin.close_connections().await;
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn warming_up_ends_with_the_gateway() {
    let origin = Origin::start(Reply::ok("one")).await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).pool(PoolOptions::new().warm(2));
        "/" => users,
    };
    let server = Served::with(gateway, Server::half_close).await;
    eventually("they are there", || origin.open() == 2).await;
    server.stop().await;
    origin.left_alone().await;
}
