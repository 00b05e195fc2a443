//! The questions that the readers of the gateway have, each of them one test.

use std::time::Duration;

use prox::{Failure, testing::*};
use testing::{Shop, ShopBackends};

fn shop() -> Harness<ShopBackends<Fake>> {
    Shop::test()
        .env("USERS_URL", "http://10.0.0.1:8080")
        .start(Shop::new)
}

#[tokio::test(start_paused = true)]
async fn a_stalled_endpoint_costs_a_second_and_no_request() {
    let shop = shop();
    shop.users
        .on("GET", "/people/{id}")
        .reply(|req| Reply::text(req.param("id")));
    shop.users.endpoint("10.0.0.1:8080").fault(Fault::Stall);

    let answer = shop.get("/users/7").await;

    answer.is(200).body_is("7").took(Duration::from_secs(1));
    answer.from_backend("users").after_tries(2);
    assert_eq!(shop.users.requests()[1].endpoint(), "10.0.0.2:8080");
}

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_once_and_ends_at_the_limit_for_one_try() {
    let shop = shop();
    shop.users.fault(Fault::Stall);

    let answer = shop.post("/users/7", "{}").await;

    answer.is(504).took(Duration::from_secs(1));
    answer.failed_with(Failure::ResponseTimeout).after_tries(1);
}

#[tokio::test(start_paused = true)]
async fn only_the_inside_may_enter() {
    let shop = shop();
    shop.users.reply_with("hello");

    shop.get("/admin").from("192.0.2.1").await.is(403);
    shop.users.was_never_asked();
    shop.get("/admin").from("10.1.2.3").await.is(200);
}

#[tokio::test(start_paused = true)]
async fn the_canary_gets_five_percent() {
    let shop = shop();
    shop.users.reply_with("as ever");
    shop.canary.reply_with("new");

    for _ in 0..100 {
        shop.get("/checkout").await.is(200);
    }

    shop.users.was_asked(95);
    shop.canary.was_asked(5);
}
