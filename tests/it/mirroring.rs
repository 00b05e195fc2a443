//! A share of the requests goes to a second backend as well, and nobody notices.

use std::{sync::Arc, time::Duration};

use prox::{Cluster, Condition, MirrorOptions, PassiveOptions};
use prox_tests::{
    client::head,
    gateway::Served,
    origin::{Origin, Reply},
    ports::Refused,
    wait::{Gate, eventually, within},
};

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

/// A gateway that mirrors its backend `users` to its backend `canary`, and the handles of both.
async fn mirrored(
    users: &Origin,
    canary: prox::Endpoint,
    options: impl Into<MirrorOptions>,
) -> (Served, Cluster, Cluster) {
    let (url, options) = (users.endpoint(), options.into());
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]);
        backend canary = cluster(rr, [canary]);
        "/" => users.mirror(canary, options),
    };
    let gateway = gateway.expect("the gateway can start");
    let backend = |name| gateway.backend(name).expect("it has one").clone();
    let (users, canary) = (backend("users"), backend("canary"));
    (Served::start(gateway).await, users, canary)
}

#[tokio::test]
async fn a_copy_is_the_request_and_its_answer_is_dropped() {
    let (users, canary) = (named("users").await, named("canary").await);
    let (gateway, handle, _) = mirrored(&users, canary.endpoint(), 1.0).await;
    let mut client = gateway.client().await;
    let fields = "x-user: 7\r\ncontent-length: 5\r\n";
    client
        .send(format!("{}hello", head("POST", "/cart?add=1", fields)))
        .await;
    assert_eq!(client.response("POST").await.expect(200).text(), "users");
    canary.reached(1).await;
    let copy = canary.last();
    assert_eq!((copy.method(), copy.target()), ("POST", "/cart?add=1"));
    assert_eq!(copy.field("x-user"), Some("7"));
    assert_eq!(copy.field("content-length"), Some("5"));
    assert_eq!(copy.body.text(), "hello");
    let own = canary.address().to_string();
    assert_eq!(copy.field("host"), Some(own.as_str()));
    assert_eq!(
        copy.field("x-forwarded-for"),
        users.last().field("x-forwarded-for")
    );
    assert_eq!(handle.counters().mirrored, 1);
}

#[tokio::test]
async fn a_chunked_body_is_copied_when_it_has_ended() {
    let (users, canary) = (named("users").await, named("canary").await);
    let (gateway, ..) = mirrored(&users, canary.endpoint(), 1.0).await;
    let mut client = gateway.client().await;
    client
        .send(head("PUT", "/", "transfer-encoding: chunked\r\n"))
        .await;
    client.send("3\r\nabc\r\n").await;
    client.send("2\r\nde\r\n0\r\n\r\n").await;
    client.response("PUT").await.expect(200);
    canary.reached(1).await;
    let copy = canary.last();
    assert_eq!(copy.body.text(), "abcde");
    assert_eq!(copy.field("content-length"), Some("5"));
    assert!(copy.lacks("transfer-encoding"));
}

#[tokio::test]
async fn a_share_of_nothing_copies_nothing_and_a_half_about_a_half() {
    let (users, canary) = (named("users").await, named("canary").await);
    let (gateway, ..) = mirrored(&users, canary.endpoint(), 0.0).await;
    for _ in 0..20 {
        gateway.get("/").await.expect(200);
    }
    assert_eq!(canary.count(), 0);
    let (gateway, handle, _) = mirrored(&users, canary.endpoint(), 0.5).await;
    for _ in 0..100 {
        gateway.get("/").await.expect(200);
    }
    // Outside of this once in a million times.
    let copied = handle.counters().mirrored;
    assert!((25..=75).contains(&copied), "{copied}");
}

#[tokio::test]
async fn a_body_that_is_too_long_reaches_the_first_backend_alone() {
    let (users, canary) = (named("users").await, named("canary").await);
    let (gateway, handle, _) = mirrored(&users, canary.endpoint(), 1.0).await;
    let long = "x".repeat(64 * 1024 + 1);
    let answer = gateway.client().await.post("/", &long).await;
    answer.expect(200);
    assert_eq!(users.last().body.digest.length(), long.len() as u64);
    // The same without a word on its length.
    let mut client = gateway.client().await;
    client
        .send(head("POST", "/", "transfer-encoding: chunked\r\n"))
        .await;
    client
        .send(format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len()))
        .await;
    client.response("POST").await.expect(200);
    let counters = handle.counters();
    assert_eq!((counters.mirrored, counters.not_mirrored), (0, 2));
    assert_eq!(canary.count(), 0);
}

#[tokio::test]
async fn a_mirror_that_fails_changes_nothing_for_the_first_backend() {
    let users = named("users").await;
    let canary = Origin::start(Reply::status(500, &[], "no")).await;
    let (a, b) = (users.endpoint(), canary.endpoint());
    let refused = Refused::new();
    let c = refused.endpoint();
    let gateway = prox::gateway! {
        backend canary = cluster(rr, [b, c]).passive(PassiveOptions::new().in_a_row(3).at_most(100)).retry(2);
        backend users = cluster(rr, [a]).mirror(canary, 1.0);
        "/" => users,
    };
    let gateway = gateway.expect("the gateway can start");
    let backend = |name| gateway.backend(name).expect("it has one").clone();
    let (first, second) = (backend("users"), backend("canary"));
    let gateway = Served::start(gateway).await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.expect(200).text(), "users");
    }
    eventually("the mirror is in panic", || second.counters().ejected == 2).await;
    let state = first.endpoints().next().expect("the first");
    assert_eq!(state.condition(), Condition::Healthy);
    assert_eq!(state.last_error(), None);
}

#[tokio::test]
async fn requests_wait_for_no_copy_and_only_so_many_are_under_way() {
    let users = named("users").await;
    let gate = Gate::new();
    let slow = Reply::new()
        .wait(&gate)
        .head(200, &[], "content-length: 2")
        .write("ok");
    let canary = Origin::start(slow).await;
    let options = MirrorOptions::new(1.0).at_once(3);
    let (gateway, handle, _) = mirrored(&users, canary.endpoint(), options).await;
    for _ in 0..10 {
        gateway.get("/").await.expect(200);
    }
    let counters = handle.counters();
    assert_eq!((counters.mirrored, counters.not_mirrored), (3, 7));
    canary.reached(3).await;
    gate.open();
    within("there is room again", async {
        while handle.counters().mirrored == 3 {
            gateway.get("/").await.expect(200);
        }
    })
    .await;
}

#[tokio::test]
async fn copies_end_with_the_gateway_and_the_drain_does_not_wait() {
    let users = named("users").await;
    let canary = Origin::start(Reply::new().stall()).await;
    let (gateway, first, second) = mirrored(&users, canary.endpoint(), 1.0).await;
    gateway.get("/").await.expect(200);
    eventually("the copy is under way", || canary.open() == 1).await;
    let began = tokio::time::Instant::now();
    gateway.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    drop((first, second));
    canary.left_alone().await;
}

#[tokio::test]
async fn an_upgrade_is_not_copied() {
    let switched =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let users = Origin::start(Reply::new().write(switched)).await;
    let canary = named("canary").await;
    let (gateway, handle, _) = mirrored(&users, canary.endpoint(), 1.0).await;
    let mut client = gateway.client().await;
    client
        .send(head("GET", "/", "connection: upgrade\r\nupgrade: echo\r\n"))
        .await;
    assert_eq!(client.response_head().await.status, 101);
    assert_eq!(handle.counters().mirrored, 0);
    assert_eq!(canary.count(), 0);
}

#[tokio::test]
async fn a_mirror_has_its_own_rewrite_and_does_not_mirror_again() {
    let (a, b, c) = (named("a").await, named("b").await, named("c").await);
    let (one, two, three) = (a.endpoint(), b.endpoint(), c.endpoint());
    let gateway = prox::gateway! {
        backend third = cluster(rr, [three]);
        backend second = cluster(rr, [two]).mirror(third, 1.0);
        backend first = cluster(rr, [one]);
        "/users/{id}" => first.mirror(second.rewrite("/people/{id}"), 1.0),
        "/second" => second,
    };
    let gateway = Served::start(gateway).await;
    gateway.get("/users/7?all").await.expect(200);
    b.reached(1).await;
    assert_eq!(b.last().target(), "/people/7?all");
    assert_eq!(a.last().target(), "/users/7?all");
    gateway.get("/second").await.expect(200);
    c.reached(1).await;
    assert_eq!(c.count(), 1);
}

#[test]
fn a_share_that_is_none_and_a_mirror_of_itself_are_told_at_the_start() {
    let share = Arc::new(1.5);
    let gateway = prox::gateway! {
        backend users = cluster(rr, ["http://127.0.0.1:1"]);
        backend canary = cluster(rr, ["http://127.0.0.1:2"]);
        let same = users.clone();
        "/a" => users.mirror(canary, *share),
        "/b" => split { 1 => users.mirror(same, 0.1) },
    };
    let error = gateway.unwrap_err().to_string();
    assert!(error.contains("`.mirror(.., 1.5)` is no share"), "{error}");
    assert!(error.contains("it mirrors to itself"), "{error}");
}

#[tokio::test]
async fn two_mirrors_both_get_copies() {
    let (users, one, two) = (named("users").await, named("one").await, named("two").await);
    let (url, a, b) = (users.endpoint(), one.endpoint(), two.endpoint());
    let gateway = prox::gateway! {
        backend a = cluster(rr, [a]);
        backend b = cluster(rr, [b]);
        backend users = cluster(rr, [url]);
        "/" => users.mirror(a, 1.0).mirror(b, 1.0),
    };
    let gateway = Served::start(gateway).await;
    let mut client = gateway.client().await;
    client.post("/x", "hello").await.expect(200);
    for mirror in [&one, &two] {
        mirror.reached(1).await;
        assert_eq!(mirror.last().body.text(), "hello");
    }
}

#[tokio::test]
async fn a_route_adds_a_mirror_or_sets_another_share() {
    let (users, one, two) = (named("users").await, named("one").await, named("two").await);
    let (url, a, b) = (users.endpoint(), one.endpoint(), two.endpoint());
    let gateway = prox::gateway! {
        backend a = cluster(rr, [a]);
        backend b = cluster(rr, [b]);
        backend users = cluster(rr, [url]).mirror(a, 1.0);
        "/" => users.mirror(b, 1.0).mirror(a, share(0.0)),
    };
    let gateway = Served::start(gateway).await;
    gateway.get("/").await.expect(200);
    two.reached(1).await;
    assert_eq!(one.count(), 0, "its second share replaces its first");
}

fn share(share: f64) -> MirrorOptions {
    MirrorOptions::new(share)
}
