use http::HeaderValue;

use super::*;

fn headers(names: &[&str]) -> HeaderMap {
    let field = |name: &&str| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_static("1"))
    };
    names.iter().map(field).collect()
}

fn left(names: &[&str], client: &Client) -> Vec<String> {
    let mut headers = headers(names);
    remove(&mut headers, client);
    let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

#[test]
fn every_name_of_the_list_is_a_claim_in_every_spelling() {
    for claim in CLAIMS {
        let name = claim.trim_end_matches('*');
        let spellings = [
            name.to_owned(),
            name.replace('-', "_"),
            name.replace('-', "."),
            name.replace('-', ""),
            name.replacen('-', "--", 1),
            name.to_ascii_uppercase(),
            format!("_{name}~"),
            name.chars().flat_map(|c| [c, '!']).collect(),
        ];
        for spelling in spellings {
            assert!(is_claim(&spelling), "{spelling}");
        }
    }
}

#[test]
fn what_is_not_a_claim_passes() {
    for name in [
        "host",
        "accept",
        "authorization",
        "cookie",
        "content-length",
        "content-type",
        "user-agent",
        "referer",
        "te",
        "trailer",
        "via",
        "forward",
        "x",
        "-",
        "x-f",
        "x-forward",
        "x-request-id",
        "x-requested-with",
        "x-csrf-token",
        "x-real",
        "x-real-ip-2",
        "client",
        "early-data",
        "cdn-loop",
        "x-original-filename",
        "x-amzn-trace-id",
        "traceparent",
        "cf-ray",
        "x-client-version",
        "x-hostname",
        "remote-user",
        "origin",
        "cache-control",
        "clients",
        "range",
        "priority",
        "upgrade",
    ] {
        assert!(!is_claim(name), "{name}");
    }
}

#[test]
fn a_stranger_claims_nothing() {
    let stranger = Client::new(None);
    let sent = [
        "x-real-ip",
        "x_real_ip",
        "x-forwarded-port",
        "x-other",
        "client-cert",
    ];
    assert_eq!(left(&sent, &stranger), ["x-other"]);
}

#[test]
fn a_trusted_proxy_claims_in_the_usual_spelling() {
    let trust = crate::client::Trust::read(["10.0.0.0/8"]).unwrap();
    let proxy = Client::new(Some("10.0.0.1:80".parse().unwrap()));
    let trusted = proxy.behind(&HeaderMap::new(), &trust);
    let sent = [
        "x-real-ip",
        "x_real_ip",
        "x-forwarded-port",
        "x-forwarded_port",
        "x.forwarded-for",
        "xforwardedfor",
    ];
    assert_eq!(left(&sent, &trusted), ["x-forwarded-port", "x-real-ip"]);
}

#[test]
fn a_name_that_is_passed_on_passes_in_that_spelling() {
    let names = read(["X-Real-IP", "x-forwarded-port"]).unwrap();
    let client = Client::new(None).passing(&names);
    let sent = [
        "x-real-ip",
        "x-real.ip",
        "x-forwarded-port",
        "x-forwarded-server",
    ];
    assert_eq!(left(&sent, &client), ["x-forwarded-port", "x-real-ip"]);
}

#[test]
fn each_name_that_cannot_be_passed_on_is_told_with_what_to_write() {
    let names = ["x_real_ip", "x-fine", "a b", "X-Forwarded-For", "forwarded"];
    let problems = read(names).unwrap_err();
    let expected = [
        "\"x_real_ip\" is another spelling of a claim: write \"x-real-ip\"",
        "\"x-fine\" is not a claim, and passes already: remove it",
        "\"a b\" is not the name of a field",
        "\"X-Forwarded-For\" is written by the gateway: remove it, and name the proxies that may claim it in `trusted_proxies`",
        "\"forwarded\" is written by the gateway: remove it, and name the proxies that may claim it in `trusted_proxies`",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn names_that_most_requests_have_are_not_looked_for_in_the_list() {
    for name in [
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "if-none-match",
        "origin",
        "priority",
        "referer",
        "sec-ch-ua",
        "sec-fetch-mode",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-request-id",
        "x-requested-with",
    ] {
        assert_eq!(BEGINNINGS.look_up(name), None, "{name}");
    }
}
