//! How many clients get the new version, and that they stay there.

use prox::testing::{Fake, Harness, Testable};

use super::{Versions, VersionsBackends};

fn versions(canary: u32) -> Harness<VersionsBackends<Fake>> {
    let versions = Versions::test()
        .env("STABLE_URL", "http://10.0.0.1:8080")
        .env("CANARY_URL", "http://10.0.0.2:8080")
        .env("CANARY", canary)
        .seed(1)
        .start(Versions::new);
    versions.stable.reply_with("stable");
    versions.canary.reply_with("canary");
    versions
}

#[tokio::test(start_paused = true)]
async fn five_of_a_hundred_clients_get_the_new_version() {
    let versions = versions(5);
    for _ in 0..200 {
        versions.get("/").await.is(200);
    }
    versions.canary.was_asked(10);
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_at_its_version() {
    let versions = versions(100);
    let mut cookie = None;
    while cookie.is_none() {
        let answer = versions.get("/").await;
        if answer.text() == "canary" {
            let field = answer.header("set-cookie").expect("a cookie");
            cookie = field.split(';').next().map(str::to_owned);
        }
    }
    let cookie = cookie.expect("a client of the new version");
    for _ in 0..10 {
        let answer = versions.get("/").header("cookie", &cookie).await;
        answer.is(200).body_is("canary").from_backend("canary");
    }
}

#[tokio::test(start_paused = true)]
async fn testers_choose() {
    let versions = versions(0);
    for version in ["canary", "stable"] {
        let answer = versions.get("/").header("x-version", version).await;
        answer.is(200).body_is(version).from_backend(version);
    }
    versions.get("/").await.from_backend("stable");
}
