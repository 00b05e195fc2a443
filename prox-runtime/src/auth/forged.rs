//! The tokens of `tests/data/tokens.txt`, for tests with sockets and without.

use super::{Case, Issuer};

/// The token of a case, at this time.
pub(crate) fn token(case: &Case, issuer: &Issuer, stranger: &Issuer, now: i64) -> String {
    let keys = stranger.key_set();
    let jwk = keys
        .strip_prefix("{\"keys\":[")
        .and_then(|rest| rest.strip_suffix("]}"));
    let filled = |text: &str| {
        let text = text
            .replace("{iss}", issuer.url())
            .replace("{kid}", &issuer.kid())
            .replace("{jwk}", jwk.expect("one key"));
        timed(&text, now)
    };
    let header = case
        .get("header")
        .unwrap_or(r#"{"alg":"ES256","typ":"JWT","kid":"{kid}"}"#);
    let claims =
        r#"{"iss":"{iss}","aud":"shop","sub":"ada","exp":{now+100},"nbf":{now-1},"iat":{now-1}}"#;
    let (header, claims) = (filled(header), filled(case.get("claims").unwrap_or(claims)));
    let set = issuer.key_set();
    let coordinate = |name: &str| {
        let (_, rest) = set
            .split_once(&format!("\"{name}\":\""))
            .expect("a coordinate");
        rest.split('"').next().expect("its end").to_owned()
    };
    let token = match case.get("by").unwrap_or("own") {
        "own" => issuer.sign(&header, &claims),
        "stranger" => stranger.sign(&header, &claims),
        "nobody" => {
            let token = issuer.sign(&header, &claims);
            token.rsplit_once('.').expect("three parts").0.to_owned() + "."
        }
        "keyset" => issuer.sign_by_secret(&header, &claims, set.as_bytes()),
        "x" => issuer.sign_by_secret(&header, &claims, coordinate("x").as_bytes()),
        "point" => {
            let point = format!("{}{}", coordinate("x"), coordinate("y"));
            issuer.sign_by_secret(&header, &claims, point.as_bytes())
        }
        other => panic!("nobody is called {other}"),
    };
    let mut parts = token.splitn(3, '.');
    let mut next = || parts.next().expect("three parts");
    let (h, p, s) = (next(), next(), next());
    let form = case.get("form").unwrap_or("{h}.{p}.{s}");
    form.replace("{h}", h).replace("{p}", p).replace("{s}", s)
}

/// The text with its times.
fn timed(text: &str, now: i64) -> String {
    let mut pieces = text.split("{now");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (offset, rest) = piece.split_once('}').expect("an end");
        let offset: i64 = offset.parse().expect("a number of seconds");
        out.push_str(&(now + offset).to_string());
        out.push_str(rest);
    }
    out
}
