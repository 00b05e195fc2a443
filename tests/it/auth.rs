//! `require auth`, authenticators together, and the fields that tell upstreams who the caller is: no client can claim them, in any
//! spelling and at any place.

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use prox::{
    Next, Parts, Principal, Request, RequestExt, Response,
    middleware::{
        About, Authenticate, AuthenticateExt, ClientCerts, Declares, Denied, IdentityHeaders,
        IntoLayer, Layer, Middleware, Require, Role, Verdict, role,
    },
};
use prox_tests::{
    client::{HyperClient, Speaks, body, head},
    gateway::Served,
    origin::{Origin, Reply},
    service::{Frames, data},
    table,
    wait::eventually,
};
use serde::Deserialize;

use crate::cors::{SPEAKS, send};

/// Knows callers by a field, and takes it out.
#[derive(Clone)]
struct Word;

impl Authenticate for Word {
    async fn authenticate(&self, parts: &mut Parts) -> Verdict {
        match parts.headers.remove("x-word") {
            None => Verdict::Absent,
            Some(word) if word == "ada" => Verdict::Admitted(
                Principal::new("word", "ada")
                    .with_scopes(["orders"])
                    .with_claim("tenant", "acme"),
            ),
            Some(_) => Verdict::Refused(Denied::challenged(HeaderValue::from_static(
                "Word error=\"unknown\"",
            ))),
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static("Word"))
    }

    fn about(&self, about: &mut About) {
        about.reads(HeaderName::from_static("x-word"));
    }
}

fn spellings(name: &str) -> Vec<String> {
    vec![
        name.to_owned(),
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replace('-', ""),
        format!("{name}-"),
        format!("!{}", name.replace('-', "~_")),
    ]
}

fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

fn identity() -> IdentityHeaders {
    IdentityHeaders::new()
        .subject("x-user")
        .claim("tenant", "x-tenant")
        .scopes("x-forwarded-scopes")
}

const SET: [&str; 3] = ["x-user", "x-tenant", "x-forwarded-scopes"];

#[tokio::test]
async fn no_client_claims_what_a_layer_of_another_route_sets() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let (url, same) = (origin.endpoint(), origin.endpoint());
    let auth = Word;
    let gateway = prox::gateway! {
        require auth;
        "/open" => url with [public],
        "/known" => same with [auth, identity()],
    };
    // A trusted proxy claims none of them either.
    let gateway = Served::with(gateway, |server| server.trusted_proxies(["127.0.0.1"])).await;
    let names: Vec<String> = SET.iter().flat_map(|name| spellings(name)).collect();
    let claims: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "mallory"))
        .collect();
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/open", &claims).await;
        assert_eq!(answer.status(), 200);
        let seen = origin.last().head.fields.names();
        let set: Vec<_> = seen
            .iter()
            .filter(|name| SET.map(folded).contains(&folded(name)))
            .collect();
        assert!(set.is_empty(), "{speaks:?}: {set:?}");
        let with_word = [&claims[..], &[("x-word", "ada")]].concat();
        let answer = send(speaks, &gateway, "GET", "/known", &with_word).await;
        assert_eq!(answer.status(), 200);
        let fields = origin.last().head.fields;
        let set: Vec<_> = fields
            .names()
            .into_iter()
            .filter(|name| SET.map(folded).contains(&folded(name)))
            .collect();
        assert_eq!(set.len(), 3, "{speaks:?}: {set:?}");
        for (name, value) in SET.iter().zip(["ada", "acme", "orders"]) {
            assert_eq!(fields.all(name), [value], "{speaks:?}");
        }
        assert!(fields.lacks("x-word"));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    removed: Vec<String>,
    passes: Vec<String>,
}

#[tokio::test]
async fn names_that_an_upstream_may_take_for_one_of_them_never_come_from_a_client() {
    let Names { removed, passes } = table::load("identity.toml");
    let names = || {
        let removed = removed.iter().map(|name| (name, false));
        removed.chain(passes.iter().map(|name| (name, true)))
    };
    let origin = Origin::start(Reply::ok("ok")).await;
    let gateway = |open, known| {
        prox::gateway! {
            "/open" => open,
            "/known" => known with [Word, identity()],
        }
    };
    let direct = Served::start(gateway(origin.endpoint(), origin.endpoint())).await;
    let behind = Served::with(gateway(origin.endpoint(), origin.endpoint()), |server| {
        server.trusted_proxies(["127.0.0.1"])
    })
    .await;
    for speaks in SPEAKS {
        for gateway in [&direct, &behind] {
            let mut client = HyperClient::speaking(speaks, gateway.address()).await;
            for ((name, passes), path) in
                names().flat_map(|name| [(name, "/open"), (name, "/known")])
            {
                let about = format!("{speaks:?}: {name} at {path}");
                let mut trailers = HeaderMap::new();
                let field = HeaderName::from_bytes(name.as_bytes()).expect("a name");
                trailers.append(field, HeaderValue::from_static("mallory"));
                let frames = [data("hello"), Ok(Frame::trailers(trailers))];
                let request = speaks
                    .request(path)
                    .method("POST")
                    .header("x-word", "ada")
                    .header(name, "mallory")
                    .header("te", "trailers")
                    .header("trailer", name)
                    .body(body(Frames(frames.into_iter())));
                let response = client.send(request.expect("a request")).await;
                assert_eq!(response.expect("an answer").status(), 200, "{about}");
                let seen = origin.last();
                let claimed = seen.head.fields.all(name).contains(&"mallory");
                assert_eq!(claimed, passes, "{about}");
                let trailers = seen.body.trailers.names();
                assert_eq!(trailers.len(), usize::from(passes), "{about}: {trailers:?}");
                let told = seen.head.fields.all("x-user");
                let known = if path == "/known" { &["ada"][..] } else { &[] };
                assert_eq!(told, known, "{about}");
            }
        }
    }
}

#[tokio::test]
async fn no_client_claims_it_in_trailers() {
    async fn trailers(req: Request) -> String {
        let collected = http_body_util::BodyExt::collect(req.into_body()).await;
        let trailers = collected.expect("a whole body").trailers().cloned();
        let names = trailers.unwrap_or_default();
        names
            .keys()
            .map(HeaderName::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let auth = Word;
    let gateway = Served::start(prox::gateway! {
        "/open" => url,
        "/handler" => handler(trailers),
        "/known" => respond(200, "known") with [auth, identity()],
    })
    .await;
    for speaks in SPEAKS {
        for path in ["/open", "/handler"] {
            let mut fields = HeaderMap::new();
            let names: Vec<String> = SET.iter().flat_map(|name| spellings(name)).collect();
            for name in &names {
                let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
                fields.append(name, HeaderValue::from_static("mallory"));
            }
            fields.append("x-sum", HeaderValue::from_static("1"));
            let frames = [data("hello"), Ok(Frame::trailers(fields))];
            let request = speaks
                .request(path)
                .method("POST")
                .header("te", "trailers")
                .header("trailer", format!("{}, x-sum", names.join(", ")))
                .body(body(Frames(frames.into_iter())));
            let mut client = HyperClient::speaking(speaks, gateway.address()).await;
            let response = client
                .send(request.expect("a request"))
                .await
                .expect("an answer");
            assert_eq!(response.status(), 200);
            let seen = if path == "/open" {
                origin.last().body.trailers.names().join(" ")
            } else {
                let collected = http_body_util::BodyExt::collect(response.into_body()).await;
                String::from_utf8_lossy(&collected.expect("a body").to_bytes()).into_owned()
            };
            assert_eq!(seen, "x-sum", "{speaks:?} {path}");
        }
    }
}

#[tokio::test]
async fn no_client_takes_away_what_a_layer_sets() {
    let origin = Origin::start(Reply::ok("ok")).await;
    let url = origin.endpoint();
    let auth = Word;
    let gateway = Served::start(prox::gateway! { "/" => url with [auth, identity()] }).await;
    for lines in [
        "Connection: close, X-User, x_user, X-Tenant, X-Forwarded-Scopes\r\nX-Word: ada\r\n",
        "Connection: x-user\r\nConnection: x-tenant,x-forwarded-scopes\r\nX-User: mallory\r\nX-Word: ada\r\n",
        "Connection: upgrade, x-user\r\nUpgrade: websocket\r\nX-User: mallory\r\nX-Word: ada\r\n",
    ] {
        let mut client = gateway.client().await;
        client.send(head("GET", "/", lines)).await;
        client.response("GET").await.expect(200);
        for (name, value) in SET.iter().zip(["ada", "acme", "orders"]) {
            assert_eq!(origin.last().head.fields.all(name), [value], "{lines}");
        }
    }
}

#[tokio::test]
async fn copies_and_later_tries_say_who_the_caller_is() {
    let (first, second) = (
        Origin::start(Reply::status(503, &[], "no")).await,
        Origin::start(Reply::ok("ok")).await,
    );
    let copied = Origin::start(Reply::ok("copy")).await;
    let (one, two, copy) = (first.endpoint(), second.endpoint(), copied.endpoint());
    let auth = Word;
    let gateway = Served::start(prox::gateway! {
        backend canary = copy;
        backend users = cluster(rr, [one, two]).retry(2);
        "/" => users.mirror(canary, 1.0) with [auth, identity()],
    })
    .await;
    for _ in 0..2 {
        let fields = [
            ("x-word", "ada"),
            ("x-user", "mallory"),
            ("x_user", "mallory"),
        ];
        let answer = send(Speaks::Http1, &gateway, "GET", "/", &fields).await;
        assert_eq!(answer.status(), 200);
    }
    copied.reached(1).await;
    assert!(first.count() > 0, "a try failed");
    for origin in [&first, &second, &copied] {
        for seen in origin.requests() {
            assert_eq!(seen.head.fields.all("x-user"), ["ada"]);
            assert!(seen.lacks("x_user"));
        }
    }
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_be() {
    let auth = Word;
    let gateway = Served::start(prox::gateway! {
        require auth;
        "/word" => respond(200, "inside") with [auth],
        "/either" => respond(200, "inside") with [Word.or(ClientCerts::any())],
        "/certs" => respond(200, "inside") with [ClientCerts::any()],
        "/scope" => respond(200, "inside") with [Word.optional(), Require::scope("orders")],
        "/other" => respond(200, "inside") with [auth, Require::scope("users")],
        "/tenant/{tenant}" => respond(200, "inside") with [auth, Require::claim("tenant").is_param("tenant")],
    })
    .await;
    for speaks in SPEAKS {
        for (path, word, status, challenge) in [
            ("/word", "", 401, "Word"),
            ("/word", "ada", 200, ""),
            ("/word", "bob", 401, "Word error=\"unknown\""),
            ("/either", "", 401, "Word"),
            ("/either", "ada", 200, ""),
            ("/certs", "", 403, ""),
            ("/scope", "", 401, "Bearer"),
            ("/scope", "ada", 200, ""),
            ("/scope", "bob", 401, "Word error=\"unknown\""),
            ("/other", "ada", 403, ""),
            ("/tenant/acme", "ada", 200, ""),
            ("/tenant/acm%65", "ada", 200, ""),
            ("/tenant/acmes", "ada", 403, ""),
            ("/tenant/ACME", "ada", 403, ""),
        ] {
            let fields = [("x-word", word)];
            let fields = if word.is_empty() { &[][..] } else { &fields };
            let answer = send(speaks, &gateway, "GET", path, fields).await;
            assert_eq!(answer.status(), status, "{speaks:?} {path} {word}");
            let told = answer.headers().get("www-authenticate");
            let told = told.map_or("", |told| told.to_str().expect("a text"));
            assert_eq!(told, challenge, "{speaks:?} {path} {word}");
        }
        let grpc = [("content-type", "application/grpc")];
        let answer = send(speaks, &gateway, "POST", "/word", &grpc).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["grpc-status"]),
            (200, &HeaderValue::from_static("16"))
        );
    }
}

/// The layer without its type.
fn erased<M, L>(layer: L) -> Layer
where
    L: IntoLayer<M>,
    L::Shared: Send + Sync,
    L::Service: Send + Sync,
    L::Runs: Send,
{
    layer.into_layer()
}

/// Says of itself what its type does not.
struct Told(Role);

impl Middleware for Told {
    async fn handle(&self, req: Request, next: Next) -> Response {
        next.run(req).await
    }

    fn about(&self, about: &mut About) {
        about.role(self.0);
    }
}

/// Its type says it, and it does not.
struct Typed;

impl Middleware for Typed {
    async fn handle(&self, req: Request, next: Next) -> Response {
        next.run(req).await
    }
}

impl Declares for Typed {
    type Role = role::Admits;
}

#[test]
fn what_types_do_not_tell_is_found_when_the_gateway_starts() {
    let gateway = prox::gateway! {
        with [erased(Told(Role::Preflights))];
        "/a" => respond(200, "a") with [erased(Require::scope("a"))],
        "/b" => respond(200, "b") with [erased(Word), erased(Told(Role::Public)), erased(Told(Role::Preflights))],
        "/c" => respond(200, "c") with [erased(Told(Role::Caches)), erased(Word)],
        "/d" => respond(200, "d") with [Told(Role::KeyedByClient)],
        "/e/{id}" => respond(200, "e") with [Word, Require::claim("a").is_param("b")],
        "/f" => respond(200, "f") with [Word, IdentityHeaders::new().subject("cookie").scopes("x_word")],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<&str> = error.lines().collect();
    let starts = [
        "route `/e/{id}`: `Require::claim(..).is_param(\"b\")`: the path has no `{b}`",
        "route `/a`: `erased(Require::scope(\"a\"))`: no authenticator before this layer",
        "route `/b`: `erased(Told(Role::Public))`: `public` has no effect after a layer that rejects callers",
        "route `/b`: `erased(Told(Role::Preflights))`: the layers before this one reject preflights",
        "route `/c`: `erased(Word)`: a cache before this layer would answer callers that it rejects",
        "route `/d`: `Told(Role::KeyedByClient)`: a client can avoid this limit by sending a different value with each request",
        "`x-word` carries credentials for one layer, and another writes it for upstreams",
        "a layer cannot write the field `cookie` for upstreams: it carries the credentials of clients",
    ];
    assert_eq!(lines.len(), starts.len(), "{error}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{error}");
    }
}

#[test]
fn the_routes_that_anybody_may_enter_are_known() {
    let gateway = prox::gateway! {
        "/v1" {
            require auth;
            "/public" => respond(200, "a") with [public],
            "/typed" => respond(200, "a") with [Typed],
            "/known" => respond(200, "a") with [public, admits(Typed)],
            "/erased" => respond(200, "a") with [admits(erased(Typed))],
            "/upstream" => respond(200, "a") with [upstream_auth],
        }
        "/" => respond(200, "a"),
    }
    .expect("it can start");
    let public: Vec<&str> = gateway.public_routes().map(|route| route.path).collect();
    assert_eq!(public, ["/v1/public", "/"]);
    let who: Vec<&str> = gateway.routes().iter().map(|route| route.who).collect();
    assert_eq!(
        who,
        [
            "public",
            "Typed",
            "public, admits(Typed)",
            "admits(erased(Typed))",
            "upstream_auth",
            ""
        ]
    );
    // A variable has the name of the word, and is not it.
    let public = Typed;
    let named = prox::gateway! { "/" => respond(200, "a") with [public] }.expect("it can start");
    let who: Vec<&str> = named.routes().iter().map(|route| route.who).collect();
    assert_eq!(who, [""]);
    let table = gateway.routes().to_string();
    assert!(
        table.contains("WHO") && table.contains("anybody"),
        "{table}"
    );
}

#[tokio::test]
async fn a_function_may_say_who_the_caller_is() {
    async fn check_session(mut req: Request, next: Next) -> Response {
        if !req.headers().contains_key("x-session") {
            return prox::IntoResponse::into_response(http::StatusCode::UNAUTHORIZED);
        }
        req.extensions_mut()
            .insert(Principal::new("session", "ada").with_scopes(["a"]));
        next.run(req).await
    }
    async fn who(req: Request) -> String {
        req.principal()
            .map_or_else(String::new, |who| who.subject().to_owned())
    }
    let gateway = Served::start(prox::gateway! {
        require auth;
        "/" => handler(who) with [admits(check_session), Require::scope("a")],
    })
    .await;
    assert_eq!(
        send(Speaks::Http1, &gateway, "GET", "/", &[])
            .await
            .status(),
        401
    );
    let answer = send(Speaks::Http1, &gateway, "GET", "/", &[("x-session", "1")]).await;
    assert_eq!(answer.status(), 200);
}

/// Works in the background, and is ready once it has.
#[derive(Clone, Default)]
struct Background(
    std::sync::Arc<std::sync::atomic::AtomicUsize>,
    tokio::sync::watch::Sender<bool>,
);

impl Middleware for Background {
    async fn handle(&self, req: Request, next: Next) -> Response {
        next.run(req).await
    }

    fn about(&self, about: &mut About) {
        let (count, gate) = (self.0.clone(), self.1.clone());
        about.task(move || {
            let (count, mut gate) = (Running::new(&count), gate.subscribe());
            async move {
                let _count = count;
                let _ = gate.wait_for(|open| *open).await;
                std::future::pending::<()>().await;
            }
        });
        let gate = self.1.clone();
        about.ready("background", move || *gate.borrow());
    }
}

struct Running(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Running {
    fn new(count: &std::sync::Arc<std::sync::atomic::AtomicUsize>) -> Self {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_work_of_a_layer_begins_and_ends_with_the_gateway_and_it_may_be_waited_for() {
    let layer = Background::default();
    let (count, gate) = (layer.0.clone(), layer.1.clone());
    let running = move || count.load(std::sync::atomic::Ordering::SeqCst);
    let gateway = prox::gateway! {
        "/a" => respond(200, "a") with [layer],
        "/b" => respond(200, "b") with [layer],
    }
    .expect("it can start");
    assert_eq!(running(), 0);
    assert!(!gateway.is_ready());
    assert_eq!(running(), 1, "one for a layer on two routes");
    assert_eq!(gateway.unready().collect::<Vec<_>>(), ["background"]);
    gate.send_replace(true);
    assert!(gateway.is_ready());
    drop(gateway);
    eventually("the work to end", || running() == 0).await;
}
