//! Splits that keep a client where it was first.

use prox_tests::{
    client::{Answer, head},
    gateway::Served,
    origin::{Origin, Reply},
};

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

async fn ask(gateway: &Served, cookie: &str) -> Answer {
    let mut client = gateway.client().await;
    let fields = format!("cookie: a=b; {cookie}\r\n");
    client.send(head("GET", "/checkout", &fields)).await;
    client.response("GET").await.expect(200)
}

/// The cookie without its attributes.
fn pair(answer: &Answer) -> String {
    let cookie = answer.field("set-cookie").expect("a cookie");
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    pair.to_owned()
}

#[tokio::test]
async fn a_client_sees_one_variant_and_new_ones_by_the_shares() {
    let (users, canary) = (named("users").await, named("canary").await);
    let (a, b) = (users.endpoint(), canary.endpoint());
    let gateway = Served::start(prox::gateway! {
        backend users = cluster(rr, [a]);
        backend canary = cluster(rr, [b]);
        "/checkout" => split { 3 => users, 1 => canary }.sticky(cookie("variant")),
    })
    .await;
    let mut pairs = Vec::new();
    for _ in 0..8 {
        let answer = gateway.get("/checkout").await.expect(200);
        pairs.push((answer.text(), pair(&answer)));
    }
    assert_eq!((users.count(), canary.count()), (6, 2));
    for (name, pair) in pairs {
        let answer = ask(&gateway, &pair).await;
        assert_eq!((answer.text(), answer.field("set-cookie")), (name, None));
    }
    let forged = ask(&gateway, "variant=0123456789abcdef").await;
    pair(&forged);
}

#[tokio::test]
async fn a_client_stays_when_its_variant_fails_and_when_the_shares_move() {
    let (users, canary) = (named("users").await, named("canary").await);
    let (a, b) = (users.endpoint(), canary.endpoint());
    let (c, d) = (a.clone(), b.clone());
    let before = Served::start(prox::gateway! {
        backend users = cluster(rr, [a]);
        backend canary = cluster(rr, [b]);
        "/checkout" => split { 1 => users, 1 => canary }.sticky(cookie("variant")),
    })
    .await;
    let after = Served::start(prox::gateway! {
        backend users = cluster(rr, [c]);
        backend canary = cluster(rr, [d]);
        "/checkout" => split { 1 => respond(200, "third"), 99 => canary, 1 => users }.sticky(cookie("variant")),
    })
    .await;
    for _ in 0..2 {
        let first = before.get("/checkout").await.expect(200);
        let same = ask(&after, &pair(&first)).await;
        assert_eq!(
            (same.text(), same.field("set-cookie")),
            (first.text(), None)
        );
        let origin = if first.text() == "users" {
            &users
        } else {
            &canary
        };
        origin.once([Reply::status(500, &[], "broken")]);
        let mut client = after.client().await;
        let fields = format!("cookie: {}\r\n", pair(&first));
        client.send(head("GET", "/checkout", &fields)).await;
        assert_eq!(client.response("GET").await.expect(500).text(), "broken");
    }
}

#[test]
fn a_name_that_no_cookie_can_have_is_told_at_the_start() {
    // What is literal is told while compiling.
    let name = "a b";
    let gateway = prox::gateway! {
        "/" => split { 1 => respond(200, "a"), 1 => respond(200, "b") }.sticky(cookie(name)),
    };
    let error = gateway.unwrap_err().to_string();
    assert!(error.contains("`a b` is not a cookie name"), "{error}");
}
