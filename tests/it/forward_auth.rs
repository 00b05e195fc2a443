//! `ForwardAuth` over sockets: a table, and the documented protocols of oauth2-proxy and Authelia.

use http::HeaderValue;
use prox::{
    Request, RequestExt,
    middleware::{ApiKeys, AuthenticateExt, Cors, ForwardAuth, Require},
};
use prox_tests::{
    certs::Folder,
    client::Speaks,
    events::Events,
    gateway::Served,
    log::Log,
    origin::{Accept, Origin, Reply, Seen},
};

use crate::{
    auth_cases::Case,
    cors::{SPEAKS, send},
};

/// A reply of a service.
fn reply(case: &Case) -> Reply {
    let status = case.get("answer").expect("an answer");
    let status = status.parse().expect("a status");
    let fields = case.fields("answer-field");
    Reply::status(status, &fields, case.get("answer-body").unwrap_or_default())
}

#[tokio::test]
async fn the_service_decides_as_the_table_says() {
    let service = Origin::start(Reply::status(500, &[], "")).await;
    let origin = Origin::start(Reply::ok("inside")).await;
    let (verify, shop) = (service.endpoint(), origin.endpoint());
    let log = Log::new();
    let gateway = Served::start(prox::gateway! {
        with [log.layer()];
        require auth;
        backend verify = verify;
        backend shop = shop;
        let auth = ForwardAuth::new(verify).uri("/verify?rule=shop");
        let copying = auth.clone().copy(["remote-user", "remote-groups"]).subject("remote-user").cookies();
        "/copying" => shop with [copying],
        "/named" => shop with [auth.clone().expect_header("x-auth")],
        "/only" => shop with [auth.clone().headers(["cookie"])],
        "/replacing" => shop with [auth.clone().copy(["authorization"])],
    })
    .await;
    let cases = Case::all(include_str!("../data/forward_auth.txt"));
    assert!(cases.len() > 30);
    let mut lines = 0;
    for speaks in SPEAKS {
        for case in &cases {
            let about = format!("{speaks:?}: {}", case.get("about").expect("a text"));
            let (method, target) = case
                .get("client")
                .expect("a request")
                .split_once(' ')
                .expect("a target");
            let mut fields = case.fields("field");
            if speaks == Speaks::Http2 {
                fields.retain(|(name, _)| *name != "connection");
            }
            service.once([reply(case)]);
            let before = (service.count(), origin.count());
            let answer = send(speaks, &gateway, method, target, &fields).await;
            let status: u16 = case
                .get("status")
                .expect("a status")
                .parse()
                .expect("a number");
            assert_eq!(answer.status(), status, "{about}");
            for (name, value) in case.fields("seen") {
                let mut values = answer.headers().get_all(name).iter();
                assert!(values.any(|own| own == value), "{about}: {name}");
            }
            for name in case.each("unseen") {
                assert!(!answer.headers().contains_key(name), "{about}: {name}");
            }
            assert_eq!(service.count(), before.0 + 1, "{about}: one question");
            let asked = service.last();
            assert_eq!(
                format!("{} {}", asked.method(), asked.target()),
                case.get("service").unwrap_or("GET /verify?rule=shop"),
                "{about}"
            );
            judge(case, &asked, "asked", "unasked", &about);
            assert_eq!(
                asked.field("host"),
                Some(&*service.address().to_string()),
                "{about}"
            );
            assert_eq!(
                origin.count() - before.1,
                usize::from(status == 200),
                "{about}"
            );
            if status == 200 {
                judge(case, &origin.last(), "upstream", "untold", &about);
            }
            lines += 1;
            let line = log.lines(lines).await.remove(lines - 1);
            let own = (status == 503).then_some("auth_unavailable");
            assert_eq!((line.status(), line.error_type()), (status, own), "{about}");
        }
    }
}

fn judge(case: &Case, seen: &Seen, there: &str, absent: &str, about: &str) {
    for (name, value) in case.fields(there) {
        let values = seen.head.fields.all(name);
        assert!(
            values.contains(&value),
            "{about}: {there} {name}: {values:?}"
        );
    }
    for name in case.each(absent) {
        assert!(seen.lacks(name), "{about}: {absent} {name}");
    }
}

/// oauth2-proxy with `--reverse-proxy --set-xauthrequest --pass-access-token`, as its page on `forwardAuth` has it: `/oauth2/auth` is asked, and
/// says `202` with `X-Auth-Request-*`, or `401`; `/oauth2/*` is its own.
fn oauth2_proxy(seen: &Seen) -> Reply {
    if seen.target() == "/oauth2/start?rd=/orders" {
        return Reply::status(
            302,
            &[("location", "https://login.example.com/authorize")],
            "",
        );
    }
    if seen.target() != "/oauth2/auth" {
        return Reply::status(404, &[], "");
    }
    // Those that it needs behind a proxy.
    let told = seen.field("x-forwarded-host").is_some() && seen.field("x-forwarded-uri").is_some();
    match seen.field("cookie") {
        Some("_oauth2_proxy=ada") if told => Reply::status(
            202,
            &[
                ("x-auth-request-user", "248289761001"),
                ("x-auth-request-email", "ada@example.com"),
                ("x-auth-request-preferred-username", "ada"),
                ("x-auth-request-groups", "dev,ops"),
                ("x-auth-request-access-token", "opaque"),
                ("gap-auth", "ada@example.com"),
                (
                    "set-cookie",
                    "_oauth2_proxy=ada-2; Path=/; HttpOnly; Secure",
                ),
            ],
            "",
        ),
        _ => Reply::status(
            401,
            &[("content-type", "text/plain; charset=utf-8")],
            "Unauthorized\n",
        ),
    }
}

#[tokio::test]
async fn oauth2_proxy_is_asked_as_its_pages_say() {
    let (proxy, origin) = (
        Origin::with(oauth2_proxy).await,
        Origin::start(Reply::ok("inside")).await,
    );
    let (oauth, shop) = (proxy.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        require auth;
        backend oauth = oauth;
        backend shop = shop;
        let auth = ForwardAuth::new(oauth)
            .uri("/oauth2/auth")
            .copy(["x-auth-request-user", "x-auth-request-email", "x-auth-request-groups"])
            .subject("x-auth-request-email")
            .cookies();
        "/oauth2" => oauth with [public],
        "/" => shop with [auth],
        "/ops" => shop with [auth, Require::that(|who, _| {
            let groups = who.claim("x-auth-request-groups").and_then(|groups| groups.as_text());
            groups.is_some_and(|groups| groups.split(',').any(|group| group == "admins"))
        })],
    })
    .await;
    for speaks in SPEAKS {
        let session = [
            ("cookie", "_oauth2_proxy=ada"),
            ("x-auth-request-email", "root@example.com"),
        ];
        let answer = send(speaks, &gateway, "GET", "/orders", &session).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers()["set-cookie"],
            "_oauth2_proxy=ada-2; Path=/; HttpOnly; Secure"
        );
        let seen = origin.last();
        assert_eq!(
            seen.head.fields.all("x-auth-request-email"),
            ["ada@example.com"]
        );
        assert_eq!(seen.field("x-auth-request-groups"), Some("dev,ops"));
        assert!(seen.lacks("x-auth-request-access-token") && seen.lacks("gap-auth"));
        assert_eq!(
            send(speaks, &gateway, "GET", "/ops", &session)
                .await
                .status(),
            403
        );
        let answer = send(speaks, &gateway, "POST", "/orders", &[]).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(proxy.last().field("x-forwarded-method"), Some("POST"));
        let answer = send(speaks, &gateway, "GET", "/oauth2/start?rd=/orders", &[]).await;
        assert_eq!(
            answer.headers()["location"],
            "https://login.example.com/authorize"
        );
    }
}

/// Authelia's `/api/authz/forward-auth`, as its page on that implementation has it: `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri` must be there; `200`
/// with `Remote-*`, `302` to the portal for browsers (`303` for other methods than `GET`), `401` for other clients, `403` for what a known user may not do.
fn authelia(seen: &Seen) -> Reply {
    let field = |name: &str| seen.field(name).unwrap_or_default();
    let (method, host, uri) = (
        field("x-forwarded-method"),
        field("x-forwarded-host"),
        field("x-forwarded-uri"),
    );
    let complete = [method, host, uri, field("x-forwarded-proto")]
        .iter()
        .all(|value| !value.is_empty());
    if seen.target() != "/api/authz/forward-auth" || !complete {
        return Reply::status(400, &[], "400 Bad Request");
    }
    if field("cookie").contains("authelia_session=ada") {
        return if uri.starts_with("/admin") {
            Reply::status(403, &[], "403 Forbidden")
        } else {
            Reply::status(
                200,
                &[
                    ("remote-user", "ada"),
                    ("remote-groups", "dev,ops"),
                    ("remote-name", "Ada Lovelace"),
                    ("remote-email", "ada@example.com"),
                ],
                "200 OK",
            )
        };
    }
    if !field("accept").contains("text/html") {
        return Reply::status(401, &[], "401 Unauthorized");
    }
    let location = format!(
        "https://auth.example.com/?rd=https%3A%2F%2F{host}{}&rm={method}",
        uri.replace('/', "%2F")
    );
    let status = if method == "GET" { 302 } else { 303 };
    Reply::status(
        status,
        &[
            ("location", &location),
            ("set-cookie", "authelia_session=new; HttpOnly"),
        ],
        "Found",
    )
}

#[tokio::test]
async fn authelia_is_asked_as_its_pages_say() {
    let (authelia, origin) = (
        Origin::with(authelia).await,
        Origin::start(Reply::ok("inside")).await,
    );
    let (authz, shop) = (authelia.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        require auth;
        let auth = ForwardAuth::new(authz)
            .uri("/api/authz/forward-auth")
            .copy(["remote-user", "remote-groups", "remote-name", "remote-email"])
            .subject("remote-user");
        "/" => shop with [auth],
    })
    .await;
    for speaks in SPEAKS {
        for (method, target, fields, status, location) in [
            (
                "GET",
                "/a?b=c",
                &[("cookie", "authelia_session=ada")][..],
                200,
                "",
            ),
            (
                "GET",
                "/admin",
                &[("cookie", "authelia_session=ada")],
                403,
                "",
            ),
            ("GET", "/a", &[("accept", "application/json")], 401, ""),
            (
                "GET",
                "/a",
                &[("accept", "text/html")],
                302,
                "https://auth.example.com/?rd=https%3A%2F%2Fgateway.test%2Fa&rm=GET",
            ),
            (
                "POST",
                "/a",
                &[("accept", "text/html")],
                303,
                "https://auth.example.com/?rd=https%3A%2F%2Fgateway.test%2Fa&rm=POST",
            ),
        ] {
            let answer = send(speaks, &gateway, method, target, fields).await;
            assert_eq!(answer.status(), status, "{method} {target} {fields:?}");
            let told = answer.headers().get("location");
            assert_eq!(
                told.map_or("", |told| told.to_str().expect("a text")),
                location
            );
            assert_eq!(
                answer.headers().contains_key("set-cookie"),
                !location.is_empty()
            );
        }
        let seen = origin.last();
        let told = [
            "remote-user",
            "remote-groups",
            "remote-name",
            "remote-email",
        ]
        .map(|name| seen.field(name));
        assert_eq!(
            told,
            [
                Some("ada"),
                Some("dev,ops"),
                Some("Ada Lovelace"),
                Some("ada@example.com")
            ]
        );
    }
}

async fn who(req: Request) -> String {
    let who = req.principal().expect("an authenticator is before it");
    format!("{} {}", who.scheme(), who.subject())
}

#[tokio::test]
async fn machines_have_keys_and_people_have_sessions() {
    let authelia = Origin::with(authelia).await;
    let authz = authelia.endpoint();
    let folder = Folder::new();
    // The digest of "key".
    let digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    let keys = folder.write("keys.txt", format!("acme sha256:{digest}\n"));
    let gateway = Served::start(prox::gateway! {
        require auth;
        let people = ForwardAuth::new(authz).uri("/api/authz/forward-auth").subject("remote-user");
        "/" => handler(who) with [Cors::origins(["https://shop.test"]), ApiKeys::file(&keys).or(people)],
    })
    .await;
    for speaks in SPEAKS {
        for (field, status) in [
            (("x-api-key", "key"), 200),
            (("x-api-key", "wrong"), 401),
            (("cookie", "authelia_session=ada"), 200),
            (("cookie", "authelia_session=bob"), 401),
        ] {
            let fields = [field, ("origin", "https://shop.test")];
            let answer = send(speaks, &gateway, "GET", "/", &fields).await;
            assert_eq!(answer.status(), status, "{field:?}");
            assert_eq!(
                answer.headers()["access-control-allow-origin"],
                "https://shop.test"
            );
        }
        // The service is not asked about a preflight.
        let preflight = [
            ("origin", "https://shop.test"),
            ("access-control-request-method", "GET"),
        ];
        assert_eq!(
            send(speaks, &gateway, "OPTIONS", "/", &preflight)
                .await
                .status(),
            204
        );
    }
    assert_eq!(authelia.count(), 4);
}

#[tokio::test]
async fn a_service_that_is_down_lets_nobody_in_and_is_told_once() {
    let events = Events::record();
    let service = Origin::start(Reply::ok("")).await;
    let verify = service.endpoint();
    let gateway = Served::start(prox::gateway! {
        "/" => respond(200, "inside") with [ForwardAuth::new(verify)],
    })
    .await;
    service.accepts(Accept::Close);
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/", &[]).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &HeaderValue::from_static("1"))
        );
    }
    let down = "a service of authentication does not answer";
    assert_eq!(
        events
            .all()
            .iter()
            .filter(|told| told.message() == down)
            .count(),
        1
    );
    service.accepts(Accept::Serve);
    for speaks in SPEAKS {
        assert_eq!(send(speaks, &gateway, "GET", "/", &[]).await.status(), 200);
    }
    events.first("a service of authentication answers again");
}

#[test]
fn names_that_cannot_be_copied_are_told() {
    let gateway = prox::gateway! {
        "/a" => respond(200, "a") with [ForwardAuth::new("http://127.0.0.1:9").copy(["cookie", "a b"])],
        "/b" => respond(200, "b") with [ForwardAuth::new("http://127.0.0.1:9").copy(["x-forwarded-for", "connection"]).uri("b")],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 5, "{error}");
    assert!(
        lines[0].starts_with("route `/a`: `ForwardAuth::copy`: \"a b\" is not the name of a field"),
        "{error}"
    );
    assert!(
        lines[1].starts_with("route `/b`: `ForwardAuth::uri`: \"b\" is not a path"),
        "{error}"
    );
    assert!(error.contains("cannot write the field `cookie`"), "{error}");
}
