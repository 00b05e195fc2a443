//! `Basic`, `ApiKeys` and `ClientCerts`, by a table and with files of Apache's `htpasswd`.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use prox::{
    BoxError, ClientAuth, Pem, Request, RequestExt,
    middleware::{ApiKeys, AuthenticateExt, Basic, ClientCerts, Key, KeyDigest, KeyStore},
};
use prox_tests::{
    certs::{Authority, Names},
    client::{Speaks, read},
    gateway::Served,
    origin::{Origin, Reply},
    secure::Dial,
    table,
};
use serde::Deserialize;

use crate::{
    cors::{SPEAKS, send},
    tls::tls,
};

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    about: String,
    target: String,
    fields: Vec<[String; 2]>,
    status: u16,
    #[serde(default)]
    left: String,
    #[serde(default)]
    seen: String,
    challenge: Option<String>,
}

#[tokio::test]
async fn credentials_are_judged_as_the_table_says() {
    let origin = Origin::start(Reply::ok("inside")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        require auth;
        backend users = url;
        let keys = ApiKeys::file(file("keys.txt"));
        "/basic" => users with [Basic::htpasswd(file("htpasswd/bcrypt.txt")).realm("shop")],
        "/keys" => users with [keys.clone()],
        "/query" => users with [keys.clone().query("key")],
        "/cookie" => users with [keys.clone().cookie("key")],
        "/bearer" => users with [keys.clone().bearer()],
        "/either" => users with [keys.or(Basic::htpasswd(file("htpasswd/bcrypt.txt")))],
    })
    .await;
    let Cases { case: cases } = table::load("credentials.toml");
    assert!(cases.len() > 40);
    for speaks in SPEAKS {
        for case in &cases {
            let about = format!("{speaks:?}: {}", case.about);
            let fields = case.fields.iter();
            let mut fields: Vec<(&str, &str)> =
                fields.map(|[name, value]| (&**name, &**value)).collect();
            if speaks == Speaks::Http2 {
                fields.retain(|(name, _)| *name != "connection");
            }
            let before = origin.count();
            let answer = send(speaks, &gateway, "GET", &case.target, &fields).await;
            // A network that is wrong too often is slowed down, so the wrong ones are not all of one.
            assert_eq!(answer.status(), case.status, "{about}");
            let told = answer.headers().get_all("www-authenticate").iter();
            let told: Vec<&str> = told.map(|value| value.to_str().expect("a text")).collect();
            if let Some(challenge) = &case.challenge {
                assert_eq!(told.join(" | "), *challenge, "{about}");
            }
            assert_eq!(told.is_empty(), case.status != 401, "{about}");
            assert_eq!(
                origin.count() - before,
                usize::from(case.status == 200),
                "{about}"
            );
            if case.status != 200 {
                continue;
            }
            let seen = origin.last();
            let wanted = if case.seen.is_empty() {
                &case.target
            } else {
                &case.seen
            };
            assert_eq!(seen.target(), wanted, "{about}");
            for name in ["authorization", "x-api-key", "cookie"] {
                let left = case
                    .left
                    .strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix(": "));
                assert_eq!(seen.field(name), left, "{about}");
            }
        }
    }
}

#[test]
fn other_files_of_htpasswd_are_refused_with_their_lines() {
    for name in ["md5", "sha", "crypt", "plain", "sha256", "sha512"] {
        let gateway = prox::gateway! {
            "/" => respond(200, "inside") with [Basic::htpasswd(file(&format!("htpasswd/{name}.txt")))],
        };
        let error = gateway.expect_err("it cannot start").to_string();
        let told = error.contains("route `/`: `Basic::htpasswd`: ")
            && error.contains(&format!("{name}.txt: line 1: "))
            && error.contains("htpasswd -B");
        assert!(told, "{error}");
    }
    let gateway = prox::gateway! {
        "/a" => respond(200, "inside") with [Basic::htpasswd("/nowhere/users")],
        "/b" => respond(200, "inside") with [ApiKeys::file("/nowhere/keys").header("x api key")],
        "/c" => respond(200, "inside") with [ApiKeys::file(file("htpasswd/plain.txt"))],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    assert_eq!(error.lines().count(), 4, "{error}");
}

/// Says who the caller is.
async fn who(req: Request) -> String {
    let Some(who) = req.principal() else {
        return "nobody".into();
    };
    let scopes: Vec<&str> = who.scopes().collect();
    let plan = who.claim("plan").and_then(|plan| plan.as_text());
    format!("{} {} {scopes:?} {plan:?}", who.scheme(), who.subject())
}

/// Knows one key, and fails for another.
#[derive(Clone, Default)]
struct Store(Arc<AtomicUsize>);

impl KeyStore for Store {
    async fn find(&self, digest: &KeyDigest) -> Result<Option<Key>, BoxError> {
        self.0.fetch_add(1, SeqCst);
        if *digest == KeyDigest::of("down") {
            return Err("the database is down".into());
        }
        let known = *digest == KeyDigest::of("known");
        Ok(known.then(|| Key::new("globex").scopes(["stock"])))
    }
}

#[tokio::test]
async fn a_caller_with_a_key_is_known_and_a_store_that_is_down_is_not_its_fault() {
    let store = Store::default();
    let calls = Arc::clone(&store.0);
    let gateway = Served::start(prox::gateway! {
        "/file" => handler(who) with [ApiKeys::file(file("keys.txt"))],
        "/store" => handler(who) with [ApiKeys::store(store).bearer()],
    })
    .await;
    let answer = send(
        Speaks::Http1,
        &gateway,
        "GET",
        "/file",
        &[("x-api-key", "test-key-of-acme")],
    )
    .await;
    assert_eq!(
        read(answer).await,
        "api-key acme [\"orders\"] Some(\"gold\")"
    );
    for _ in 0..3 {
        let answer = send(
            Speaks::Http1,
            &gateway,
            "GET",
            "/store",
            &[("authorization", "Bearer known")],
        )
        .await;
        assert_eq!(read(answer).await, "api-key globex [\"stock\"] None");
        let answer = send(
            Speaks::Http2,
            &gateway,
            "GET",
            "/store",
            &[("authorization", "Bearer unknown")],
        )
        .await;
        assert_eq!(answer.status(), 401);
    }
    assert_eq!(calls.load(SeqCst), 2, "both answers are kept");
    let down = [
        ("authorization", "Bearer down"),
        ("content-type", "text/plain"),
    ];
    let answer = send(Speaks::Http1, &gateway, "GET", "/store", &down).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"1".parse().expect("a value"))
    );
    let down = [
        ("authorization", "Bearer down"),
        ("content-type", "application/grpc"),
    ];
    let answer = send(Speaks::Http2, &gateway, "POST", "/store", &down).await;
    assert_eq!(
        (
            &answer.headers()["grpc-status"],
            &answer.headers()["grpc-message"]
        ),
        (
            &"14".parse().expect("a value"),
            &"auth_unavailable".parse().expect("a value")
        )
    );
}

#[tokio::test]
async fn only_some_certificates_get_in_and_upstreams_are_told_which() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let origin = Origin::start(Reply::ok("inside")).await;
    let (url, same) = (origin.endpoint(), origin.endpoint());
    let gateway = prox::gateway! {
        require auth;
        "/" => handler(who) with [ClientCerts::any()],
        "/billing" => url with [ClientCerts::uri("spiffe://shop/billing").or_dns("BILLING.internal").forward()],
        "/stock" => respond(200, "inside") with [ClientCerts::dns("stock.internal")],
        "/open" => same with [public],
    };
    let auth = ClientAuth::optional(Pem::bytes(clients.pem()));
    let served = Served::with(gateway, |server| {
        server.tls(tls(&authority.issue(&["shop.test"])).client_auth(auth))
    })
    .await;
    let dial = Dial::new(&authority, "shop.test");
    let mut nobody = dial.connect(served.address()).await.expect("a connection");
    for path in ["/", "/billing", "/stock"] {
        let answer = nobody.get("shop.test", path).await.expect(403);
        assert_eq!(answer.field("www-authenticate"), None);
    }
    let issued = clients.issue_with(Names {
        common_name: Some("billing"),
        alternatives: vec!["billing.internal", "spiffe://shop/billing"],
        expired: false,
    });
    let mut billing = dial
        .identity(&issued)
        .connect(served.address())
        .await
        .expect("a connection");
    let answer = billing.get("shop.test", "/").await.expect(200);
    assert_eq!(answer.text(), "client-cert spiffe://shop/billing [] None");
    billing.get("shop.test", "/billing").await.expect(200);
    let seen = origin.last();
    let field = seen.field("client-cert").expect("the certificate");
    assert!(field.starts_with(":MII") && field.ends_with(':'), "{field}");
    let base64: String = issued
        .certificate
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    assert_eq!(field.trim_matches(':'), base64);
    billing.get("shop.test", "/stock").await.expect(403);
    billing.get("shop.test", "/open").await.expect(200);
    assert!(origin.last().lacks("client-cert"));
}
