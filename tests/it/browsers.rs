//! `Csrf` by a table, and `SecurityHeaders`.

use http::HeaderMap;
use prox::{
    Failure, Request,
    middleware::{Csrf, SecurityHeaders},
};
use prox_tests::{
    certs::Authority,
    client::Speaks,
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

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    method: Option<String>,
    fields: Vec<[String; 2]>,
    passes: bool,
    #[serde(default)]
    trusted: bool,
    #[serde(default)]
    grpc: bool,
}

#[tokio::test]
async fn cross_origin_requests_are_refused_as_the_table_says() {
    let origin = Origin::start(Reply::ok("done")).await;
    let gateway = |endpoint| {
        let csrf = Csrf::new().trust(["https://admin.test"]);
        prox::gateway! { "/" => endpoint with [csrf] }
    };
    let direct = Served::start(gateway(origin.endpoint())).await;
    let behind = Served::with(gateway(origin.endpoint()), |server| {
        server.trusted_proxies(["127.0.0.1"])
    })
    .await;
    let Cases { case: cases } = table::load("cross_origin.toml");
    assert!(!cases.is_empty());
    for speaks in SPEAKS {
        for case in &cases {
            let about = format!("{speaks:?}: {}", case.about);
            let method = case.method.as_deref().unwrap_or("POST");
            let mut fields: Vec<(&str, &str)> = Vec::new();
            fields.extend(case.fields.iter().map(|[name, value]| (&**name, &**value)));
            if case.grpc {
                fields.push(("content-type", "application/grpc"));
            }
            let before = origin.count();
            let gateway = if case.trusted { &behind } else { &direct };
            let answer = send(speaks, gateway, method, "/orders", &fields).await;
            let (status, came) = match (case.passes, case.grpc) {
                (true, _) => (200, 1),
                (false, false) => (403, 0),
                (false, true) => (200, 0),
            };
            assert_eq!(answer.status(), status, "{about}");
            assert_eq!(origin.count() - before, came, "{about}");
            let code = answer.headers().get("grpc-status");
            assert_eq!(code.is_some_and(|code| code == "7"), case.grpc, "{about}");
        }
    }
}

fn field<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[tokio::test]
async fn every_response_behind_the_layer_is_strict() {
    let set = [
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
    ];
    let origin = Origin::start(Reply::status(200, &set, "page")).await;
    let (site, forced) = (origin.endpoint(), origin.endpoint());
    let gateway = Served::start(prox::gateway! {
        with [SecurityHeaders::new()];
        "/site" => site,
        "/forced" => forced with [SecurityHeaders::new().force()],
        "/403" => handler(async |_: Request| Failure::Forbidden),
    })
    .await;
    for speaks in SPEAKS {
        for (target, status, referrer) in [
            ("/site", 200, "no-referrer"),
            ("/forced", 200, "strict-origin-when-cross-origin"),
            ("/403", 403, "strict-origin-when-cross-origin"),
            ("/404", 404, "strict-origin-when-cross-origin"),
        ] {
            let answer = send(speaks, &gateway, "GET", target, &[]).await;
            let headers = answer.headers();
            assert_eq!(answer.status(), status, "{target}");
            assert_eq!(
                field(headers, "x-content-type-options"),
                Some("nosniff"),
                "{target}"
            );
            assert_eq!(
                field(headers, "referrer-policy"),
                Some(referrer),
                "{target}"
            );
            let policy = field(headers, "content-security-policy");
            assert_eq!(policy, Some("frame-ancestors 'none'"), "{target}");
            // It is not TLS that is spoken, whatever a client claims.
            assert_eq!(
                field(headers, "strict-transport-security"),
                None,
                "{target}"
            );
        }
        let claim = [("x-forwarded-proto", "https")];
        let answer = send(speaks, &gateway, "GET", "/site", &claim).await;
        assert_eq!(field(answer.headers(), "strict-transport-security"), None);
    }
}

#[tokio::test]
async fn strict_transport_security_is_sent_over_tls_and_behind_a_trusted_proxy() {
    let gateway = || {
        prox::gateway! {
            with [SecurityHeaders::new().include_subdomains()];
            "/" => respond(200, "page"),
        }
    };
    let expected = "max-age=31536000; includeSubDomains";
    let authority = Authority::new("authority");
    let issued = authority.issue(&["shop.test"]);
    let served = Served::with(gateway(), |server| server.tls(tls(&issued))).await;
    let dial = Dial::new(&authority, "shop.test");
    let mut client = dial.connect(served.address()).await.unwrap();
    let answer = client.get("shop.test", "/").await.expect(200);
    assert_eq!(answer.field("strict-transport-security"), Some(expected));

    let behind = Served::with(gateway(), |server| server.trusted_proxies(["127.0.0.1"])).await;
    for (scheme, told) in [("https", Some(expected)), ("http", None)] {
        let fields = [
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", scheme),
        ];
        let answer = send(Speaks::Http1, &behind, "GET", "/", &fields).await;
        assert_eq!(field(answer.headers(), "strict-transport-security"), told);
    }
}

#[test]
fn wrong_options_are_said_at_start_with_their_routes() {
    let gateway = prox::gateway! {
        with [SecurityHeaders::new().referrer_policy("never")];
        "/a" => respond(200, "a") with [Csrf::new().trust(["null"])],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("`SecurityHeaders`: \"never\" is not"),
        "{error}"
    );
    assert!(
        lines[1].starts_with("route `/a`: `Csrf`: \"null\" is not"),
        "{error}"
    );
}
