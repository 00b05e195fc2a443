//! Attacks with tokens, by tables: each token here is made from its parts, and signed with real keys.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{hmac, rand::SystemRandom, signature};

use super::*;
use crate::{body::Body, handler::Request};

const RSA: &[u8] = include_bytes!("../../../../tests/data/jwt/rsa.pk8");
const RSA_PEM: &str = include_str!("../../../../tests/data/jwt/rsa.pub.pem");
const ED: &[u8] = include_bytes!("../../../../tests/data/jwt/ed25519.pk8");
const ED_PEM: &str = include_str!("../../../../tests/data/jwt/ed25519.pub.pem");
const EC: &[u8] = include_bytes!("../../../../tests/data/jwt/p256.pk8");
const EC_PEM: &str = include_str!("../../../../tests/data/jwt/p256.pub.pem");
const SHORT_PEM: &str = include_str!("../../../../tests/data/jwt/short.pub.pem");
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: f64 = 1_800_000_000.0;

fn signed(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn ed(message: &[u8]) -> Vec<u8> {
    let pair = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(ED).unwrap();
    pair.sign(message).as_ref().to_vec()
}

fn rsa(how: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
    let pair = signature::RsaKeyPair::from_pkcs8(RSA).unwrap();
    let mut signed = vec![0; pair.public().modulus_len()];
    pair.sign(how, &SystemRandom::new(), message, &mut signed)
        .unwrap();
    signed
}

fn ec(message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let pair = signature::EcdsaKeyPair::from_pkcs8(
        &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        EC,
        &random,
    )
    .unwrap();
    pair.sign(&random, message).unwrap().as_ref().to_vec()
}

fn hs(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        .as_ref()
        .to_vec()
}

fn claims() -> String {
    format!(
        r#"{{"iss":"https://id.test/","aud":"shop","sub":"ada","exp":{},"scope":"a b"}}"#,
        NOW + 100.0
    )
}

fn good() -> String {
    signed(r#"{"alg":"EdDSA","typ":"JWT"}"#, &claims(), ed)
}

fn auth() -> Jwt {
    Jwt::pem(ED_PEM)
        .issued_by("https://id.test/")
        .audience("shop")
}

fn who(auth: &Jwt, token: &str, now: f64) -> Option<Principal> {
    let Keys::Here(source) = &auth.inner.keys else {
        unreachable!("no test here fetches keys")
    };
    auth.inner.who(token, &source.get(), now)
}

fn takes(auth: &Jwt, token: &str) -> bool {
    who(auth, token, NOW).is_some()
}

#[test]
fn every_kind_of_key_verifies_its_own_algorithms_alone() {
    let tokens = [
        ("EdDSA", signed(r#"{"alg":"EdDSA"}"#, &claims(), ed)),
        (
            "RS256",
            signed(r#"{"alg":"RS256"}"#, &claims(), |m| {
                rsa(&signature::RSA_PKCS1_SHA256, m)
            }),
        ),
        (
            "RS512",
            signed(r#"{"alg":"RS512"}"#, &claims(), |m| {
                rsa(&signature::RSA_PKCS1_SHA512, m)
            }),
        ),
        (
            "PS384",
            signed(r#"{"alg":"PS384"}"#, &claims(), |m| {
                rsa(&signature::RSA_PSS_SHA384, m)
            }),
        ),
        ("ES256", signed(r#"{"alg":"ES256"}"#, &claims(), ec)),
        (
            "HS256",
            signed(r#"{"alg":"HS256"}"#, &claims(), |m| {
                hs(SECRET.as_bytes(), m)
            }),
        ),
    ];
    for (key, names) in [
        (Jwt::pem(ED_PEM), &["EdDSA"][..]),
        (Jwt::pem(RSA_PEM), &["RS256", "RS512", "PS384"]),
        (Jwt::pem(EC_PEM), &["ES256"]),
        (Jwt::secret(SECRET.parse().unwrap()), &["HS256"]),
    ] {
        let auth = key.audience("shop");
        let problems = &auth.inner.bearer.problems;
        assert!(problems.is_empty(), "{problems:?}");
        for (name, token) in &tokens {
            assert_eq!(
                takes(&auth, token),
                names.contains(name),
                "{name} {names:?}"
            );
        }
    }
}

#[test]
fn the_token_never_decides_how_it_is_verified() {
    let unsigned = |alg: &str| signed(&format!(r#"{{"alg":"{alg}"}}"#), &claims(), |_| Vec::new());
    for alg in [
        "none", "None", "NONE", "nOnE", "", "EdDSA", "HS256", "eddsa", "ES256K", "RS1",
    ] {
        assert!(!takes(&auth(), &unsigned(alg)), "{alg}");
    }
    // The public key as a secret, in every form that somebody may have it in.
    let der = ED_PEM
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect::<String>();
    for secret in [ED_PEM.as_bytes(), ED_PEM.trim().as_bytes(), der.as_bytes()] {
        let token = signed(r#"{"alg":"HS256"}"#, &claims(), |m| hs(secret, m));
        assert!(!takes(&auth(), &token));
    }
    for header in [
        r#"{"alg":"EdDSA","crit":["exp"]}"#,
        r#"{"alg":"EdDSA","crit":[]}"#,
        r#"{"alg":"EdDSA","b64":false}"#,
        r#"{"alg":"EdDSA","zip":"DEF"}"#,
        r#"{"alg":"EdDSA","enc":"A256GCM"}"#,
        r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
        r#"{"alg":["EdDSA"]}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"EdDSA","kid":7}"#,
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"["EdDSA"]"#,
        "EdDSA",
        "",
    ] {
        assert!(!takes(&auth(), &signed(header, &claims(), ed)), "{header}");
    }
    // Keys in the token change nothing.
    let stranger = |m: &[u8]| {
        let pair = signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        pair.sign(m).as_ref().to_vec()
    };
    let public = signature::KeyPair::public_key(
        &signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
    )
    .as_ref()
    .to_vec();
    let x = URL_SAFE_NO_PAD.encode(public);
    for more in [
        format!(r#""jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#),
        r#""jku":"https://evil.test/jwks.json""#.to_owned(),
        r#""x5u":"https://evil.test/cert.pem""#.to_owned(),
        r#""x5c":["MIIB"]"#.to_owned(),
    ] {
        let header = format!(r#"{{"alg":"EdDSA",{more}}}"#);
        assert!(
            !takes(&auth(), &signed(&header, &claims(), stranger)),
            "{header}"
        );
        assert!(takes(&auth(), &signed(&header, &claims(), ed)), "{header}");
    }
}

#[test]
fn a_token_has_its_form_to_the_letter() {
    let good = good();
    assert!(takes(&auth(), &good));
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let flipped = format!(
        "{header}.{payload}.{}{}",
        if signature.starts_with('A') { "B" } else { "A" },
        &signature[1..]
    );
    for wrong in [
        String::new(),
        "..".into(),
        ".".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(".{good}"),
        format!("{good} "),
        format!("{good}="),
        format!("{header}.{payload}.{signature}AA"),
        format!("{}.{payload}.{signature}", header.replace('e', "E")),
        format!("{header}\n.{payload}.{signature}"),
        flipped,
        format!("a.b.c.d.e{good}"),
        "a".repeat(20_000),
    ] {
        assert!(!takes(&auth(), &wrong), "{wrong}");
    }
    let mut long = String::from("{\"aud\":\"shop\",\"sub\":\"ada\",\"exp\":1800000100,\"pad\":\"");
    let _ = write!(long, "{}\"}}", "x".repeat(16 * 1024));
    assert!(!takes(
        &Jwt::pem(ED_PEM).audience("shop"),
        &signed(r#"{"alg":"EdDSA"}"#, &long, ed)
    ));
}

/// A claim set with this in place of the claim.
fn with(name: &str, value: &str) -> String {
    let all = [
        ("iss", r#""https://id.test/""#.to_owned()),
        ("aud", r#""shop""#.to_owned()),
        ("sub", r#""ada""#.to_owned()),
        ("exp", format!("{}", NOW + 100.0)),
    ];
    let mut pairs: Vec<String> = all
        .iter()
        .filter(|(own, _)| *own != name)
        .map(|(own, value)| format!("\"{own}\":{value}"))
        .collect();
    if !value.is_empty() {
        pairs.push(format!("\"{name}\":{value}"));
    }
    format!("{{{}}}", pairs.join(","))
}

#[test]
fn claims_are_right_as_the_table_says() {
    let cases: &[(&str, &str, bool)] = &[
        ("x", "1", true),
        // The audience.
        ("aud", "", false),
        ("aud", "\"shop\"", true),
        ("aud", "[\"other\",\"shop\"]", true),
        ("aud", "[\"other\"]", false),
        ("aud", "[]", false),
        ("aud", "\"shop2\"", false),
        ("aud", "\"Shop\"", false),
        ("aud", "\"shop \"", false),
        ("aud", "[\"shop\",1]", false),
        ("aud", "[[\"shop\"]]", false),
        ("aud", "{\"shop\":true}", false),
        ("aud", "null", false),
        // The issuer.
        ("iss", "", false),
        ("iss", "\"https://id.test\"", false),
        ("iss", "\"https://ID.test/\"", false),
        ("iss", "[\"https://id.test/\"]", false),
        ("iss", "null", false),
        // The end: `now < exp + 60`.
        ("exp", "", false),
        ("exp", "null", false),
        ("exp", "\"1800000100\"", false),
        ("exp", "-1", false),
        ("exp", "0", false),
        ("exp", "1799999940", false),
        ("exp", "1799999940.5", true),
        ("exp", "1799999941", true),
        ("exp", "1.8e9", true),
        ("exp", "1e400", false),
        ("exp", "18446744073709551616", true),
        ("exp", "[1800000100]", false),
        ("exp", "true", false),
        // The beginning: `now + 60 >= nbf`.
        ("nbf", "1800000060", true),
        ("nbf", "1800000060.5", false),
        ("nbf", "1800000061", false),
        ("nbf", "\"0\"", false),
        ("nbf", "-5", false),
        ("iat", "1800000060", true),
        ("iat", "1800000061", false),
        ("iat", "null", false),
        // Who it is.
        ("sub", "", false),
        ("sub", "\"\"", false),
        ("sub", "7", false),
        ("sub", "null", false),
        ("scope", "7", false),
        ("scope", "[\"a\"]", true),
        ("aud", "\"shop\",\"aud\":\"shop\"", false),
        ("exp", "1800000100,\"exp\":1900000000", false),
    ];
    for (name, value, right) in cases {
        let token = signed(r#"{"alg":"EdDSA"}"#, &with(name, value), ed);
        assert_eq!(takes(&auth(), &token), *right, "{name}: {value}");
    }
    let client = with("sub", "").replace("\"aud\"", "\"client_id\":\"robot\",\"aud\"");
    let token = signed(r#"{"alg":"EdDSA"}"#, &client, ed);
    assert_eq!(who(&auth(), &token, NOW).unwrap().subject(), "robot");
}

#[test]
fn rules_of_the_user_count() {
    let token = |claims: &str| signed(r#"{"alg":"EdDSA","typ":"application/AT+jwt"}"#, claims, ed);
    let any = || Jwt::pem(ED_PEM).any_audience();
    assert!(takes(&any(), &token(&with("aud", ""))));
    assert!(!takes(&any(), &token(&with("exp", ""))));
    assert!(takes(&any().allow_unbounded(), &token(&with("exp", ""))));
    assert!(!takes(&any().allow_unbounded(), &token(&with("exp", "5"))));
    assert!(takes(&any().token_type("at+jwt"), &token(&with("x", "1"))));
    assert!(!takes(&any().token_type("at+jwt"), &good()));
    assert!(!takes(
        &any().leeway(Duration::ZERO),
        &token(&with("exp", "1800000000"))
    ));
    assert!(takes(
        &any().leeway(Duration::ZERO),
        &token(&with("exp", "1800000001"))
    ));
    let young = any().max_age(Duration::from_secs(100));
    assert!(!takes(&young, &good()), "without `iat`");
    assert!(takes(&young, &token(&with("iat", "1799999841"))));
    assert!(!takes(&young, &token(&with("iat", "1799999840"))));
    assert!(takes(&Jwt::pem(ED_PEM).audiences(["x", "shop"]), &good()));
}

fn jwk(more: &str) -> String {
    let der: Vec<u8> = base64::engine::general_purpose::STANDARD
        .decode(
            ED_PEM
                .lines()
                .filter(|line| !line.starts_with('-'))
                .collect::<String>(),
        )
        .unwrap();
    let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"{more}}}"#)
}

fn of_set(keys: &[String]) -> Result<Jwt, String> {
    let set = key::set(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())?;
    Ok(Jwt::of(Keys::Here(Source::Fixed(Arc::new(set))), Vec::new()).audience("shop"))
}

#[test]
fn keys_of_a_set_are_used_for_what_they_are() {
    let token = |kid: &str| signed(&format!(r#"{{"alg":"EdDSA"{kid}}}"#), &claims(), ed);
    for (more, usable) in [
        ("", true),
        (r#","use":"sig""#, true),
        (r#","use":"enc""#, false),
        (r#","use":7"#, false),
        (r#","key_ops":["verify"]"#, true),
        (r#","key_ops":["sign"]"#, false),
        (r#","key_ops":"verify""#, false),
        (r#","alg":"EdDSA""#, true),
        (r#","alg":"RS256""#, false),
        (r#","alg":"none""#, false),
        (r#","alg":7"#, false),
        (r#","kid":7"#, false),
    ] {
        let found = of_set(&[jwk(more)]);
        assert_eq!(
            found.is_ok_and(|auth| takes(&auth, &token(""))),
            usable,
            "{more}"
        );
    }
    let k = URL_SAFE_NO_PAD.encode(SECRET);
    let secret = format!(r#"{{"kty":"oct","k":"{k}"}}"#);
    assert!(of_set(std::slice::from_ref(&secret)).is_err());
    let with_secret = of_set(&[secret, jwk("")]).unwrap();
    assert!(!takes(
        &with_secret,
        &signed(r#"{"alg":"HS256"}"#, &claims(), |m| hs(
            SECRET.as_bytes(),
            m
        ))
    ));
    let named = of_set(&[jwk(r#","kid":"a""#)]).unwrap();
    for (kid, right) in [
        ("", true),
        (r#","kid":"a""#, true),
        (r#","kid":"b""#, false),
        (r#","kid":"A""#, false),
        (r#","kid":"../../dev/null""#, false),
        (r#","kid":"a' or '1'='1""#, false),
        (r#","kid":"""#, false),
    ] {
        assert_eq!(takes(&named, &token(kid)), right, "{kid}");
    }
    // A name in the token, and a key without one.
    assert!(!takes(
        &of_set(&[jwk("")]).unwrap(),
        &token(r#","kid":"a""#)
    ));
    // Without a name at most eight are tried.
    let other =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
            .to_owned();
    let mut many = vec![other; 7];
    many.push(jwk(""));
    assert!(takes(&of_set(&many).unwrap(), &token("")));
    many.insert(0, many[0].clone());
    assert!(!takes(&of_set(&many).unwrap(), &token("")));
    for wrong in [
        "",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1,null,[]]}",
        "{\"keys\":[],\"keys\":[]}",
    ] {
        assert!(key::set(wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert!(of_set(&vec![jwk(""); 101]).is_err());
}

#[test]
fn tokens_are_kept_for_a_while_and_never_longer_than_they_count() {
    let auth = auth();
    let token = good();
    assert!(takes(&auth, &token) && takes(&auth, &token));
    assert_eq!(auth.inner.kept.len(), 1);
    assert!(who(&auth, &token, NOW + 159.0).is_some());
    assert!(who(&auth, &token, NOW + 160.0).is_none());
    for wrong in 0..100 {
        assert!(!takes(&auth, &format!("{token}{wrong}")));
    }
    assert_eq!(auth.inner.kept.len(), 1, "wrong ones are not kept");
    assert_eq!(auth.clone().leeway(Duration::ZERO).inner.kept.len(), 0);
    for number in 0..4200 {
        let claims = with("jti", &number.to_string());
        assert!(takes(&auth, &signed(r#"{"alg":"EdDSA"}"#, &claims, ed)));
    }
    assert!(auth.inner.kept.len() <= 4096);
}

#[tokio::test]
async fn a_token_stays_in_the_request_unless_it_is_told_to_go() {
    let exp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 100;
    let token = signed(r#"{"alg":"EdDSA"}"#, &with("exp", &exp.to_string()), ed);
    let parts = |uri: &str, fields: &[(&'static str, String)]| {
        let mut req = Request::new(Body::empty());
        *req.uri_mut() = uri.parse().unwrap();
        for (name, value) in fields {
            req.headers_mut()
                .append(*name, HeaderValue::try_from(value).unwrap());
        }
        req.into_parts().0
    };
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let status = |verdict: Verdict| match verdict {
        Verdict::Admitted(who) => {
            assert_eq!(
                (who.scheme(), who.issuer()),
                ("jwt", Some("https://id.test/"))
            );
            200
        }
        Verdict::Absent => 0,
        Verdict::Refused(denied) => denied.failure().status().as_u16(),
    };
    let mut kept = parts("/", &[bearer(&token)]);
    assert_eq!(status(auth().authenticate(&mut kept).await), 200);
    assert!(kept.headers.contains_key("authorization"));
    assert_eq!(status(auth().strip().authenticate(&mut kept).await), 200);
    assert!(!kept.headers.contains_key("authorization"));
    assert_eq!(status(auth().authenticate(&mut kept).await), 0);
    let twice = [bearer(&token), bearer(&token)];
    assert_eq!(
        status(auth().authenticate(&mut parts("/", &twice)).await),
        400
    );
    let mut query = parts(&format!("/ws?token={token}&a=1"), &[]);
    assert_eq!(
        status(auth().query("token").authenticate(&mut query).await),
        200
    );
    assert_eq!(query.uri, "/ws?a=1");
    let mut elsewhere = parts("/", &[bearer(&token)]);
    assert_eq!(
        status(auth().cookie("token").authenticate(&mut elsewhere).await),
        0
    );
    let cookie = [("cookie", format!("token={token}"))];
    assert_eq!(
        status(
            auth()
                .cookie("token")
                .authenticate(&mut parts("/", &cookie))
                .await
        ),
        200
    );
    let auth = auth().resource_metadata("https://shop.test/.well-known/oauth-protected-resource");
    let response = match auth.authenticate(&mut parts("/", &[bearer("x")])).await {
        Verdict::Refused(denied) => denied.response(false),
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\", resource_metadata=\"https://shop.test/.well-known/oauth-protected-resource\""
    );
}

#[test]
fn what_no_token_fulfils_is_a_problem() {
    let problems = |jwt: Jwt| jwt.inner.bearer.problems.clone();
    for (jwt, start) in [
        (
            Jwt::pem("nonsense").audience("a"),
            "`Jwt::pem`: expected `-----BEGIN PUBLIC KEY-----`",
        ),
        (
            Jwt::pem(SHORT_PEM).audience("a"),
            "`Jwt::pem`: an RSA key below 2048 bits",
        ),
        (
            Jwt::secret("short".parse().unwrap()).audience("a"),
            "`Jwt::secret`: a secret of 5 bytes is too short",
        ),
        (
            Jwt::pem(ED_PEM).audience(""),
            "`Jwt::audience`: an empty audience",
        ),
        (
            Jwt::pem(ED_PEM).audiences([""; 0]),
            "`Jwt::audience`: an empty audience",
        ),
        (
            Jwt::jwks_file("/nowhere/jwks.json").audience("a"),
            "`Jwt::jwks_file`: /nowhere/jwks.json: cannot be read",
        ),
        (
            auth().leeway(Duration::from_hours(2)),
            "`Jwt::leeway` of 7200s",
        ),
        (auth().header("a b"), "`Jwt::header`: \"a b\" is not"),
        (
            auth().resource_metadata("nonsense"),
            "`Jwt::resource_metadata`",
        ),
    ] {
        let found = problems(jwt);
        assert!(found.len() == 1 && found[0].starts_with(start), "{found:?}");
    }
    assert!(problems(auth()).is_empty());
    assert!(!format!("{:?}", Jwt::secret(SECRET.parse().unwrap())).contains(SECRET));
}

#[test]
fn claims_are_read_as_the_type_that_is_wanted() {
    type Mine = std::collections::HashMap<String, serde_json::Value>;
    let token = good();
    let typed = auth().claims::<Mine>();
    let known = who(&typed, &token, NOW).unwrap();
    assert_eq!(known.typed::<Mine>().unwrap()["sub"], "ada");
    assert!(known.typed::<String>().is_none());
    assert!(who(&auth(), &token, NOW).unwrap().typed::<Mine>().is_none());
    assert!(!takes(&auth().claims::<Vec<String>>(), &token));
}
