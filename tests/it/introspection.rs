//! `Introspect` over sockets: an issuer that answers, is down, and says what it should not.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, StatusCode};
use prox::{
    Endpoint, Request, RequestExt, Secret,
    middleware::{ApiKeys, AuthenticateExt, IdentityHeaders, Introspect, Require},
};
use prox_tests::{
    certs::Folder,
    client::Speaks,
    events::Events,
    gateway::Served,
    log::Log,
    origin::{Accept, Origin, Reply},
};

use crate::cors::{SPEAKS, send};

const ADA: &str = r#"{"active":true,"sub":"ada","aud":"shop","scope":"orders stock"}"#;

pub(crate) fn secret() -> Secret {
    "s3cret".parse().expect("a secret")
}

async fn who(req: Request) -> String {
    let who = req.principal().expect("an authenticator is before it");
    let scopes: Vec<&str> = who.scopes().collect();
    format!("{} {} {}", who.scheme(), who.subject(), scopes.join(","))
}

/// What an issuer was asked: method and target.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// An issuer that knows some tokens.
pub(crate) async fn issuer() -> (Served, Asked) {
    let asked = Asked::default();
    let note = Arc::clone(&asked);
    let answer = move |req: Request| {
        let asked = Arc::clone(&note);
        async move {
            let line = format!("{} {}", req.method(), req.uri());
            asked.lock().expect("no panic").push(line);
            let (head, body) = req.into_parts();
            // shop:s3cret
            if head
                .headers
                .get("authorization")
                .is_none_or(|own| own != "Basic c2hvcDpzM2NyZXQ=")
            {
                return Err(StatusCode::UNAUTHORIZED);
            }
            let body = body
                .bytes(1024)
                .await
                .map_err(|_| StatusCode::BAD_REQUEST)?;
            Ok(match &*body {
                b"token=ada&token_type_hint=access_token" => ADA,
                b"token=bob&token_type_hint=access_token" => {
                    r#"{"active":true,"sub":"bob","aud":["shop"]}"#
                }
                b"token=stock&token_type_hint=access_token" => {
                    r#"{"active":true,"sub":"ada","aud":"stock"}"#
                }
                b"token=odd&token_type_hint=access_token" => "<html>",
                _ => r#"{"active":false}"#,
            })
        }
    };
    let gateway = Served::start(prox::gateway! { "/" => handler(answer) }).await;
    (gateway, asked)
}

/// Where it is asked.
pub(crate) fn endpoint(issuer: &Served) -> Endpoint {
    let url = format!("http://{}", issuer.address());
    url.parse().expect("an endpoint")
}

#[tokio::test]
async fn the_issuer_says_who_gets_in() {
    let ((issuer, asked), origin) = (issuer().await, Origin::start(Reply::ok("inside")).await);
    let (id, shop) = (endpoint(&issuer), origin.endpoint());
    let log = Log::new();
    let gateway = Served::start(prox::gateway! {
        with [log.layer()];
        require auth;
        backend id = id;
        backend shop = shop;
        let auth = Introspect::new(id).uri("/oauth2/introspect").client("shop", secret()).audience("shop");
        let stripped = auth.clone().strip();
        let by_query = auth.clone().query("token");
        "/" => handler(who) with [auth],
        "/orders" => shop with [auth, Require::scope("orders"), IdentityHeaders::new().subject("x-user")],
        "/stripped" => shop with [stripped],
        "/ws" => handler(who) with [by_query],
    })
    .await;
    let invalid = "Bearer error=\"invalid_token\"";
    let lacks = "Bearer error=\"insufficient_scope\", scope=\"orders\"";
    let mut lines = 0;
    for speaks in SPEAKS {
        for (token, status, challenge, failure) in [
            ("ada", 200, "", None),
            ("bob", 403, lacks, Some("forbidden")),
            ("stock", 401, invalid, Some("unauthenticated")),
            ("mallory", 401, invalid, Some("unauthenticated")),
            ("odd", 503, "", Some("auth_unavailable")),
        ] {
            let value = format!("Bearer {token}");
            let fields = [("authorization", &*value), ("x-user", "mallory")];
            let answer = send(speaks, &gateway, "GET", "/orders", &fields).await;
            assert_eq!(answer.status(), status, "{token}");
            let told = answer.headers().get("www-authenticate");
            let told = told.map_or("", |told| told.to_str().expect("a text"));
            assert_eq!(told, challenge, "{token}");
            assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
            lines += 1;
            let line = log.lines(lines).await.remove(lines - 1);
            assert_eq!(
                (line.status(), line.error_type()),
                (status, failure),
                "{token}"
            );
        }
        let seen = origin.last();
        assert_eq!(
            (seen.field("x-user"), seen.field("authorization")),
            (Some("ada"), Some("Bearer ada"))
        );
        let answer = send(
            speaks,
            &gateway,
            "GET",
            "/stripped",
            &[("authorization", "Bearer ada")],
        )
        .await;
        assert_eq!(
            (
                answer.status().as_u16(),
                origin.last().field("authorization")
            ),
            (200, None)
        );
        for (target, fields, status) in [
            ("/", &[][..], 401),
            ("/", &[("authorization", "Basic YTpi")], 401),
            (
                "/",
                &[
                    ("authorization", "Bearer ada"),
                    ("authorization", "Bearer ada"),
                ],
                400,
            ),
            (
                "/?access_token=ada",
                &[("authorization", "Bearer ada")],
                400,
            ),
            ("/ws?token=ada", &[], 200),
            ("/ws?token=ada&token=ada", &[], 400),
            ("/ws?token=ada", &[("authorization", "Bearer ada")], 400),
            ("/ws?token=ada&access_token=ada", &[], 400),
        ] {
            let answer = send(speaks, &gateway, "GET", target, fields).await;
            assert_eq!(answer.status(), status, "{target} {fields:?}");
        }
        lines = log.lines(lines + 9).await.len();
    }
    let asked = asked.lock().expect("no panic");
    assert!(
        asked.iter().all(|line| line == "POST /oauth2/introspect"),
        "{asked:?}"
    );
    // `auth` asks once for each token, but for the one whose answer is broken; its variants ask for themselves. On a busy machine
    // two tokens may be asked about again, after 10 s.
    assert!((8..=10).contains(&asked.len()), "{asked:#?}");
}

#[tokio::test]
async fn an_issuer_that_is_down_lets_nobody_in_and_is_told_once() {
    let events = Events::record();
    let json = [("content-type", "application/json")];
    let issuer = Origin::start(Reply::status(200, &json, ADA)).await;
    let id = issuer.endpoint();
    let auth = Introspect::new(id)
        .client("shop", secret())
        .audience("shop");
    let gateway = Served::start(prox::gateway! { "/" => handler(who) with [auth] }).await;
    let fields = [
        ("authorization", "Bearer ada"),
        ("content-type", "application/grpc"),
    ];
    issuer.accepts(Accept::Close);
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/", &fields[..1]).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    let answer = send(Speaks::Http2, &gateway, "POST", "/", &fields).await;
    assert_eq!(
        answer.headers()["grpc-status"],
        HeaderValue::from_static("14")
    );
    let down = "a service of authentication does not answer";
    let told = events
        .all()
        .into_iter()
        .filter(|told| told.message() == down);
    assert_eq!(told.count(), 1);
    issuer.accepts(Accept::Serve);
    for speaks in SPEAKS {
        assert_eq!(
            send(speaks, &gateway, "GET", "/", &fields[..1])
                .await
                .status(),
            200
        );
    }
    events.first("a service of authentication answers again");
}

#[tokio::test]
async fn keys_or_tokens_are_taken_side_by_side() {
    let (issuer, asked) = issuer().await;
    let id = endpoint(&issuer);
    let folder = Folder::new();
    // The digest of "key".
    let digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    let keys = folder.write("keys.txt", format!("acme sha256:{digest}\n"));
    let gateway = Served::start(prox::gateway! {
        require auth;
        let tokens = Introspect::new(id).client("shop", secret()).audience("shop");
        "/" => handler(who) with [ApiKeys::file(&keys).or(tokens)],
    })
    .await;
    for speaks in SPEAKS {
        for (field, status) in [
            (("x-api-key", "key"), 200),
            (("authorization", "Bearer ada"), 200),
            (("x-api-key", "wrong"), 401),
            (("authorization", "Bearer wrong"), 401),
        ] {
            let answer = send(speaks, &gateway, "GET", "/", &[field]).await;
            assert_eq!(answer.status(), status, "{field:?}");
            let challenges = answer.headers().get_all("www-authenticate").iter().count();
            assert_eq!(challenges, if status == 401 { 2 } else { 0 }, "{field:?}");
        }
    }
    // One question for each token.
    assert_eq!(asked.lock().expect("no panic").len(), 2);
}

#[test]
fn what_cannot_be_is_told_with_its_route() {
    let gateway = prox::gateway! {
        "/a" => respond(200, "a") with [Introspect::new("ftp://id.test").any_audience()],
        "/b" => respond(200, "b") with [Introspect::new("http://127.0.0.1:9").uri("introspect").audience("")],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(
        lines[0].starts_with("route `/a`: `Introspect::new`: "),
        "{error}"
    );
    assert!(
        lines[1].starts_with("route `/b`: `Introspect::uri`: \"introspect\" is not a path"),
        "{error}"
    );
    assert!(
        lines[2].starts_with("route `/b`: `Introspect::audience`: "),
        "{error}"
    );
}
