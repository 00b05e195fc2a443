//! Hosts and shares that come from the environment.

use http_body_util::BodyExt as _;
use prox_tests::{client::text, gateway::Served};
use tower::ServiceExt as _;

prox::gateway! {
    struct Shop;

    env API_HOST: Host = "api.example.com";
    env WEB_HOST: Host;
    env CANARY: u32 = 1;

    host API_HOST | "api.internal" { "/" => respond(200, "api") }
    host WEB_HOST { "/v1" => respond(200, "web") }
    host "*.example.com" { "/" => respond(200, "literal") }
    "/" => respond(200, "any"),
    "/split" => split { CANARY => respond(201, ""), 1 => respond(202, "") },

    expect GET "https://{API_HOST}/x" => 200;
    expect GET "https://{WEB_HOST}/x" => 404;
    expect GET "https://api.example.com/x" => 200;
}

async fn answer(served: &Served, host: &str, target: &str) -> (u16, String) {
    let mut client = served.client().await;
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        .await;
    let answer = client.response("GET").await;
    (answer.status, answer.text())
}

async fn table(env: &[(&str, &str)], cases: &[(&str, &str)]) {
    let shop = Shop::with_env(env.to_vec()).expect("the gateway can start");
    let gateway = prox::Gateway::clone(&shop);
    let served = Served::start(shop).await;
    for (host, text) in cases {
        let found = answer(&served, host, "/v1").await;
        assert_eq!(found, (200, (*text).to_owned()), "{host} {env:?}");
        let explained = gateway.explain("GET", &format!("https://{host}/v1"));
        let target = format!("respond(200, \"{text}\")");
        assert_eq!(
            explained.route().map(|row| row.target),
            Some(&*target),
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_host_is_the_value_of_its_variable() {
    table(
        &[("WEB_HOST", "www.example.com")],
        &[
            ("api.example.com", "api"),
            ("API.example.com:80", "api"),
            ("api.internal", "api"),
            ("www.example.com", "web"),
            ("x.example.com", "literal"),
            ("example.com", "any"),
        ],
    )
    .await;
    table(
        &[("WEB_HOST", "*.web.test"), ("API_HOST", "*.x.example.com")],
        &[
            ("api.example.com", "literal"),
            ("a.x.example.com", "api"),
            ("x.example.com", "literal"),
            ("a.b.web.test", "web"),
            ("web.test", "any"),
        ],
    )
    .await;
    table(
        &[("WEB_HOST", "api.example.com"), ("API_HOST", "www.test")],
        &[("api.example.com", "web"), ("www.test", "api")],
    )
    .await;
}

#[test]
fn what_is_wrong_with_hosts_of_the_environment_is_said_at_once() {
    let error = |env: &[(&str, &str)]| Shop::with_env(env.to_vec()).unwrap_err().to_string();
    assert_eq!(
        error(&[("WEB_HOST", "api.internal"), ("API_HOST", "*.example.com")]),
        "API_HOST is \"*.example.com\": duplicate host `*.example.com`; the first is `host \"*.example.com\"`\n\
         WEB_HOST is \"api.internal\": duplicate host `api.internal`; the first is `host \"api.internal\"`"
    );
    assert_eq!(
        error(&[("WEB_HOST", "api.example.com")]),
        "WEB_HOST is \"api.example.com\": duplicate host `api.example.com`; the first is API_HOST"
    );
    let text = error(&[
        ("WEB_HOST", "https://a.b"),
        ("API_HOST", "*.example.com"),
        ("CANARY", "-1"),
    ]);
    for line in [
        "2 environment variables missing or malformed",
        "WEB_HOST is \"https://a.b\", which is not a Host: unexpected scheme in a host; write \"a.b\"; needed by host WEB_HOST",
        "CANARY is \"-1\", which is not a u32",
        "API_HOST is \"*.example.com\": duplicate host `*.example.com`; the first is `host \"*.example.com\"`",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn a_share_is_the_value_of_its_variable() {
    for (share, wanted) in [("3", 30), ("1", 20), ("0", 0)] {
        let shop = Shop::with_env([("WEB_HOST", "a.b"), ("CANARY", share)]);
        let served = Served::start(shop).await;
        let mut client = served.client().await;
        let mut canary = 0;
        for _ in 0..40 {
            canary += usize::from(client.get("/split").await.status == 201);
        }
        assert_eq!(canary, wanted, "{share}");
    }
    let error = prox::gateway! {
        let share = 0;
        "/" => split { share => respond(200, "") },
    };
    let error = error.expect_err("it cannot start").to_string();
    assert!(
        error.ends_with("no target of the split has a share above 0"),
        "{error}"
    );
}

#[test]
fn the_tables_name_the_variable() {
    let hosts: Vec<&str> = Shop::ROUTES.iter().map(|row| row.host).collect();
    assert_eq!(
        hosts,
        [
            "_",
            "_",
            "api.internal|{API_HOST}",
            "{WEB_HOST}",
            "*.example.com"
        ]
    );
    assert_eq!(Shop::ENV[1].needed_by, "host WEB_HOST");
    // Before the gateway is made the defaults hold.
    let explained = Shop::explain("GET", "https://api.example.com/x");
    assert_eq!(
        explained.route().map(|row| row.target),
        Some("respond(200, \"api\")")
    );
}

mod inner {
    prox::gateway! {
        pub struct Inner;

        env INNER_HOST: Host = "inner.test";

        host INNER_HOST { "/" => respond(200, "inner") }
        "/" => respond(200, "other"),
    }
}

prox::gateway! {
    struct Outer;

    env OUTER_HOST: Host = "outer.test";

    "/in" => gateway(inner::Inner),
    host OUTER_HOST { "/" => gateway(inner::Inner) }
}

#[tokio::test]
async fn mounted_gateways_have_hosts_of_their_own() {
    let served = Served::start(Outer::with_env([
        ("INNER_HOST", "a.test"),
        ("OUTER_HOST", "*.test"),
    ]))
    .await;
    for (host, target, wanted) in [
        ("a.test", "/x", "inner"),
        ("b.test", "/x", "other"),
        ("inner.test", "/x", "other"),
        ("a.other", "/in", "other"),
        ("outer", "/in/x", "other"),
    ] {
        let found = answer(&served, host, target).await;
        assert_eq!(found, (200, wanted.to_owned()), "{host} {target}");
    }
}

prox::gateway! {
    struct Listened;

    env HOST_A: Host = "a.test";
    env HOST_B: Host = "b.test";

    host HOST_A { "/" => respond(200, "everywhere") }
    on "internal" {
        host HOST_A { "/x" => respond(200, "internal a") }
        host HOST_B { "/" => respond(200, "internal b") }
    }

    expect on "internal" GET "https://{HOST_A}/x" => 200;
    expect on "internal" GET "https://{HOST_A}/y" => 200;
    expect GET "https://{HOST_B}/y" => 404;
}

#[test]
fn a_listener_has_the_hosts_of_variables() {
    let made = Listened::with_env([("HOST_A", "c.test")]).expect("the gateway can start");
    let internal = made.description().on("internal").expect("it has routes");
    // The description has the defaults.
    assert!(internal.explain("GET", "http://a.test/x").route().is_some());
    let error = Listened::with_env([("HOST_A", "b.test")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "HOST_B is \"b.test\": duplicate host `b.test`; the first is HOST_A"
    );
}

#[tokio::test]
async fn requests_at_a_listener_are_matched_by_the_values() {
    for (listener, host, target, wanted) in [
        ("internal", "c.test", "/x", "internal a"),
        ("internal", "c.test", "/y", "everywhere"),
        ("internal", "b.test", "/y", "internal b"),
        ("internal", "a.test", "/x", ""),
        ("other", "c.test", "/x", "everywhere"),
        ("other", "b.test", "/x", ""),
    ] {
        let made = Listened::with_env([("HOST_A", "c.test")]);
        let service = prox::Embed::new(made).on(listener).service();
        let request = http::Request::get(target).header("host", host);
        let request = request.body(text("")).expect("a request");
        let answer = service.expect("it can be embedded").oneshot(request).await;
        let answer = answer.expect("an answer");
        let status = if wanted.is_empty() { 404 } else { 200 };
        assert_eq!(answer.status(), status, "{listener} {host} {target}");
        let body = answer.into_body().collect().await.expect("a body");
        if status == 200 {
            assert_eq!(body.to_bytes(), wanted, "{listener} {host} {target}");
        }
    }
}
