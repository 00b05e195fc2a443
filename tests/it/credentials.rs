//! Upstreams that want a token: where it comes from, which one goes where, and what becomes of a request without one.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http_body_util::Full;
use prox::{Credentials, Failure, Gateway, GoogleIdToken, Secret, Token};
use prox_tests::{
    client::{Speaks, body, get, head},
    events::Events,
    gateway::{Served, served},
    origin::{Origin, Reply, Seen},
    ports::{Refused, free_port},
    service::ServiceOrigin,
    wait::{Gate, eventually, within},
};
use tokio::{process::Command, task::JoinSet};
use tower::ServiceExt;

use crate::retries::InTurn;

const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=";
const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

/// The metadata server of Google Cloud, whose tokens differ.
async fn metadata() -> Origin {
    let count = AtomicUsize::new(0);
    Origin::with(move |seen| token(seen, count.fetch_add(1, SeqCst))).await
}

fn token(seen: &Seen, number: usize) -> Reply {
    if seen.field("metadata-flavor") != Some("Google") {
        return Reply::status(403, &[], "");
    }
    let audience = seen.target().strip_prefix(PATH).expect("the path");
    let audience = audience.strip_suffix("&format=full").expect("the format");
    let audience = audience.replace("%3A", ":").replace("%2F", "/");
    Reply::status(200, &[FLAVOR], signed(&audience, number))
}

fn signed(audience: &str, number: usize) -> String {
    let claims = format!(r#"{{"aud":"{audience}","sub":"{number}"}}"#);
    format!("e30.{}.c2VjcmV0", base64url(claims.as_bytes()))
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1))
        .collect();
    let letter = |six: &[u8]| {
        let value = (0..6).fold(0, |sum, at| sum << 1 | six.get(at).copied().unwrap_or(0));
        char::from(LETTERS[usize::from(value)])
    };
    bits.chunks(6).map(letter).collect()
}

fn google(metadata: &Origin) -> GoogleIdToken {
    prox::google_id_token().metadata_host(metadata.address().to_string())
}

/// Whether the token in this field is for this origin.
fn is_for(field: Option<&str>, origin: &Origin) -> bool {
    let claims = base64url(format!(r#"{{"aud":"{}","#, origin.url()).as_bytes());
    // The last letter depends on what is behind it.
    let start = format!("Bearer e30.{}", &claims[..claims.len() - 1]);
    field.is_some_and(|field| field.starts_with(&start))
}

async fn named(name: &'static str) -> Origin {
    Origin::start(Reply::ok(name)).await
}

#[tokio::test]
async fn a_request_has_the_token_of_its_endpoint_beside_what_the_client_sent() {
    let (metadata, users) = (metadata().await, named("users").await);
    let (url, credentials) = (users.endpoint(), google(&metadata));
    let (gateway, _) = served(prox::gateway! {
        backend users = cluster(rr, [url]).credentials(credentials);
        "/" => users,
    })
    .await;
    let forged = "X-Serverless-Authorization: Bearer forged\r\n";
    for (lines, has_own) in [
        (String::new(), false),
        (forged.repeat(2), false),
        ("Authorization: Bearer client\r\n".to_owned(), true),
        (format!("authorization: Bearer client\r\n{forged}"), true),
        (format!("Connection: authorization\r\n{forged}"), false),
        ("Authorization:\r\n".to_owned(), true),
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", &lines)).await;
        client.response("GET").await.expect(200);
        let seen = users.last();
        let (own, beside) = (
            seen.field("authorization"),
            seen.field("x-serverless-authorization"),
        );
        if has_own {
            assert!(is_for(beside, &users), "{lines:?}: {seen:?}");
            assert!(matches!(own, Some("Bearer client" | "")), "{lines:?}");
        } else {
            assert!(is_for(own, &users), "{lines:?}: {seen:?}");
            assert_eq!(beside, None, "{lines:?}");
        }
        assert!(!format!("{seen:?}").contains("forged"), "{seen:?}");
    }
    assert_eq!(metadata.count(), 1);
    let host = metadata.address().to_string();
    assert_eq!(metadata.last().field("host"), Some(&*host));
}

#[tokio::test]
async fn each_try_each_hedge_and_each_copy_has_the_token_of_its_own_endpoint() {
    let metadata = metadata().await;
    let busy = Origin::start(Reply::status(503, &[], "")).await;
    let silent = Origin::start(Reply::new().stall()).await;
    let (good, canary, bare) = (
        named("good").await,
        named("canary").await,
        named("bare").await,
    );
    let [first, slow, second, copied, plain] =
        [&busy, &silent, &good, &canary, &bare].map(Origin::endpoint);
    let again = second.clone();
    let (one, two, three) = (google(&metadata), google(&metadata), google(&metadata));
    let gateway = Served::start(prox::gateway! {
        backend canary = cluster(rr, [copied]).credentials(one);
        backend bare = cluster(rr, [plain]);
        backend retried = cluster(InTurn, [first, second]).credentials(two).retry(1);
        backend hedged = cluster(InTurn, [slow, again]).credentials(three).hedge(10ms);
        "/retried" => retried.mirror(canary, 1.0).mirror(bare, 1.0),
        "/hedged" => hedged,
    })
    .await;
    for (path, first) in [("/retried", &busy), ("/hedged", &silent)] {
        for client in [false, true] {
            let lines = if client {
                "Authorization: Bearer client\r\n"
            } else {
                ""
            };
            let mut sender = gateway.client().await;
            sender.send(head("GET", path, lines)).await;
            assert_eq!(sender.response("GET").await.expect(200).text(), "good");
            let field = if client {
                "x-serverless-authorization"
            } else {
                "authorization"
            };
            assert!(is_for(first.last().field(field), first), "{path}");
            assert!(is_for(good.last().field(field), &good), "{path}");
            let own = client.then_some("Bearer client");
            for origin in [first, &good] {
                let other = if client {
                    "authorization"
                } else {
                    "x-serverless-authorization"
                };
                assert_eq!(origin.last().field(other), own, "{path}");
            }
        }
    }
    canary.reached(2).await;
    bare.reached(2).await;
    assert!(canary.requests().iter().all(|seen| {
        is_for(seen.field("authorization"), &canary)
            || is_for(seen.field("x-serverless-authorization"), &canary)
    }));
    // What has no credentials gets those of the client alone.
    let seen = format!("{:?}", bare.requests());
    assert!(
        !seen.contains("e30.") && seen.contains("Bearer client"),
        "{seen}"
    );
}

/// Tells of no endpoint that it is down, so that the next request goes there too.
#[tokio::test]
async fn a_request_that_is_sent_again_on_another_connection_has_the_token_of_where_it_goes() {
    let (metadata, mut users) = (metadata().await, named("users").await);
    let (url, credentials) = (users.endpoint(), google(&metadata));
    let (gateway, cluster) = served(prox::gateway! {
        backend users = cluster(rr, [url]).credentials(credentials);
        "/" => users,
    })
    .await;
    for count in 1..=3 {
        gateway.get("/").await.expect(200);
        assert!(is_for(users.last().field("authorization"), &users));
        assert_eq!(users.last().field("x-serverless-authorization"), None);
        assert_eq!(users.count(), count);
        users.close_connections().await;
    }
    assert!(cluster.counters().resent <= 2);
}

#[tokio::test]
async fn a_trace_has_no_token() {
    let (metadata, users) = (metadata().await, named("users").await);
    let (url, credentials) = (users.endpoint(), google(&metadata));
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).credentials(credentials),
    })
    .await;
    let mut client = gateway.client().await;
    client.request("TRACE", "/").await;
    client.response("TRACE").await.expect(200);
    assert!(users.last().lacks("authorization"));
}

#[tokio::test]
async fn a_token_goes_over_http2_and_with_an_upgrade() {
    let metadata = metadata().await;
    let h2 = ServiceOrigin::start(Speaks::Http2, async |req: http::Request<_>| {
        let field = req.headers().get("authorization");
        let text = field.map_or("", |field| field.to_str().unwrap_or_default());
        Ok(http::Response::new(body(Full::from(text.to_owned()))))
    })
    .await;
    let users = named("users").await;
    let (a, b) = (h2.endpoint(), users.endpoint());
    let (one, two) = (google(&metadata), google(&metadata));
    let gateway = Served::start(prox::gateway! {
        "/h2" => cluster(rr, [a]).http2().credentials(one),
        "/h1" => cluster(rr, [b]).credentials(two),
    })
    .await;
    assert!(
        gateway
            .get("/h2")
            .await
            .expect(200)
            .text()
            .starts_with("Bearer e30.")
    );
    let mut client = gateway.client().await;
    let lines = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    client.send(head("GET", "/h1", lines)).await;
    client.response("GET").await.expect(200);
    assert!(is_for(users.last().field("authorization"), &users));
    assert_eq!(users.last().field("upgrade"), Some("websocket"));
}

#[tokio::test]
async fn checks_have_the_token_too() {
    let metadata = metadata().await;
    let users = Origin::with(|seen| {
        let is_known = seen.field("authorization").is_some();
        Reply::status(if is_known { 200 } else { 403 }, &[], "")
    })
    .await;
    let (url, credentials) = (users.endpoint(), google(&metadata));
    let (gateway, cluster) = served(prox::gateway! {
        backend users = cluster(rr, [url]).credentials(credentials).health(http("/healthz"));
        "/" => users,
    })
    .await;
    gateway.get("/").await.expect(200);
    eventually("the check", || {
        cluster.counters().healthy + cluster.counters().unhealthy > 0
            || users
                .requests()
                .iter()
                .any(|seen| seen.target() == "/healthz")
    })
    .await;
    let check = users
        .requests()
        .into_iter()
        .find(|seen| seen.target() == "/healthz");
    assert!(is_for(
        check.expect("a check").field("authorization"),
        &users
    ));
    assert_eq!(cluster.counters().unhealthy, 0);
}

/// The status, the failure, and how long a client should wait.
async fn failure(gateway: &Gateway) -> (u16, Option<Failure>, bool) {
    let request = http::Request::get("http://shop.test/").header("host", "shop.test");
    let request = request.body(prox::Body::empty()).expect("a request");
    let response = gateway.clone().oneshot(request).await.unwrap();
    (
        response.status().as_u16(),
        response.extensions().get::<Failure>().copied(),
        response.headers().contains_key("retry-after"),
    )
}

const NONE: (u16, Option<Failure>, bool) = (503, Some(Failure::NoCredentials), true);

fn before(users: &Origin, credentials: impl Credentials) -> Gateway {
    let url = users.endpoint();
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).credentials(credentials).connect_timeout(2s);
        "/" => users,
    };
    gateway.expect("the gateway can start")
}

#[tokio::test]
async fn a_metadata_server_that_fails_or_lies_is_a_failure_and_one_event() {
    let events = Events::record();
    let users = named("users").await;
    let good = signed(&users.url(), 7);
    let other = signed("https://other.test", 7);
    let huge = format!("{good}{}", "x".repeat(100_000));
    let location = ("Location", "http://127.0.0.1:1/");
    for (reply, reason) in [
        (Reply::status(404, &[FLAVOR], ""), "status 404"),
        (Reply::status(500, &[FLAVOR], "e30.secret"), "status 500"),
        (Reply::status(302, &[FLAVOR, location], ""), "status 302"),
        (Reply::ok(&good), "not of a metadata server"),
        (Reply::status(200, &[FLAVOR], &huge), "over 8192 bytes"),
        (Reply::status(200, &[FLAVOR], &other), "another audience"),
        (Reply::status(200, &[FLAVOR], "<html>"), "malformed"),
        (Reply::status(200, &[FLAVOR], ""), "malformed"),
        (
            Reply::status(200, &[FLAVOR], format!("{good}\u{e4}")),
            "malformed",
        ),
        (Reply::new().reset(), "the metadata server"),
        (
            Reply::new()
                .write(
                    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nMetadata-Flavor: Google\r\n\r\ne30.",
                )
                .close(),
            "breaks off",
        ),
        (
            Reply::new().write("SSH-2.0\r\n\r\n").close(),
            "the metadata server",
        ),
    ] {
        let metadata = Origin::start(reply).await;
        let gateway = before(&users, google(&metadata));
        let told = events.all().len();
        for _ in 0..5 {
            assert_eq!(failure(&gateway).await, NONE, "{reason}");
        }
        assert_eq!(metadata.count(), 1, "{reason}");
        let all = events.all().split_off(told);
        let warned: Vec<_> = all
            .iter()
            .filter(|told| told.level() == tracing::Level::WARN)
            .collect();
        assert_eq!(warned.len(), 1, "{all:#?}");
        assert_eq!(warned[0].message(), "credentials cannot be fetched");
        assert_eq!(warned[0].field("backend"), Some("users"));
        assert_eq!(warned[0].field("audience"), Some(&*users.url()));
        let said = warned[0].field("reason").expect("a reason");
        assert!(said.contains(reason), "{said}");
        let all = format!("{all:?}");
        assert!(!all.contains("e30."), "{all}");
    }
    // Nothing listens.
    let refused = Refused::new();
    let url = refused.endpoint().to_string();
    let away = prox::google_id_token().metadata_host(url.trim_start_matches("http://"));
    assert_eq!(failure(&before(&users, away)).await, NONE);
    assert_eq!(users.count(), 0);
}

#[tokio::test]
async fn it_is_told_that_tokens_come_again() {
    let events = Events::record();
    let (metadata, users) = (metadata().await, named("users").await);
    metadata.once([Reply::status(500, &[], "")]);
    let gateway = before(&users, google(&metadata));
    assert_eq!(failure(&gateway).await, NONE);
    within("the pause to end", async {
        while failure(&gateway).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(metadata.count(), 2);
    let again = events.first("credentials can be fetched again");
    assert_eq!(again.field("failures"), Some("1"));
    assert!(!format!("{:?}", events.all()).contains("e30."));
}

#[tokio::test]
async fn a_slow_metadata_server_is_asked_once_by_all() {
    let users = named("users").await;
    let gate = Gate::new();
    let reply = Reply::new()
        .wait(&gate)
        .head(200, &[FLAVOR], "connection: close")
        .write(signed(&users.url(), 1))
        .close();
    let metadata = Origin::start(reply).await;
    let gateway = before(&users, google(&metadata));
    let mut all = JoinSet::new();
    for _ in 0..50 {
        let gateway = gateway.clone();
        all.spawn(async move { failure(&gateway).await.0 });
    }
    metadata.reached(1).await;
    gate.open();
    let statuses = all.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(metadata.accepted(), 1);
}

#[tokio::test]
async fn a_request_waits_for_a_token_no_longer_than_it_may() {
    let (users, silent) = (
        named("users").await,
        Origin::start(Reply::new().stall()).await,
    );
    let (url, credentials) = (users.endpoint(), google(&silent));
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).credentials(credentials).connect_timeout(50ms);
        "/" => users,
    };
    assert_eq!(failure(&gateway.expect("it can start")).await, NONE);
    let (url, credentials) = (users.endpoint(), google(&silent));
    let gateway = prox::gateway! {
        backend users = cluster(rr, [url]).credentials(credentials);
        "/" => users.timeout(50ms),
    };
    let failed = failure(&gateway.expect("it can start")).await;
    assert_eq!((failed.0, failed.1), (504, Some(Failure::ResponseTimeout)));
    assert_eq!(users.count(), 0);
}

/// Counts, and is in no output.
#[derive(Clone, Debug, Default)]
struct Own(Arc<AtomicUsize>);

impl Credentials for Own {
    async fn token(&self, audience: &str) -> Result<Token, String> {
        let number = self.0.fetch_add(1, SeqCst);
        let Ok(secret) = format!("{audience}#{number}").parse::<Secret>();
        Ok(Token::new("Own", &secret)?.lasting(Duration::from_mins(1)))
    }
}

#[tokio::test]
async fn credentials_of_ones_own_replace_those_of_the_client() {
    let users = named("users").await;
    let (url, own) = (users.endpoint(), Own::default());
    let counted = own.clone();
    let gateway = Served::start(prox::gateway! {
        "/" => cluster(rr, [url]).credentials(own),
    })
    .await;
    for _ in 0..3 {
        let mut client = gateway.client().await;
        client
            .send(head("GET", "/", "Authorization: Bearer client\r\n"))
            .await;
        client.response("GET").await.expect(200);
        let wanted = format!("Own {}#0", users.url());
        assert_eq!(users.last().field("authorization"), Some(&*wanted));
    }
    assert_eq!(counted.0.load(SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_be_is_said_at_the_start() {
    let problem = |gateway: prox::Result<Gateway>| format!("{:?}", gateway.expect_err("a problem"));
    let own = Own::default();
    let error = problem(prox::gateway! {
        "/" => cluster(rr, ["http://users.test"]).credentials(own),
    });
    assert!(
        error.contains("http://users.test can be read on the way"),
        "{error}"
    );
    let wrong = prox::google_id_token().metadata_host("http://metadata");
    let error = problem(prox::gateway! {
        "/" => cluster(rr, ["https://users.test"]).credentials(wrong),
    });
    assert!(error.contains("expected a host such as"), "{error}");
}

#[tokio::test]
async fn the_metadata_server_is_that_of_the_environment() {
    let (metadata, users) = (metadata().await, named("users").await);
    let port = free_port();
    let _process = Command::new(env!("CARGO_BIN_EXE_run_probe"))
        .env_clear()
        .env("UPSTREAM", users.url())
        .env("GCE_METADATA_HOST", metadata.address().to_string())
        .env("CREDENTIALS", "google")
        .env("HOST", "127.0.0.1")
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the probe can be run");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the gateway to listen", || {
        std::net::TcpStream::connect(address).is_ok()
    })
    .await;
    get(address, "/").await.expect(200);
    assert!(is_for(users.last().field("authorization"), &users));
}
