//! Connections to upstreams: kept, used again, found dead, and balanced.

use std::time::Duration;

use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    wait::eventually,
};

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    for _ in 0..5 {
        client.get("/").await.expect(200);
        client.post("/", "body").await.expect(200);
    }
    gateway.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_after_every_kind_of_body() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    origin.once([
        Reply::chunks(&[], &["one", "two"], &[]),
        Reply::chunks(&[], &[], &[("X-Trailer", "yes")]),
        Reply::new().head(204, &[], ""),
        Reply::new().head(304, &[("ETag", "\"x\"")], ""),
        Reply::filler(300_000, false),
        Reply::filler(300_000, true),
    ]);
    for status in [200, 200, 204, 304, 200, 200] {
        client.get("/").await.expect(status);
        assert_eq!(origin.accepted(), 1, "after {:?}", origin.last());
    }
    client.request("HEAD", "/").await;
    origin.once([Reply::new().head(200, &[], "Content-Length: 10")]);
    client.response("HEAD").await.expect(200);
    client.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closes_is_not_used_again() {
    let closes: [fn() -> Reply; 3] = [
        || Reply::status(200, &[("Connection", "close")], "bye").close(),
        || {
            Reply::new()
                .write("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nbye")
                .close()
        },
        || Reply::new().head(200, &[], "").write("bye").close(),
    ];
    for close in closes {
        let origin = Origin::start(close()).await;
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url }).await;
        let mut client = gateway.client().await;
        for round in 1..=3 {
            assert_eq!(client.post("/", "x").await.expect(200).text(), "bye");
            assert_eq!(origin.accepted(), round);
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_meanwhile_is_replaced_for_any_method() {
    let mut origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    for method in ["GET", "POST", "DELETE", "PATCH"] {
        client.get("/").await.expect(200);
        origin.close_connections().await;
        client.request_with(method, "/", "a body").await;
        client.response(method).await.expect(200);
        assert_eq!(origin.last().body.text(), "a body", "{method}");
    }
}

#[tokio::test]
async fn a_kept_connection_is_let_go_soon_after_the_upstream_has_ended_it() {
    let origin = Origin::start(Reply::ok("a").half_close().stall()).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    gateway.get("/").await.expect(200);
    origin.left_alone().await;
    gateway.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn an_upstream_may_be_called_by_name() {
    let origin = named("a").await;
    let url: prox::Endpoint = format!("http://localhost:{}", origin.address().port())
        .parse()
        .unwrap();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    gateway.get("/").await.expect(200);
    let host = format!("localhost:{}", origin.address().port());
    assert_eq!(origin.last().field("host"), Some(host.as_str()));
}

#[tokio::test]
async fn an_upstream_that_comes_back_on_its_port_is_used_again() {
    let mut origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(200);
    origin.stop().await;
    client.get("/").await.expect(502);
    client.post("/", "body").await.expect(502);
    origin.restart();
    client.get("/").await.expect(200);
}

#[tokio::test]
async fn a_kept_connection_that_closes_instead_of_answering_is_tried_again_for_get() {
    for bad in [Reply::new().close(), Reply::new().reset()] {
        let origin = named("a").await;
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url }).await;
        let mut client = gateway.client().await;
        client.get("/").await.expect(200);
        origin.once([bad]);
        client.get("/").await.expect(200);
        assert_eq!((origin.count(), origin.accepted()), (3, 2));
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_instead_of_answering_is_not_tried_again_for_post() {
    for bad in [Reply::new().close(), Reply::new().reset()] {
        let origin = named("a").await;
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url }).await;
        let mut client = gateway.client().await;
        client.get("/").await.expect(200);
        origin.once([bad]);
        client.post("/", "pay 10 euros").await.expect(502);
        assert_eq!(
            origin.count(),
            2,
            "what may have been done must not be done twice"
        );
    }
}

#[tokio::test]
async fn a_get_with_a_body_is_not_sent_twice() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(200);
    origin.once([Reply::new().close()]);
    client
        .request_with("GET", "/", "a body that was given away")
        .await;
    client.response("GET").await.expect(502);
    assert_eq!(origin.count(), 2);
}

#[tokio::test]
async fn a_request_is_tried_again_only_once() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    client.get("/").await.expect(200);
    origin.once((0..9).map(|_| Reply::new().close()));
    client.get("/").await.expect(502);
    assert_eq!(origin.count(), 3);
}

#[tokio::test]
async fn another_endpoint_takes_over_when_one_refuses() {
    let (refused, origin) = (Refused::new(), named("b").await);
    let (bad, good) = (refused.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [bad, good]) }).await;
    let mut client = gateway.client().await;
    for _ in 0..4 {
        client
            .post("/", "nothing was sent, so it may go elsewhere")
            .await
            .expect(200);
    }
    assert_eq!(origin.count(), 4);
}

#[tokio::test]
async fn a_502_comes_when_all_endpoints_refuse() {
    let (first, second) = (Refused::new(), Refused::new());
    let (a, b) = (first.endpoint(), second.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [a, b]) }).await;
    gateway.get("/").await.expect(502);
}

#[tokio::test]
async fn round_robin_goes_in_order() {
    let (a, b, c) = (named("a").await, named("b").await, named("c").await);
    let (one, two, three) = (a.endpoint(), b.endpoint(), c.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [one, two, three]) }).await;
    let mut client = gateway.client().await;
    let mut order = String::new();
    for _ in 0..9 {
        order += &client.get("/").await.expect(200).text();
    }
    assert_eq!(order, "abcabcabc");
}

#[tokio::test]
async fn round_robin_honours_weights_and_mixes_them() {
    let (a, b) = (named("a").await, named("b").await);
    let (one, two) = (a.endpoint().weight(3), b.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [one, two]) }).await;
    let mut client = gateway.client().await;
    let mut order = String::new();
    for _ in 0..8 {
        order += &client.get("/").await.expect(200).text();
    }
    assert_eq!(order, "aabaaaba");
}

#[tokio::test]
async fn the_endpoint_with_fewer_requests_under_way_is_preferred() {
    let origin = |name: &'static str| {
        Origin::with(move |seen| match seen.target() {
            "/stall" => Reply::new().stall(),
            _ => Reply::ok(name),
        })
    };
    let (a, b) = (origin("a").await, origin("b").await);
    let (one, two) = (a.endpoint(), b.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(least_conn, [one, two]) }).await;
    let mut busy = gateway.client().await;
    busy.request("GET", "/stall").await;
    // Both had none under way, so that chance has decided.
    eventually("one to be busy", || a.count() + b.count() == 1).await;
    let (stalled, idle) = if a.count() == 1 { (&a, "b") } else { (&b, "a") };
    for _ in 0..8 {
        assert_eq!(gateway.get("/").await.expect(200).text(), idle);
    }
    drop(busy);
    stalled.left_alone().await;
    for _ in 0..64 {
        gateway.get("/").await.expect(200);
    }
    assert!(stalled.count() > 1, "a request that was lost still counts");
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let origin = named("a").await;
    let url = origin.endpoint();
    let pool = prox::PoolOptions::new().idle_timeout(Duration::from_millis(200));
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).pool(pool) }).await;
    gateway.get("/").await.expect(200);
    assert_eq!(origin.open(), 1);
    origin.left_alone().await;
    gateway.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let gate = prox_tests::wait::Gate::new();
    let origin = Origin::start(Reply::new().wait(&gate).head(200, &[], "Content-Length: 0")).await;
    let url = origin.endpoint();
    let pool = prox::PoolOptions::new().max_idle(2);
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).pool(pool) }).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        clients.push(client);
    }
    origin.reached(6).await;
    gate.open();
    for client in &mut clients {
        client.response("GET").await.expect(200);
    }
    eventually("two connections to be kept", || origin.open() == 2).await;
}

#[tokio::test]
async fn a_crowd_that_comes_again_opens_no_connections() {
    const CROWD: usize = 300;
    let origin = named("a").await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut clients = Vec::new();
    for _ in 0..CROWD {
        clients.push(gateway.client().await);
    }
    let mut opened = Vec::new();
    for _ in 0..3 {
        let gate = prox_tests::wait::Gate::new();
        let held = || Reply::new().wait(&gate).head(200, &[], "Content-Length: 0");
        origin.once(std::iter::repeat_with(held).take(CROWD));
        for client in &mut clients {
            client.request("GET", "/").await;
        }
        eventually("all of the crowd to be there", || {
            origin.count() == CROWD * (opened.len() + 1)
        })
        .await;
        gate.open();
        // One after the other, so that fewer and fewer are under way.
        for client in &mut clients {
            client.response("GET").await.expect(200);
        }
        opened.push(origin.accepted());
    }
    assert_eq!(opened, [CROWD; 3]);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::with(|seen| Reply::ok(seen.target())).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => url }).await;
    let mut client = gateway.client().await;
    let all: String = (0..5).map(|n| head("GET", &format!("/{n}"), "")).collect();
    client.send(all).await;
    for n in 0..5 {
        assert_eq!(
            client.response("GET").await.expect(200).text(),
            format!("/{n}")
        );
    }
}
