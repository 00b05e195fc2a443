//! Shared connections to HTTP/2 upstreams: how many there are, who waits for them, and when they end.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use prox_tests::{
    client::RawClient,
    frame_origin::{FrameOrigin, MAX_CONCURRENT_STREAMS, Step, code, go_away, kind, ok, reset},
    gateway::Served,
    wait::{Gate, eventually},
};

async fn gateway(origin: &FrameOrigin, pool: prox::PoolOptions) -> Served {
    let url = origin.endpoint();
    Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2().pool(pool) }).await
}

fn pool() -> prox::PoolOptions {
    prox::PoolOptions::new()
}

/// So many clients that have each sent a `GET`.
async fn clients(gateway: &Served, count: usize) -> Vec<RawClient> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut client = gateway.client().await;
        client.request("GET", "/").await;
        all.push(client);
    }
    all
}

async fn expect_all(clients: &mut [RawClient], status: u16) {
    for client in clients {
        client.response("GET").await.expect(status);
    }
}

#[tokio::test]
async fn one_connection_is_opened_for_all_who_wait() {
    let origin = FrameOrigin::start(&[], |head| vec![ok(head.stream, true)]).await;
    let gateway = gateway(&origin, pool()).await;
    let mut clients = clients(&gateway, 40).await;
    expect_all(&mut clients, 200).await;
    assert_eq!(origin.accepted(), 1);
    for _ in 0..3 {
        gateway.get("/").await.expect(200);
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_further_connection_is_opened_when_all_are_crowded() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = FrameOrigin::start(&[], move |head| {
        vec![Step::Wait(held.clone()), ok(head.stream, true)]
    })
    .await;
    let gateway = gateway(&origin, pool().streams(4)).await;
    let mut all = Vec::new();
    // One after the other: many at once would share the first connection while the second is not there. The fifth finds
    // the first crowded, the tenth the second as well.
    for count in 1..=12 {
        all.extend(clients(&gateway, 1).await);
        origin.reached(kind::HEADERS, count).await;
        let expected = 1 + count / 5;
        eventually("a further connection", || origin.accepted() >= expected).await;
        // A connection counts from its settings on.
        origin.reached(kind::SETTINGS, expected * 2).await;
    }
    assert_eq!(origin.accepted(), 3);
    gate.open();
    expect_all(&mut all, 200).await;
}

#[tokio::test]
async fn no_more_streams_are_opened_than_the_upstream_allows() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = FrameOrigin::start(&[(MAX_CONCURRENT_STREAMS, 3)], move |head| {
        vec![Step::Wait(held.clone()), ok(head.stream, true)]
    })
    .await;
    let gateway = gateway(&origin, pool()).await;
    let mut clients = clients(&gateway, 10).await;
    origin.reached(kind::HEADERS, 10).await;
    assert_eq!(origin.accepted(), 4);
    for connection in 0..4 {
        assert!(origin.requests_of(connection) <= 3, "{connection}");
    }
    gate.open();
    expect_all(&mut clients, 200).await;
}

#[tokio::test]
async fn an_upstream_that_allows_no_stream_is_a_502() {
    let origin = FrameOrigin::start(&[(MAX_CONCURRENT_STREAMS, 0)], |_| Vec::new()).await;
    let gateway = gateway(&origin, pool()).await;
    gateway.get("/").await.expect(502);
    assert_eq!(origin.accepted(), 1);
    eventually("the connection to be closed", || origin.open() == 0).await;
}

#[tokio::test]
async fn whoever_leaves_while_waiting_takes_no_stream() {
    let origin = FrameOrigin::start(&[(MAX_CONCURRENT_STREAMS, 1)], |head| {
        vec![
            Step::Pause(Duration::from_millis(50)),
            ok(head.stream, true),
        ]
    })
    .await;
    let gateway = gateway(&origin, pool()).await;
    let mut first = clients(&gateway, 1).await;
    origin.reached(kind::HEADERS, 1).await;
    drop(clients(&gateway, 5).await);
    expect_all(&mut first, 200).await;
    gateway.get("/").await.expect(200);
    let resets = origin.frames(kind::RST_STREAM);
    let answered = origin.frames(kind::HEADERS).len() - resets.len();
    assert!(answered <= 7, "{resets:?}");
}

#[tokio::test]
async fn a_goodbye_loses_no_request() {
    // Every connection takes two requests, and says goodbye with the second; what comes later was not looked at.
    let origin = FrameOrigin::start(&[], |head| match head.stream {
        1 => vec![ok(1, true)],
        3 => vec![go_away(3, code::NO_ERROR), ok(3, true)],
        _ => Vec::new(),
    })
    .await;
    let gateway = gateway(&origin, pool()).await;
    let mut client = gateway.client().await;
    for _ in 0..10 {
        client.post("/", "a body").await.expect(200);
    }
    assert_eq!(origin.accepted(), 5);
    eventually("the old connections to be closed", || origin.open() <= 1).await;
}

#[tokio::test]
async fn what_was_not_looked_at_is_sent_again_whatever_its_method() {
    for refusal in [
        |stream| vec![reset(stream, code::REFUSED_STREAM)],
        |_| vec![go_away(0, code::NO_ERROR)],
    ] {
        let origin = FrameOrigin::start(&[], move |head| match head.connection {
            0 => refusal(head.stream),
            _ => vec![ok(head.stream, true)],
        })
        .await;
        let gateway = gateway(&origin, pool()).await;
        let mut client = gateway.client().await;
        client.request("POST", "/").await;
        client.response("POST").await.expect(200);
        assert_eq!(origin.accepted(), 2);
    }
}

#[tokio::test]
async fn what_is_refused_again_and_again_gets_through_in_the_end() {
    // The first five times it is refused, in two ways by turns.
    let count = AtomicUsize::new(0);
    let origin = FrameOrigin::start(&[], move |head| match count.fetch_add(1, SeqCst) {
        0 | 2 | 4 => vec![go_away(0, code::NO_ERROR)],
        1 | 3 => vec![reset(head.stream, code::REFUSED_STREAM)],
        _ => vec![ok(head.stream, true)],
    })
    .await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).http2().connect_timeout(1m)
    })
    .await;
    let mut client = gateway.client().await;
    client.request("POST", "/").await;
    client.response("POST").await.expect(200);
    assert_eq!(origin.frames(kind::HEADERS).len(), 6);
}

#[tokio::test]
async fn what_is_always_refused_is_sent_again_until_the_budget_is_used_up() {
    let origin =
        FrameOrigin::start(&[], |head| vec![reset(head.stream, code::REFUSED_STREAM)]).await;
    let url = origin.endpoint();
    let budget = prox::BudgetOptions::percent(0).and_per_second(1);
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).http2().retry_budget(budget).connect_timeout(1m)
    })
    .await;
    gateway.get("/").await.expect(502);
    // The first try, one more that is free, and what the budget has for ten seconds.
    let tries = origin.frames(kind::HEADERS).len();
    assert!((12..=13).contains(&tries), "{tries}");
}

#[tokio::test]
async fn what_is_always_refused_is_sent_again_for_a_while_only() {
    let origin =
        FrameOrigin::start(&[], |head| vec![reset(head.stream, code::REFUSED_STREAM)]).await;
    let url = origin.endpoint();
    let budget = prox::BudgetOptions::percent(0).and_per_second(1_000_000);
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).http2().retry_budget(budget).connect_timeout(500ms)
    })
    .await;
    gateway.get("/").await.expect(502);
    assert!(origin.frames(kind::HEADERS).len() > 2);
}

#[tokio::test]
async fn what_one_endpoint_refuses_is_done_by_another() {
    let bad = FrameOrigin::start(&[], |head| {
        vec![
            go_away(0, code::NO_ERROR),
            reset(head.stream, code::REFUSED_STREAM),
        ]
    })
    .await;
    let good = FrameOrigin::start(&[], |head| vec![ok(head.stream, true)]).await;
    let (one, two) = (bad.endpoint(), good.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [one, two]).http2() }).await;
    let mut client = gateway.client().await;
    for _ in 0..4 {
        client.request("POST", "/").await;
        client.response("POST").await.expect(200);
    }
    assert_eq!(good.frames(kind::HEADERS).len(), 4);
}

#[tokio::test]
async fn a_body_that_has_left_is_sent_again_with_its_request() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = FrameOrigin::start(&[], move |head| match head.connection {
        0 => vec![Step::Wait(held.clone()), go_away(0, code::NO_ERROR)],
        _ => vec![ok(head.stream, true)],
    })
    .await;
    let gateway = gateway(&origin, pool()).await;
    let mut client = gateway.client().await;
    client.request_with("POST", "/", "a message of gRPC").await;
    let sent = |connection| {
        let frames = origin.frames(kind::DATA);
        let own = frames.iter().filter(|one| one.connection == connection);
        own.flat_map(|one| one.payload.clone()).collect::<Vec<u8>>()
    };
    eventually("the body to be sent", || sent(0) == b"a message of gRPC").await;
    gate.open();
    client.response("POST").await.expect(200);
    eventually("the body to be sent again", || {
        sent(1) == b"a message of gRPC"
    })
    .await;
}

#[tokio::test]
async fn kept_connections_that_have_all_died_are_passed_over() {
    let gate = Gate::new();
    let held = gate.clone();
    // Three connections, which are in use at once; the next request on each of them finds it dead.
    let origin = FrameOrigin::start(&[(MAX_CONCURRENT_STREAMS, 1)], move |head| {
        match (head.connection, head.stream) {
            (0..3, 1) => vec![Step::Wait(held.clone()), ok(head.stream, true)],
            (0..3, _) => vec![Step::Close],
            _ => vec![ok(head.stream, true)],
        }
    })
    .await;
    let gateway = gateway(&origin, pool()).await;
    let mut all = clients(&gateway, 3).await;
    origin.reached(kind::HEADERS, 3).await;
    gate.open();
    expect_all(&mut all, 200).await;
    // The answers to the settings have to be there: what comes later would be a sign of life.
    origin.reached(kind::SETTINGS, 6).await;
    gateway.get("/").await.expect(200);
    assert_eq!(origin.frames(kind::HEADERS).len(), 3 + 3 + 1);
    assert_eq!(origin.accepted(), 4);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_again() {
    for reason in [code::CANCEL, code::INTERNAL_ERROR, code::HTTP_1_1_REQUIRED] {
        let origin = FrameOrigin::start(&[], move |head| vec![reset(head.stream, reason)]).await;
        let gateway = gateway(&origin, pool()).await;
        gateway.get("/").await.expect(502);
        assert_eq!(origin.frames(kind::HEADERS).len(), 1, "{reason}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_dies_instead_of_answering_is_tried_again_for_get_only() {
    for (method, status, count) in [("GET", 200, 3), ("POST", 502, 2)] {
        let origin = FrameOrigin::start(&[], |head| match (head.connection, head.stream) {
            (0, 3) => vec![Step::Close],
            _ => vec![ok(head.stream, true)],
        })
        .await;
        let gateway = gateway(&origin, pool()).await;
        gateway.get("/").await.expect(200);
        // The answer to the settings has to be there: what comes later would be a sign of life.
        origin.reached(kind::SETTINGS, 2).await;
        let mut client = gateway.client().await;
        client.request(method, "/").await;
        client.response(method).await.expect(status);
        assert_eq!(origin.frames(kind::HEADERS).len(), count, "{method}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time_with_a_goodbye() {
    let origin = FrameOrigin::start(&[], |head| vec![ok(head.stream, true)]).await;
    let gateway = gateway(&origin, pool().idle_timeout(Duration::from_millis(200))).await;
    gateway.get("/").await.expect(200);
    assert_eq!(origin.open(), 1);
    eventually("the connection to be closed", || origin.open() == 0).await;
    assert_eq!(origin.frames(kind::GOAWAY).len(), 1);
    gateway.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn an_old_connection_takes_no_more_requests_and_ends_with_its_last() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = FrameOrigin::start(&[], move |head| match head.connection {
        0 => vec![Step::Wait(held.clone()), ok(head.stream, true)],
        _ => vec![ok(head.stream, true)],
    })
    .await;
    let gateway = gateway(&origin, pool().lifetime(Duration::from_millis(100))).await;
    let mut waiting = clients(&gateway, 1).await;
    origin.reached(kind::HEADERS, 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    gateway.get("/").await.expect(200);
    assert_eq!(origin.accepted(), 2);
    gate.open();
    expect_all(&mut waiting, 200).await;
    eventually("both connections to be closed", || origin.open() == 0).await;
}

#[tokio::test]
async fn an_upstream_that_speaks_http1_only_is_a_502_that_says_so_at_once() {
    let origin = prox_tests::origin::Origin::start(prox_tests::origin::Reply::ok("a")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [url]).http2() }).await;
    gateway.get("/").await.expect(502);
}

#[tokio::test]
async fn another_endpoint_takes_over_when_one_refuses() {
    let refused = prox_tests::ports::Refused::new();
    let origin = FrameOrigin::start(&[], |head| vec![ok(head.stream, true)]).await;
    let (bad, good) = (refused.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! { "/" => cluster(rr, [bad, good]).http2() }).await;
    let mut client = gateway.client().await;
    for _ in 0..4 {
        client.post("/", "nothing was sent").await.expect(200);
    }
}

#[tokio::test]
async fn an_upstream_that_never_says_its_settings_is_a_504() {
    let origin = prox_tests::ports::Unanswered::new();
    let url = origin.endpoint();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let quiet: prox::Endpoint = format!("http://{}", silent.local_addr().unwrap())
        .parse()
        .unwrap();
    for url in [url, quiet] {
        let limit = Duration::from_millis(200);
        let gateway = Served::start(
            prox::gateway! { "/" => cluster(rr, [url]).http2().connect_timeout(limit) },
        )
        .await;
        gateway.get("/").await.expect(504);
    }
}
