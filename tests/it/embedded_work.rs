//! The work beside the requests of a gateway that is embedded in another server: when it begins, and when it ends.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail it")]

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use http::{Request, StatusCode};
use prox::{Gateway, IntoGateway, PoolOptions};
use prox_tests::{
    client::get as fetch,
    origin::{Origin, Reply},
    wait::eventually,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower::{Service, ServiceExt};

const SOON: Duration = Duration::from_millis(50);

/// An axum server, which ends with the test.
async fn serve(router: Router) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (
        address,
        tokio::spawn(axum::serve(listener, router).into_future()),
    )
}

/// A gateway that is not ready before a check has passed.
fn required(url: prox::Endpoint) -> Gateway {
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).health(http("/healthz").every(SOON).timeout(40ms).fall(1000)).required();
        GET "/readyz" => prox::readiness(),
        "/users" => users,
    };
    gateway.expect("the gateway can start")
}

async fn healthy() -> Origin {
    Origin::start(Reply::ok("well")).await
}

#[tokio::test]
async fn a_readiness_probe_is_enough_to_get_a_fallback_of_axum_ready() {
    let origin = healthy().await;
    let router = Router::new()
        .route("/own", get(|| async { "own" }))
        .fallback_service(required(origin.endpoint()));
    let (address, _server) = serve(router).await;
    assert_eq!(fetch(address, "/own").await.expect(200).text(), "own");
    assert_eq!(origin.count(), 0, "nothing has been asked of the gateway");
    fetch(address, "/readyz").await.expect(503);
    let end = tokio::time::Instant::now() + prox_tests::wait::PATIENCE;
    while fetch(address, "/readyz").await.status != 200 {
        assert!(tokio::time::Instant::now() < end, "it never gets ready");
    }
    let asked: Vec<_> = origin.requests();
    assert!(asked.iter().all(|seen| seen.target() == "/healthz"));
}

#[tokio::test]
async fn poll_ready_begins_the_checks() {
    let origin = healthy().await;
    let mut gateway = required(origin.endpoint());
    ServiceExt::<Request<String>>::ready(&mut gateway)
        .await
        .unwrap();
    origin.reached(1).await;
}

#[tokio::test]
async fn whoever_asks_whether_it_is_ready_begins_the_checks() {
    let origin = healthy().await;
    let gateway = required(origin.endpoint());
    eventually("it is ready", || gateway.is_ready()).await;
    let gateway = required(origin.endpoint());
    eventually("no backend is unready", || gateway.unready().count() == 0).await;
    let gateway = required(origin.endpoint());
    let users = gateway.backend("users").unwrap();
    eventually("the backend is ready", || users.is_ready()).await;
}

#[tokio::test]
async fn it_can_be_told_to_begin() {
    let origin = healthy().await;
    let gateway = required(origin.endpoint());
    gateway.start();
    origin.reached(2).await;
}

#[tokio::test]
async fn a_request_to_one_backend_begins_the_work_of_all() {
    let (origin, warmed, found, mirror) = (
        healthy().await,
        healthy().await,
        healthy().await,
        healthy().await,
    );
    let (a, b, c) = (origin.endpoint(), warmed.endpoint(), mirror.endpoint());
    let (_sender, sets) = watch::channel(vec![found.endpoint()]);
    let copies = prox::gateway! {
        backend copies = cluster(rr, [c]).pool(PoolOptions::new().warm(2));
        "/" => copies,
    };
    let copies = copies.unwrap().backend("copies").unwrap().clone();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [a]);
        backend found = cluster(rr, sets).pool(PoolOptions::new().warm(2));
        "/users" => users,
        "/found" => found,
        "/inline" => split { 1 => users, 1 => cluster(rr, [b]).pool(PoolOptions::new().warm(2)) },
        "/copied" => users.mirror(copies, 0.0),
    };
    let gateway = gateway.unwrap();
    let request = Request::get("/users").header("host", "x");
    let request = request.body(String::new()).unwrap();
    let response = gateway.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    for (what, other) in [("split", warmed), ("found", found), ("mirror", mirror)] {
        eventually(what, || other.open() == 2).await;
    }
}

#[tokio::test]
async fn many_requests_at_once_warm_up_once() {
    let origin = healthy().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).pool(PoolOptions::new().warm(2));
        "/users" => users,
        "/none" => respond(200, "none"),
    };
    let gateway = gateway.unwrap();
    for _ in 0..16 {
        let request = Request::get("/none").header("host", "x");
        let request = request.body(String::new()).unwrap();
        let mut service = gateway.clone();
        let response = Service::call(&mut service, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    eventually("it is warm", || origin.open() == 2).await;
    gateway.start();
    tokio::task::yield_now().await;
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn the_work_ends_with_the_last_clone() {
    let origin = healthy().await;
    let url = origin.endpoint();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url])
            .health(http("/healthz").every(SOON).timeout(40ms).fall(1000))
            .pool(PoolOptions::new().warm(2));
        "/users" => users,
    };
    let gateway = gateway.unwrap();
    gateway.start();
    origin.reached(2).await;
    let router: Router = Router::new().fallback_service(gateway.clone());
    drop(gateway);
    let before = origin.count();
    origin.reached(before + 2).await;
    drop(router);
    origin.left_alone().await;
    let after = origin.count();
    tokio::time::sleep(SOON * 5).await;
    assert_eq!(origin.count(), after, "nobody checks any more");
}

#[tokio::test]
async fn a_runtime_that_ends_takes_the_work_along_and_the_next_begins_it_anew() {
    let origin = healthy().await;
    let gateway = required(origin.endpoint());
    let first = gateway.clone();
    let runtime = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            eventually("it is ready", || first.is_ready()).await;
        });
    };
    tokio::task::spawn_blocking(runtime).await.unwrap();
    origin.left_alone().await;
    let before = origin.count();
    // Outside of a runtime there is nothing to begin with.
    let other = gateway.clone();
    std::thread::spawn(move || other.start()).join().unwrap();
    tokio::time::sleep(SOON * 5).await;
    assert_eq!(origin.count(), before);
    gateway.start();
    origin.reached(before + 2).await;
}

#[tokio::test]
async fn a_gateway_with_a_name_begins_its_work_as_well() {
    prox::gateway! {
        struct Edge { upstream: prox::Endpoint }
        backend users = cluster(rr, [upstream]).health(http("/healthz").every(SOON).timeout(40ms).fall(1000)).required();
        "/users" => users,
    }
    let origin = healthy().await;
    let mut edge = Edge::new(origin.endpoint()).unwrap();
    ServiceExt::<Request<String>>::ready(&mut edge)
        .await
        .unwrap();
    origin.reached(1).await;
    let gateway = edge.into_gateway().unwrap();
    eventually("it is ready", || gateway.is_ready()).await;
}

#[tokio::test]
async fn a_gateway_that_is_told_to_drain_is_not_ready_and_serves_on() {
    let origin = healthy().await;
    let gateway = required(origin.endpoint());
    eventually("it is ready", || gateway.is_ready()).await;
    let router = Router::new().fallback_service(gateway.clone());
    let (address, _server) = serve(router).await;
    fetch(address, "/readyz").await.expect(200);
    gateway.drain();
    assert!(!gateway.is_ready());
    fetch(address, "/readyz").await.expect(503);
    fetch(address, "/users").await.expect(200);
}
