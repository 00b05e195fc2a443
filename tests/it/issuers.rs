//! `Jwt` with the keys of an issuer over sockets: up, down, slow, lying, and with keys that change.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use prox::{
    IntoResponse, Pem, Request, RequestExt, Response, UpstreamTls,
    middleware::{Jwt, Require},
    testing::Issuer,
};
use prox_tests::{
    certs::Authority,
    client::Speaks,
    events::Events,
    gateway::Served,
    log::Log,
    secure::Front,
    wait::{eventually, within},
};

use crate::{
    auth_cases::{Case, forged},
    cors::{SPEAKS, send},
};

async fn who(req: Request) -> String {
    let who = req.principal().expect("an authenticator is before it");
    format!("{} of {}", who.subject(), who.issuer().unwrap_or_default())
}

async fn issuer() -> Issuer {
    Issuer::start().await.expect("a free port")
}

/// The answer to a token at `/`.
async fn ask(
    speaks: Speaks,
    gateway: &Served,
    token: &str,
) -> http::Response<hyper::body::Incoming> {
    let value = format!("Bearer {token}");
    send(speaks, gateway, "GET", "/", &[("authorization", &value)]).await
}

#[tokio::test]
async fn an_issuer_is_found_and_its_tokens_get_in() {
    let (issuer, stranger) = (issuer().await, issuer().await);
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let gateway = Served::start(prox::gateway! {
        require auth;
        "/" => handler(who) with [auth.clone()],
        "/orders" => handler(who) with [auth.clone(), Require::scope("orders")],
        "/keys" => handler(who) with [Jwt::jwks(format!("{}jwks.json", issuer.url())).issued_by(issuer.url()).audience("shop")],
    })
    .await;
    let good = issuer.token("ada").audience("shop").scope("orders").sign();
    for speaks in SPEAKS {
        for target in ["/", "/orders", "/keys"] {
            let value = format!("Bearer {good}");
            let answer = send(
                speaks,
                &gateway,
                "GET",
                target,
                &[("authorization", &value)],
            )
            .await;
            assert_eq!(answer.status(), 200, "{target}");
        }
        for (what, token) in [
            (
                "another audience",
                issuer.token("ada").audience("stock").sign(),
            ),
            (
                "out of date",
                issuer.token("ada").audience("shop").expires_in(-100).sign(),
            ),
            (
                "another issuer",
                stranger.token("ada").audience("shop").sign(),
            ),
            (
                "an issuer that pretends to be this one",
                stranger
                    .token("ada")
                    .audience("shop")
                    .claim("iss", issuer.url())
                    .sign(),
            ),
        ] {
            let answer = ask(speaks, &gateway, &token).await;
            assert_eq!(answer.status(), 401, "{what}");
            let told = &answer.headers()["www-authenticate"];
            assert_eq!(told, "Bearer error=\"invalid_token\"", "{what}");
        }
    }
    // One document and one set for `auth`, however many routes it stands around; one set for the other.
    assert_eq!((issuer.discoveries(), issuer.fetches()), (1, 2));
}

#[tokio::test]
async fn keys_change_and_one_fetch_serves_all_that_wait() {
    let issuer = issuer().await;
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let counts = auth.clone();
    let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
    let old = issuer.token("ada").audience("shop").sign();
    for speaks in SPEAKS {
        assert_eq!(ask(speaks, &gateway, &old).await.status(), 200);
    }
    issuer.rotate();
    issuer.slow(Duration::from_millis(300));
    let new = issuer.token("ada").audience("shop").sign();
    let all = (0..20).map(|number| ask(SPEAKS[number % 2], &gateway, &new));
    for answer in futures(all).await {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(issuer.fetches(), 2);
    for speaks in SPEAKS {
        assert_eq!(
            ask(speaks, &gateway, &old).await.status(),
            401,
            "its key is gone"
        );
    }
    let counts = counts.key_fetches();
    assert_eq!(
        (counts.fetched, counts.changed, counts.for_unknown_key),
        (2, 2, 1)
    );
}

/// Runs them side by side on this task.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut all {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if all.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn a_gateway_whose_issuer_is_down_is_not_ready_and_says_503_until_it_is_up() {
    let events = Events::record();
    let issuer = issuer().await;
    issuer.down();
    let log = Log::new();
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let gateway = prox::gateway! {
        with [log.layer()];
        "/readyz" => prox::readiness(),
        "/open" => respond(200, "open"),
        "/" => handler(who) with [auth],
    };
    let gateway = gateway.expect("it can start");
    let served = Served::start(gateway.clone()).await;
    let token = issuer.token("ada").audience("shop").sign();
    let mut lines = 0;
    for speaks in SPEAKS {
        let answer = ask(speaks, &served, &token).await;
        assert_eq!(answer.status(), 503);
        let after = answer.headers()["retry-after"].to_str().expect("a text");
        assert!(
            (1..=60).contains(&after.parse::<u32>().expect("seconds")),
            "{after}"
        );
        lines += 1;
        let line = log.lines(lines).await.remove(lines - 1);
        assert_eq!(
            (line.status(), line.error_type()),
            (503, Some("auth_unavailable"))
        );
        let answer = send(speaks, &served, "GET", "/readyz", &[]).await;
        assert_eq!(answer.status(), 503);
        let answer = send(speaks, &served, "GET", "/open", &[]).await;
        assert_eq!(answer.status(), 200, "the other routes do without it");
        // Without a token it is known what to answer.
        assert_eq!(send(speaks, &served, "GET", "/", &[]).await.status(), 401);
        lines = log.lines(lines + 3).await.len();
    }
    let unready: Vec<&str> = gateway.unready().collect();
    assert_eq!(unready, [format!("the keys of {}", issuer.url())]);
    let value = format!("Bearer {token}");
    let grpc = [
        ("authorization", &*value),
        ("content-type", "application/grpc"),
    ];
    let answer = send(Speaks::Http2, &served, "POST", "/", &grpc).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["grpc-status"]),
        (200, &HeaderValue::from_static("14"))
    );
    let told = events.first("keys cannot be fetched");
    assert_eq!(told.field("issuer"), Some(issuer.url()));
    issuer.up();
    eventually("the gateway to be ready", || gateway.is_ready()).await;
    for speaks in SPEAKS {
        assert_eq!(ask(speaks, &served, &token).await.status(), 200);
    }
    events.first("keys can be fetched again");
    // From now on it may be down.
    issuer.down();
    for speaks in SPEAKS {
        assert_eq!(ask(speaks, &served, &token).await.status(), 200);
        let other = issuer.token("bob").audience("shop").sign();
        assert_eq!(ask(speaks, &served, &other).await.status(), 200);
    }
    assert!(gateway.is_ready());
}

#[tokio::test]
async fn a_token_waits_two_seconds_at_most_for_an_issuer_that_hangs() {
    let issuer = issuer().await;
    issuer.slow(Duration::from_mins(10));
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
    let token = issuer.token("ada").audience("shop").sign();
    let all = SPEAKS.map(|speaks| ask(speaks, &gateway, &token));
    let answers = within("an answer without the issuer", futures(all.into_iter())).await;
    for answer in answers {
        assert_eq!(answer.status(), 503);
    }
}

/// What a lying issuer answers at this path.
fn at(
    path: &'static str,
    answer: impl Fn() -> Response + Send + Sync + 'static,
) -> impl Fn(&Request) -> Option<Response> + Send + Sync {
    move |req| (req.uri().path() == path).then(&answer)
}

#[tokio::test]
async fn what_a_lying_issuer_says_lets_nobody_in() {
    let stranger = issuer().await;
    let keys = stranger.key_set();
    let elsewhere = format!("{}jwks.json", stranger.url());
    for case in 0..5 {
        let issuer = issuer().await;
        let (own, keys, elsewhere) = (issuer.url().to_owned(), keys.clone(), elsewhere.clone());
        match case {
            0 => issuer.instead(at("/.well-known/openid-configuration", move || {
                format!(r#"{{"issuer":"https://id.test/","jwks_uri":"{elsewhere}"}}"#)
                    .into_response()
            })),
            1 => issuer.instead(at("/jwks.json", move || {
                let mut response = http::StatusCode::FOUND.into_response();
                let to = HeaderValue::try_from(&elsewhere).expect("a URL");
                response.headers_mut().insert("location", to);
                response
            })),
            2 => issuer.instead(at("/jwks.json", move || {
                format!("{}{}", keys, " ".repeat(300_000)).into_response()
            })),
            3 => issuer.instead(at("/.well-known/openid-configuration", move || {
                format!(r#"{{"issuer":"{own}","jwks_uri":"http://192.0.2.1/jwks.json"}}"#)
                    .into_response()
            })),
            _ => issuer.instead(at("/jwks.json", || r#"{"keys":[]}"#.into_response())),
        }
        let auth = Jwt::issuer(issuer.url()).audience("shop");
        let counts = auth.clone();
        let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
        let forged = stranger
            .token("ada")
            .audience("shop")
            .claim("iss", issuer.url())
            .sign();
        for speaks in SPEAKS {
            assert_eq!(ask(speaks, &gateway, &forged).await.status(), 503, "{case}");
        }
        assert!(
            counts.key_fetches().failed > 0 && counts.key_fetches().fetched == 0,
            "{case}"
        );
    }
}

#[tokio::test]
async fn an_issuer_behind_tls_is_asked_by_a_backend_of_ones_own() {
    let authority = Authority::new("authority");
    let inner = issuer().await;
    let address = inner
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let address = address.parse().expect("an address");
    let front = Front::start(address, &authority.issue(&["localhost"]), None).await;
    let url = format!("https://localhost:{}", front.address().port());
    let document = format!(r#"{{"issuer":"{url}","jwks_uri":"{url}/jwks.json"}}"#);
    inner.instead(at("/.well-known/openid-configuration", move || {
        document.clone().into_response()
    }));
    let trusted = UpstreamTls::new().roots(Pem::bytes(authority.pem()));
    let auth = Jwt::issuer(&*url).audience("shop");
    let gateway = Served::start(prox::gateway! {
        require auth;
        backend id = cluster(rr, [url.clone()]).tls(trusted);
        let trusting = auth.clone().fetch_by(id);
        "/" => handler(who) with [trusting],
        "/machine" => handler(who) with [auth.clone().fetch_by(url.as_str())],
        "/id" => id with [public],
    })
    .await;
    let good = inner
        .token("ada")
        .audience("shop")
        .claim("iss", &*url)
        .sign();
    let value = format!("Bearer {good}");
    for speaks in SPEAKS {
        assert_eq!(ask(speaks, &gateway, &good).await.status(), 200);
        // The roots of this machine do not know the authority.
        let answer = send(
            speaks,
            &gateway,
            "GET",
            "/machine",
            &[("authorization", &value)],
        )
        .await;
        assert_eq!(answer.status(), 503);
    }
    assert_eq!(
        front.handshakes().first().expect("one").sni.as_deref(),
        Some("localhost")
    );
}

#[tokio::test]
async fn keys_may_be_on_another_host_than_the_issuer() {
    let (issuer, keys) = (issuer().await, issuer().await);
    let document = format!(
        r#"{{"issuer":"{}","jwks_uri":"{}jwks.json"}}"#,
        issuer.url(),
        keys.url()
    );
    issuer.instead(at("/.well-known/openid-configuration", move || {
        document.clone().into_response()
    }));
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
    let good = keys
        .token("ada")
        .audience("shop")
        .claim("iss", issuer.url())
        .sign();
    for speaks in SPEAKS {
        assert_eq!(ask(speaks, &gateway, &good).await.status(), 200);
    }
    assert_eq!((issuer.fetches(), keys.fetches()), (0, 1));
}

#[test]
fn urls_that_keys_cannot_come_from_are_told_with_their_route() {
    let gateway = prox::gateway! {
        "/a" => respond(200, "a") with [Jwt::issuer("http://id.test/").audience("shop")],
        "/b" => respond(200, "b") with [Jwt::jwks("id.test/keys").audience("shop")],
        "/c" => respond(200, "c") with [Jwt::issuer("http://id.test/").allow_http().audience("shop")],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("route `/a`: `Jwt::issuer`: \"http://id.test/\" is not https://"),
        "{error}"
    );
    assert!(
        lines[1].starts_with("route `/b`: `Jwt::jwks`: \"id.test/keys\" is not a URL"),
        "{error}"
    );
}

#[tokio::test]
async fn a_gateway_that_has_ended_leaves_no_fetches_behind() {
    let issuer = issuer().await;
    issuer.down();
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
    eventually("the first fetch", || issuer.discoveries() > 0).await;
    gateway.stop().await;
    let before = issuer.discoveries();
    // The next try would come after a second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(issuer.discoveries(), before);
}

#[tokio::test]
async fn a_token_is_judged_as_the_table_says() {
    let (issuer, stranger) = (issuer().await, Issuer::new("http://stranger.test/"));
    let auth = Jwt::issuer(issuer.url()).audience("shop");
    let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
    let cases = Case::all(include_str!("../data/tokens.txt"));
    let began = tokio::time::Instant::now();
    assert!(cases.len() > 80);
    for speaks in SPEAKS {
        for case in cases.iter().filter(|case| case.get("clock").is_none()) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let now = i64::try_from(now.expect("after 1970").as_secs()).expect("a time");
            let token = forged::token(case, &issuer, &stranger, now);
            let answer = ask(speaks, &gateway, &token).await;
            assert_eq!(
                Some(answer.status().as_str()),
                case.get("status"),
                "{speaks:?}: {case:?}"
            );
            let told = answer.headers().get("www-authenticate");
            let told = told.map(|told| told.to_str().expect("a text"));
            let invalid = (answer.status() == 401).then_some("Bearer error=\"invalid_token\"");
            assert_eq!(told, invalid, "{case:?}");
        }
    }
    // However many names of keys were made up: the first fetch, and one in ten seconds.
    let most = 3 + began.elapsed().as_secs() / 10;
    assert!(issuer.fetches() <= most, "{}", issuer.fetches());
}
