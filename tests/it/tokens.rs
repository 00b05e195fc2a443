//! `Jwt` over sockets: a set of keys in a file, with real signatures.

use std::{fs, path::Path, time::SystemTime};

use prox::{
    Request, RequestExt,
    middleware::{IdentityHeaders, Jwt, Require},
};
use prox_tests::{
    certs::Folder,
    client::Speaks,
    gateway::Served,
    origin::{Origin, Reply},
};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};

use crate::cors::{SPEAKS, send};

/// An issuer of tokens.
struct Issuer(KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(KeyPair::generate_for(&PKCS_ED25519).expect("a key"))
    }

    fn jwk(&self, kid: &str) -> String {
        let x = base64url(self.0.der_bytes());
        format!(r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"{kid}","x":"{x}"}}"#)
    }

    /// A token of `kid` with these claims, and `exp` so many seconds from now.
    fn token(&self, kid: &str, claims: &str, seconds: i64) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.expect("after 1970").as_secs()).expect("a time");
        let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#);
        let claims = format!(
            r#"{{"iss":"https://id.test/","aud":"shop","exp":{},{claims}}}"#,
            now + seconds
        );
        let message = format!(
            "{}.{}",
            base64url(header.as_bytes()),
            base64url(claims.as_bytes())
        );
        let signed = self.0.sign(message.as_bytes()).expect("a signature");
        format!("{message}.{}", base64url(&signed))
    }
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = bytes
        .iter()
        .fold(String::new(), |bits, byte| format!("{bits}{byte:08b}"));
    let chunks = bits.as_bytes().chunks(6).map(|chunk| {
        let digits = format!("{:0<6}", String::from_utf8_lossy(chunk));
        let place = usize::from_str_radix(&digits, 2).expect("binary digits");
        char::from(ALPHABET[place])
    });
    chunks.collect()
}

async fn who(req: Request) -> String {
    let who = req.principal().expect("an authenticator is before it");
    format!("{} of {:?}", who.subject(), who.issuer())
}

#[derive(serde::Deserialize)]
struct Claims {
    sub: String,
    tenant: String,
}

#[tokio::test]
async fn a_handler_reads_the_claims_as_a_type_of_its_own() {
    async fn tenant(req: Request) -> String {
        let claims: &Claims = req.claims().expect("an authenticator is before it");
        format!("{} of {}", claims.sub, claims.tenant)
    }
    let issuer = prox::testing::Issuer::start().await.expect("a free port");
    let auth = Jwt::issuer(issuer.url())
        .audience("shop")
        .claims::<Claims>();
    let gateway = Served::start(prox::gateway! { "/" => handler(tenant) with [auth] }).await;
    let token = issuer.token("ada").audience("shop");
    let lacks = format!("Bearer {}", token.clone().sign());
    let right = format!("Bearer {}", token.claim("tenant", "acme").sign());
    for speaks in SPEAKS {
        let answer = send(speaks, &gateway, "GET", "/", &[("authorization", &lacks)]).await;
        assert_eq!(answer.status(), 401);
        let answer = send(speaks, &gateway, "GET", "/", &[("authorization", &right)]).await;
        assert_eq!(answer.status(), 200);
        let body = http_body_util::BodyExt::collect(answer.into_body()).await;
        assert_eq!(body.expect("a body").to_bytes(), "ada of acme");
    }
}

fn write(path: &Path, keys: &[String]) {
    fs::write(path, format!("{{\"keys\":[{}]}}", keys.join(","))).expect("its own folder");
}

#[tokio::test]
async fn a_token_of_the_issuer_gets_in_and_upstreams_are_told_whose_it_is() {
    let folder = Folder::new();
    let path = folder.path("jwks.json");
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    write(
        &path,
        &[
            issuer.jwk("a"),
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"s"}"#.into(),
        ],
    );
    let origin = Origin::start(Reply::ok("inside")).await;
    let url = origin.endpoint();
    let gateway = Served::start(prox::gateway! {
        require auth;
        let auth = Jwt::jwks_file(&path).issued_by("https://id.test/").audience("shop");
        let by_query = auth.clone().query("token");
        "/" => handler(who) with [auth],
        "/orders" => url with [auth, Require::scope("orders"), IdentityHeaders::new().subject("x-user").claim("tenant", "x-tenant")],
        "/ws" => handler(who) with [by_query],
    })
    .await;
    let ada = issuer.token(
        "a",
        r#""sub":"ada","scope":"orders stock","tenant":"acme""#,
        100,
    );
    let bob = issuer.token("a", r#""sub":"bob""#, 100);
    let late = issuer.token("a", r#""sub":"ada""#, -100);
    let other = issuer.token("b", r#""sub":"ada""#, 100);
    let forged = stranger.token("a", r#""sub":"ada","scope":"orders""#, 100);
    let invalid = "Bearer error=\"invalid_token\"";
    for speaks in SPEAKS {
        for (token, status, challenge) in [
            (ada.as_str(), 200, ""),
            (&ada, 200, ""),
            (
                &bob,
                403,
                "Bearer error=\"insufficient_scope\", scope=\"orders\"",
            ),
            (&late, 401, invalid),
            (&other, 401, invalid),
            (&forged, 401, invalid),
            ("", 401, "Bearer"),
        ] {
            let value = format!("Bearer {token}");
            let fields = [("authorization", value.as_str()), ("x-user", "mallory")];
            let fields = if token.is_empty() {
                &fields[1..]
            } else {
                &fields
            };
            let before = origin.count();
            let answer = send(speaks, &gateway, "GET", "/orders", fields).await;
            assert_eq!(answer.status(), status, "{token}");
            let told = answer.headers().get("www-authenticate");
            assert_eq!(
                told.map_or("", |told| told.to_str().expect("a text")),
                challenge
            );
            assert_eq!(origin.count() - before, usize::from(status == 200));
            if status == 200 {
                let seen = origin.last().head.fields;
                assert_eq!(
                    (seen.all("x-user"), seen.all("x-tenant")),
                    (vec!["ada"], vec!["acme"])
                );
                assert_eq!(
                    seen.all("authorization"),
                    [value],
                    "upstreams verify it too"
                );
            }
        }
        let answer = send(speaks, &gateway, "GET", &format!("/ws?token={bob}"), &[]).await;
        assert_eq!(answer.status(), 200);
    }
    let grpc = [
        ("authorization", "Bearer x"),
        ("content-type", "application/grpc"),
    ];
    let answer = send(Speaks::Http2, &gateway, "POST", "/", &grpc).await;
    assert_eq!(answer.headers()["grpc-status"], "16");
}

#[test]
fn keys_that_cannot_be_used_are_told_with_their_route() {
    let folder = Folder::new();
    let path = folder.path("jwks.json");
    write(&path, &[]);
    let gateway = prox::gateway! {
        "/a" => respond(200, "a") with [Jwt::jwks_file(&path).audience("shop")],
        "/b" => respond(200, "b") with [Jwt::pem("nonsense").audience("shop")],
        "/c" => respond(200, "c") with [Jwt::pem("nonsense").audience("shop"), IdentityHeaders::new().subject("authorization")],
    };
    let error = gateway.expect_err("it cannot start").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    assert!(
        lines[0].starts_with("route `/a`: `Jwt::jwks_file`: ")
            && lines[0].ends_with("it has no key that can verify a token"),
        "{error}"
    );
    assert!(
        lines[1].starts_with("route `/b`: `Jwt::pem`: expected"),
        "{error}"
    );
}
