//! `Cache`: the tables of what is stored and of poisoning, over sockets and by clients of both protocols.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use http::HeaderValue;
use http_body_util::BodyExt;
use prox::{
    Principal, Request, Response,
    middleware::{Authenticate, Cache, Headers, IdentityHeaders, IntoLayer, Verdict},
};
use prox_tests::{
    client::{self, HyperClient, Speaks, body},
    gateway::Served,
    origin::{Origin, Reply, Seen},
    wait::{Gate, eventually, within},
};

#[path = "../../prox-runtime/src/middleware/cache/cases.rs"]
mod cases;

use self::cases::{fields, lines};
use crate::cors::{SPEAKS, send};

const MIB: usize = 1024 * 1024;

fn cache() -> Cache {
    Cache::new(64 * MIB)
}

/// The status, what the cache says, and the body.
async fn read(answer: http::Response<hyper::body::Incoming>) -> (u16, String, String) {
    let status = answer.status().as_u16();
    let said = answer
        .headers()
        .get("cache-status")
        .expect("the cache says what it did");
    let said = said.to_str().expect("a text");
    let said = said.strip_prefix("prox; ").expect("its name").to_owned();
    (status, said, client::read(answer).await)
}

async fn get(speaks: Speaks, gateway: &Served, target: &str) -> (u16, String, String) {
    read(send(speaks, gateway, "GET", target, &[]).await).await
}

#[tokio::test]
async fn responses_are_stored_as_the_table_says() {
    const TABLE: &str = include_str!("../data/cache_storing.txt");
    // The number of the line is in the path.
    let origin = Origin::with(|seen| {
        let place: usize = seen
            .target()
            .trim_start_matches('/')
            .parse()
            .expect("a number");
        let line = lines(TABLE).nth(place).expect("a line");
        let mut parts = line.split('|').skip(1).map(str::trim);
        let status = parts.next().and_then(|status| status.parse().ok());
        let fields = fields(parts.next().unwrap_or_default());
        Reply::status(status.expect("a status"), &fields, "body")
    })
    .await;
    let url = origin.endpoint();
    for speaks in SPEAKS {
        let url = url.clone();
        let gateway = Served::start(prox::gateway! { "/" => url with [cache()] }).await;
        for (place, line) in lines(TABLE).enumerate() {
            let mut parts = line.split('|').map(str::trim);
            let (wanted, status) = (parts.next(), parts.next());
            let asked = fields(parts.nth(1).unwrap_or_default());
            let target = format!("/{place}");
            let first = read(send(speaks, &gateway, "GET", &target, &asked).await).await;
            if matches!(wanted, Some("hit" | "304")) {
                assert!(cache_has(&first), "{speaks:?} {line}\n{first:?}");
            }
            let mut second = read(send(speaks, &gateway, "GET", &target, &asked).await).await;
            // The response is stored by a task beside that of the client.
            while wanted != Some("passes") && second.1.contains("collapsed") {
                second = read(send(speaks, &gateway, "GET", &target, &asked).await).await;
            }
            let found = match (second.1.starts_with("hit"), second.0) {
                (true, 304) => "304",
                (true, _) => "hit",
                (false, _) => "passes",
            };
            assert_eq!(
                Some(found),
                wanted,
                "{speaks:?} {line}\n{first:?} {second:?}"
            );
            assert_eq!((first.0, &first.2), (second.0, &second.2), "{line}");
            if found != "304" {
                let status = status.and_then(|status| status.parse().ok());
                assert_eq!((Some(second.0), &*second.2), (status, "body"), "{line}");
            }
        }
    }
}

/// Whether the first response was one that is stored.
fn cache_has(first: &(u16, String, String)) -> bool {
    first.1.contains("stored") || first.1.contains("stale")
}

/// An upstream that answers with all that it is told, but for the fields that a gateway writes.
fn mirror(seen: &Seen) -> Reply {
    let mut text = format!("{} {}\n", seen.method(), seen.target());
    for (name, value) in &seen.head.fields.0 {
        text.extend([name.as_str(), ": ", value, "\n"]);
    }
    Reply::status(200, &[("cache-control", "public, max-age=60")], text)
}

#[tokio::test]
async fn no_request_changes_what_somebody_else_gets() {
    const TABLE: &str = include_str!("../data/cache_poisoning.txt");
    let origin = Origin::with(mirror).await;
    for speaks in SPEAKS {
        let accept = [("accept", "text/html")];
        let start = async || {
            let url = origin.endpoint();
            Served::start(prox::gateway! { "/" => url with [cache()] }).await
        };
        let gateway = start().await;
        let clean = read(send(speaks, &gateway, "GET", "/page?a=1", &accept).await).await;
        for line in lines(TABLE) {
            let same = line.strip_prefix("same | ");
            let mut parts = same.unwrap_or(line).splitn(3, '|').map(str::trim);
            let mut part = || parts.next().unwrap_or_default();
            let (method, target, asked) = (part(), part(), fields(part()));
            let gateway = start().await;
            let attack = send(speaks, &gateway, method, target, &asked).await;
            let _ = attack.into_body().collect().await;
            let mut victim = read(send(speaks, &gateway, "GET", "/page?a=1", &accept).await).await;
            while same.is_some() && victim.1.contains("collapsed") {
                victim = read(send(speaks, &gateway, "GET", "/page?a=1", &accept).await).await;
            }
            assert_eq!(
                (victim.0, &victim.2),
                (clean.0, &clean.2),
                "{speaks:?} {line}"
            );
            assert!(!victim.2.contains("evil"), "{line}");
            if same.is_some() {
                assert!(victim.1.starts_with("hit"), "{line}: {victim:?}");
            }
        }
    }
}

#[tokio::test]
async fn hosts_and_routes_do_not_share_responses() {
    let fresh = [("cache-control", "max-age=60")];
    let one = Origin::start(Reply::status(200, &fresh, "one")).await;
    let other = Origin::start(Reply::status(200, &fresh, "other")).await;
    let (one, other) = (one.endpoint(), other.endpoint());
    let gateway = Served::start(prox::gateway! {
        with [cache()];
        "/" if header("x-beta").is("1") => other,
        "/" => one,
    })
    .await;
    for _ in 0..2 {
        let beta = [("x-beta", "1")];
        for (fields, text) in [(&[][..], "one"), (&beta[..], "other")] {
            let answer = read(send(Speaks::Http1, &gateway, "GET", "/", fields).await).await;
            assert_eq!(answer.2, text, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn many_clients_wait_for_one_fetch_and_get_the_same() {
    for speaks in SPEAKS {
        let gate = Gate::new();
        let reply = Reply::new()
            .wait(&gate)
            .head(200, &[("cache-control", "max-age=60")], "Content-Length: 4")
            .write("body");
        let origin = Origin::start(reply).await;
        let url = origin.endpoint();
        let gateway = Arc::new(Served::start(prox::gateway! { "/" => url with [cache()] }).await);
        let all: Vec<_> = (0..8)
            .map(|_| {
                let gateway = Arc::clone(&gateway);
                tokio::spawn(async move { get(speaks, &gateway, "/a").await })
            })
            .collect();
        eventually("the upstream is asked", || origin.accepted() > 0).await;
        gate.open();
        for one in all {
            let (status, said, text) = within("an answer", one).await.expect("no panic");
            assert_eq!((status, &*text), (200, "body"), "{said}");
        }
        // A client that was slower than five seconds to be heard would ask for itself; none is.
        assert_eq!(origin.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_head_is_answered_from_what_a_get_stored() {
    let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let origin = Origin::start(Reply::status(200, &fields, "body")).await;
    let url = origin.endpoint();
    for speaks in SPEAKS {
        let url = url.clone();
        let gateway = Served::start(prox::gateway! { "/" => url with [cache()] }).await;
        get(speaks, &gateway, "/").await;
        eventually_hit(speaks, &gateway, "/").await;
        let before = origin.requests().len();
        let answer = send(speaks, &gateway, "HEAD", "/", &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-length"], "4");
        let (_, said, text) = read(answer).await;
        assert!(said.starts_with("hit") && text.is_empty(), "{said} {text}");
        let has = [("if-none-match", "\"a\"")];
        for method in ["GET", "HEAD"] {
            let answer = send(speaks, &gateway, method, "/", &has).await;
            assert_eq!(answer.status(), 304);
            assert_eq!(answer.headers()["etag"], "\"a\"");
            assert!(answer.headers().contains_key("age"));
            assert!(!answer.headers().contains_key("content-length"));
        }
        assert_eq!(origin.requests().len(), before);
    }
}

/// Asks until the answer comes from the store.
async fn eventually_hit(speaks: Speaks, gateway: &Served, target: &str) {
    within("a hit", async {
        while !get(speaks, gateway, target).await.1.starts_with("hit") {}
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_is_killed_is_replaced_by_what_is_stored() {
    for speaks in SPEAKS {
        let fields = [(
            "cache-control",
            "max-age=0, stale-while-revalidate=1, stale-if-error=600",
        )];
        let mut origin = Origin::start(Reply::status(200, &fields, "body")).await;
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url with [cache()] }).await;
        get(speaks, &gateway, "/").await;
        eventually_hit(speaks, &gateway, "/").await;
        origin.stop().await;
        for _ in 0..5 {
            let (status, said, text) = get(speaks, &gateway, "/").await;
            assert_eq!((status, &*text), (200, "body"), "{said}");
        }
        let (status, ..) = get(speaks, &gateway, "/other").await;
        assert_eq!(status, 502);
    }
}

#[tokio::test]
async fn a_broken_body_breaks_for_its_client_and_is_not_stored() {
    let fields = [("cache-control", "max-age=60")];
    let broken = Reply::new()
        .head(200, &fields, "Content-Length: 9")
        .write("body")
        .close();
    for speaks in SPEAKS {
        let origin = Origin::start(Reply::status(200, &fields, "whole")).await;
        origin.once([broken.clone()]);
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url with [cache()] }).await;
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert!(answer.into_body().collect().await.is_err());
        assert_eq!(get(speaks, &gateway, "/").await.2, "whole");
        eventually_hit(speaks, &gateway, "/").await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_stored_arrives_whole() {
    let fields = [("cache-control", "max-age=60")];
    for (length, framing) in [(3 * MIB, true), (3 * MIB, false)] {
        let text = "x".repeat(length);
        let reply = if framing {
            Reply::status(200, &fields, &text)
        } else {
            Reply::chunks(&fields, &[&text[..MIB / 2]; 6], &[("x-end", "1")])
        };
        let origin = Origin::start(reply).await;
        for speaks in SPEAKS {
            let url = origin.endpoint();
            let gateway = Served::start(prox::gateway! { "/" => url with [cache()] }).await;
            for _ in 0..2 {
                let (_, said, body) = get(speaks, &gateway, "/").await;
                assert_eq!(body.len(), length, "{said}");
                assert!(!said.starts_with("hit"));
            }
        }
    }
}

/// Lets callers in who say who they are.
struct ByName;

impl Authenticate for ByName {
    async fn authenticate(&self, parts: &mut prox::Parts) -> Verdict {
        match parts.headers.remove("x-name") {
            Some(name) => Verdict::Admitted(Principal::new("name", name.to_str().unwrap_or(""))),
            None => Verdict::Absent,
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static("Name"))
    }
}

#[tokio::test]
async fn callers_get_their_own_responses_and_upstreams_get_what_layers_write() {
    let origin = Origin::with(mirror).await;
    for speaks in SPEAKS {
        let (url, same) = (origin.endpoint(), origin.endpoint());
        let gateway = Served::start(prox::gateway! {
            let who = IdentityHeaders::new().subject("x-user");
            let fixed = Headers::request().set("x-gateway", "edge");
            "/own" => url with [ByName, who.clone(), fixed.clone(), cache()],
            "/all" => same with [ByName, who, fixed, cache().shared_by_all()],
        })
        .await;
        let ask = async |target: &str, name: &str| {
            let fields = [("x-name", name), ("x-user", "mallory"), ("cookie", "a=b")];
            read(send(speaks, &gateway, "GET", target, &fields).await).await
        };
        for _ in 0..2 {
            for name in ["ann", "bob"] {
                let (_, said, text) = ask("/own", name).await;
                assert!(text.contains(&format!("x-user: {name}\n")), "{said} {text}");
                assert!(text.contains("x-gateway: edge\n"), "{text}");
                assert!(
                    !text.contains("mallory") && !text.contains("cookie"),
                    "{text}"
                );
                let (_, _, text) = ask("/all", name).await;
                assert!(text.contains("x-gateway: edge\n"), "{text}");
                assert!(!text.contains("x-user"), "{text}");
            }
        }
        let answer = send(speaks, &gateway, "GET", "/own", &[]).await;
        assert_eq!(answer.status(), 401);
    }
}

#[tokio::test]
async fn other_methods_pass_and_make_the_cache_forget() {
    let count = Arc::new(AtomicUsize::new(0));
    let origin = Origin::with(move |seen| {
        let number = count.fetch_add(1, SeqCst);
        match seen.method() {
            "GET" => {
                let fields = [("cache-control", "max-age=60")];
                Reply::status(200, &fields, number.to_string())
            }
            _ => Reply::ok("taken"),
        }
    })
    .await;
    for speaks in SPEAKS {
        let url = origin.endpoint();
        let gateway = Served::start(prox::gateway! { "/" => url with [cache()] }).await;
        let first = get(speaks, &gateway, "/a").await.2;
        eventually_hit(speaks, &gateway, "/a").await;
        assert_eq!(get(speaks, &gateway, "/a").await.2, first);
        let mut client = HyperClient::speaking(speaks, gateway.address()).await;
        let request = speaks.request("/a").method("POST");
        let request = request.body(body(http_body_util::Full::new("sent".into())));
        let answer = client
            .send(request.expect("a request"))
            .await
            .expect("an answer");
        assert_eq!(
            read(answer).await,
            (200, "fwd=method".into(), "taken".into())
        );
        let seen = origin.last();
        assert_eq!((seen.method(), &*seen.body.text()), ("POST", "sent"));
        assert_ne!(get(speaks, &gateway, "/a").await.2, first);
    }
}

#[tokio::test]
async fn a_handler_can_purge() {
    let fields = [("cache-control", "max-age=60")];
    let origin = Origin::start(Reply::status(200, &fields, "body")).await;
    let url = origin.endpoint();
    let cache = cache();
    let own = cache.clone();
    let purge = prox::dsl::handler(move |req: Request| {
        let path = req.uri().query().unwrap_or_default();
        let count = own.purge(path).to_string();
        async move { Response::new(prox::Body::from(count)) }
    });
    let gateway = Served::start(prox::gateway! {
        "/articles" => url with [cache],
        POST "/purge" => purge,
    })
    .await;
    for target in ["/articles/1", "/articles/1?x", "/articles/2"] {
        get(Speaks::Http1, &gateway, target).await;
        eventually_hit(Speaks::Http1, &gateway, target).await;
    }
    for (path, count) in [
        ("/articles/1", "2"),
        ("/articles/*", "1"),
        ("/articles/*", "0"),
    ] {
        let target = format!("/purge?{path}");
        let answer = send(Speaks::Http1, &gateway, "POST", &target, &[]).await;
        let body = answer.into_body().collect().await.expect("a body");
        assert_eq!(body.to_bytes(), count, "{path}");
    }
}

#[test]
fn mistakes_keep_a_gateway_from_starting() {
    let gateway = prox::gateway! {
        "/a" => "http://127.0.0.1:9" with [Cache::new(1000)],
        "/b" => "http://127.0.0.1:9" with [cache().key(["a b"])],
        "/c" => "http://127.0.0.1:9" with [cache().into_layer(), ByName.into_layer()],
    };
    let error = gateway.expect_err("it has mistakes").to_string();
    for part in [
        "route `/a`: `Cache::new(1000)` has no room for 8 bodies of 1048576 bytes",
        "route `/b`: `Cache::key`: \"a b\" is not the name of a field",
        "a cache before this layer would answer callers that it rejects",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}
