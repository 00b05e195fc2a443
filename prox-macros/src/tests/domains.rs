//! Literals: each option with one has a domain, and what is not in it is told so once.

use std::{collections::BTreeSet, path::Path};

use super::messages;
use crate::check::domains;

/// The first lines of the messages of a cluster with these options.
fn told(options: &str) -> Vec<String> {
    let source = format!(
        "backend m = \"http://m\"; \"/\" => cluster(hash(header(\"x\")), [\"http://a\", \"http://b\"]){options}, \"/m\" => m"
    );
    let first = |text: &String| text.lines().next().map(str::to_owned);
    messages(&source).iter().filter_map(first).collect()
}

#[test]
fn literals_in_their_domain_are_told_nothing() {
    for options in [
        ".timeout(1ms)",
        ".timeout(8760h)",
        ".retry(0)",
        ".max_connections(1)",
        ".mirror(m, 0.0)",
        ".mirror(m, 1.0)",
        ".retry(RetryOptions::new(2).back_off(0ms, 0ms).patience(0s))",
        ".passive(PassiveOptions::new().in_a_row(0).share(101, 1, 1s).at_most(0))",
        ".max_connections(1).queue(QueueOptions::new().length(0))",
        ".pool(PoolOptions::new().max_idle(0))",
        ".health(http(\"/x?y=1\").expect(200..=200).host(\"[::1]:80\"))",
        ".health(http(\"/x\").expect(..).every(10ms))",
        ".health(http(\"/x\").expect(204..))",
        ".health(grpc()).http2()",
        ".sticky(cookie(\"__Host-id\"))",
        ".sticky(Sticky::cookie(\"a\").same_site(SameSite::None).secure(true).max_age(1h).path(\"/x\"))",
        ".sticky(Sticky::cookie(\"a\").same_site(SameSite::None).secure(SECURE).domain(DOMAIN))",
        ".sticky(Sticky::cookie(\"__Host-a\").path(\"/\").same_site(SameSite::Strict))",
        ".host_header(\"app.example:8080\").required_if(true).http2_if(HTTP2).health(grpc())",
        ".allow_equal_lengths().allow_folded_fields_if(true).allow_bare_line_feeds_if(FLAG)",
        ".http2_if(true).allow_equal_lengths()",
        // Of values that are not ours nothing is known.
        ".health(mine().every(0s).fall(0))",
        ".retry(mine::Options::new(-1))",
        ".max_response_header_size(64KiB).max_response_headers(1)",
        ".max_response_header_size(65536)",
        ".timeout(WAIT)",
        ".timeout(2 * 0s)",
    ] {
        assert_eq!(told(options), Vec::<String>::new(), "{options}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn literals_outside_of_their_domain_are_told_so_once() {
    for (options, wanted) in [
        (
            ".timeout(0s)",
            "`timeout` of `0s` ends every request at once",
        ),
        (
            ".timeout(0s).connect_timeout(1s)",
            "`timeout` of `0s` ends every request at once",
        ),
        (".hedge(0ms)", "`hedge` of `0ms` sends every request twice"),
        (
            ".idle_timeout(8761h)",
            "`idle_timeout` of `8761h` is longer than a year",
        ),
        (
            ".timeout(5)",
            "`timeout` expects a duration, but `5` has no unit",
        ),
        (
            ".timeout(16KiB)",
            "`timeout` expects a duration, but `16KiB` is a size",
        ),
        (".timeout(-5s)", "`-5s` is negative"),
        (".timeout(5sec)", "`sec` is not a unit; write `5s`"),
        (
            ".max_connections(-1)",
            "`max_connections` expects a whole number, but `-1` is negative",
        ),
        (
            ".max_connections(1.5)",
            "`max_connections` expects a whole number, but `1.5` is a fraction",
        ),
        (
            ".max_response_header_size(0KiB)",
            "`max_response_header_size` of 0 lets no response through",
        ),
        (
            ".max_response_headers(0)",
            "`max_response_headers` of 0 lets no response through",
        ),
        (".mirror(m, 1.5)", "`1.5` is not a share of the requests"),
        (".mirror(m, -0.5)", "`-0.5` is not a share of the requests"),
        (".mirror(m, 10)", "`10` is not a share of the requests"),
        (".mirror(m, 10%)", "unexpected `%` after `10`"),
        (
            ".mirror(m, MirrorOptions::new(2.0))",
            "`2.0` is not a share of the requests",
        ),
        (
            ".retry(RetryOptions::new(\"2\"))",
            "`RetryOptions::new` expects a whole number, but `\"2\"` is a string",
        ),
        (
            ".breaker(BreakerOptions::new().share(50, 0, 1s))",
            "`share` of 0 needs at least one request to judge an endpoint",
        ),
        (
            ".breaker(prox::BreakerOptions::new().share(50, 1, 0s))",
            "`share` of `0s` counts nothing",
        ),
        (
            ".passive(PassiveOptions::new().share(0, 1, 1s))",
            "`share` of 0 ejects endpoints that have not failed",
        ),
        (
            ".passive(PassiveOptions::new().at_most(4294967296))",
            "`at_most` of 4294967296 is more than 4294967295",
        ),
        (
            ".health(http(\"x\"))",
            "the path of a health check must start with `/`",
        ),
        (
            ".health(http(\"http://a/x\"))",
            "expected a path, found a URL: a health check uses the endpoints of the cluster",
        ),
        (
            ".health(http(\"/x\").expect(300..200))",
            "the range `300..200` is empty",
        ),
        (
            ".health(http(\"/x\").expect(600..))",
            "`600..` contains no response status",
        ),
        (
            ".health(http(\"/x\").every(9ms))",
            "`every` of `9ms` is less than the minimum of 10 ms",
        ),
        (
            ".health(tcp().timeout(0s))",
            "`timeout` of `0s` fails every check",
        ),
        (
            ".health(tcp().every(0s).timeout(1s))",
            "`every` of `0s` never pauses between two checks",
        ),
        (
            ".health(http(\"/x\").host(\"http://a\"))",
            "unexpected scheme in a host",
        ),
        (".health(http(\"/x\").host(\"a:b\"))", "`b` is not a port"),
        (
            ".health(grpc())",
            "`grpc()` needs HTTP/2, which this cluster does not use",
        ),
        (".sticky(cookie(\"\"))", "the name of a cookie is empty"),
        (
            ".sticky(Sticky::cookie(\"a;b\"))",
            "`;` is not allowed in the name of a cookie",
        ),
        (
            ".preserve_host_if(\"yes\")",
            "`preserve_host_if` expects `true` or `false`, but `\"yes\"` is a string",
        ),
        (".http2_if(-5s)", "`-5s` is negative"),
        (
            ".allow_folded_fields_if(1)",
            "`allow_folded_fields_if` expects `true` or `false`, but `1` is a number",
        ),
        (
            ".http2().allow_bare_line_feeds()",
            "`allow_bare_line_feeds` has no effect: it is about lines of HTTP/1.1, and this cluster uses HTTP/2",
        ),
        (".http2_if()", "`http2_if` expects `true` or `false`"),
        (
            ".sticky(Sticky::cookie(\"a\").secure(1))",
            "`secure` expects `true` or `false`, but `1` is a number",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").domain(\".a.example\"))",
            "unexpected `.` at the start of the domain of a cookie: it always includes subdomains",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").domain(\"a b\"))",
            "a space is not allowed in the domain of a cookie",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").domain(\"a..b\"))",
            "empty label in the domain",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").path(\"x\"))",
            "the path of a cookie must start with `/`",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").path(\"/;x\"))",
            "`;` is not allowed in the path of a cookie",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").max_age(0s))",
            "`max_age` of `0s` removes the cookie",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").max_age(3600))",
            "`max_age` expects a duration, but `3600` has no unit",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").same_site(SameSite::None))",
            "browsers reject a `SameSite=None` cookie without `Secure`",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").same_site(prox::SameSite::None).secure(false))",
            "browsers reject a `SameSite=None` cookie without `Secure`",
        ),
        (
            ".sticky(Sticky::cookie(\"__Host-a\").domain(\"a.example\"))",
            "browsers reject the cookie `__Host-a` with a domain, or with a path other than `/`",
        ),
        (
            ".sticky(Sticky::cookie(\"__Secure-a\").secure(false))",
            "browsers reject the cookie `__Secure-a` without `Secure`",
        ),
        (
            ".sticky(Sticky::cookie(\"a\").path(\"/x\").path(\"/y\"))",
            "duplicate `.path(..)`: it replaces the one before",
        ),
        (".host_header(\"http://a\")", "unexpected scheme in a host"),
        (
            ".preserve_host().preserve_host_if(true)",
            "duplicate `.preserve_host_if(..)`: it replaces the one before",
        ),
        (
            ".preserve_host().host_header(\"a\")",
            "duplicate `.host_header(..)`: it replaces the one before",
        ),
        (
            ".sticky(cookie(5))",
            "`cookie` expects a string, but `5` is a number",
        ),
        (
            ".tls(UpstreamTls::new())",
            "`.tls(..)` has no effect: no endpoint is `https://`",
        ),
    ] {
        assert_eq!(told(options), [wanted], "{options}");
    }
}

#[test]
fn options_of_a_variable_are_judged_as_those_of_a_cluster() {
    let told = |target: &str| messages(&format!("env API: Endpoint; \"/a/{{id}}\" => {target}"));
    for fine in [
        "API",
        "API.rewrite(\"/{id}\").timeout(1s).required()",
        "API.max_connections(5).health(http(\"/x\").every(1s))",
        "split { 1 => API.rewrite(\"/\"), 2 => API }",
    ] {
        assert_eq!(told(fine), Vec::<String>::new(), "{fine}");
    }
    for (target, wanted) in [
        (
            "API.timeout(0s)",
            "`timeout` of `0s` ends every request at once",
        ),
        (
            "API.timeout(5)",
            "`timeout` expects a duration, but `5` has no unit",
        ),
        (
            "API.timeout(1s).timeout(2s)",
            "duplicate `.timeout(..)`: it replaces the one before",
        ),
        ("API.retries(2)", "unknown option `retries`"),
        (
            "split { 1 => API.timeout(0s), 2 => API }",
            "`timeout` of `0s` ends every request at once",
        ),
    ] {
        let told = told(target);
        assert_eq!(told.len(), 1, "{target}: {told:?}");
        assert!(told[0].starts_with(wanted), "{target}: {told:?}");
    }
}

#[test]
fn a_name_of_the_gateway_is_not_a_word() {
    let source = "let cookie = mine; \"/\" => cluster(rr, [A]).sticky(cookie(5))";
    assert_eq!(messages(source), Vec::<String>::new());
    // A closure that could be meant is reported, and its argument is not judged as that of the word.
    let source = "let cookie = |n: u8| mine(n); \"/\" => cluster(rr, [A]).sticky(cookie(5))";
    assert_eq!(messages(source).len(), 1, "{:?}", messages(source));
}

/// What an option takes that can be a literal.
const LITERALS: [&str; 11] = [
    "bool",
    "Duration",
    "u8",
    "u32",
    "u64",
    "usize",
    "f64",
    "impl Into<String>",
    "impl AsRef<str>",
    "impl AsRef<[u8]>",
    "impl RangeBounds<u16>",
];

/// Options of the runtime, read off its sources: what has them, and the file.
const SOURCES: [(&str, &str); 15] = [
    ("target", "cluster/builder.rs"),
    ("target", "cluster/mod.rs"),
    ("endpoint", "cluster/list.rs"),
    ("check", "cluster/health/active.rs"),
    ("check", "cluster/health/http.rs"),
    ("check", "cluster/health/grpc.rs"),
    ("RetryOptions", "cluster/retry.rs"),
    ("HedgeOptions", "cluster/hedge.rs"),
    ("BudgetOptions", "cluster/budget.rs"),
    ("MirrorOptions", "cluster/mirror.rs"),
    ("PassiveOptions", "cluster/health/passive.rs"),
    ("SlowStart", "cluster/health/slow_start.rs"),
    ("BreakerOptions", "cluster/breaker.rs"),
    ("Sticky", "cluster/balance/sticky.rs"),
    ("QueueOptions", "cluster/queue/mod.rs"),
];

/// Options whose literals have checks of their own, or may be anything.
const ELSEWHERE: [(&str, &str); 2] = [("target", "rewrite"), ("check", "service")];

#[test]
fn every_option_with_a_literal_has_a_domain() {
    let mut missing = BTreeSet::new();
    let mut found = 0;
    for (owner, file) in SOURCES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../prox-runtime/src")
            .join(file);
        let source = std::fs::read_to_string(path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for line in source.lines() {
            let line = line.trim_start();
            let Some(rest) = line.strip_prefix("pub fn ").or(line.strip_prefix("fn ")) else {
                continue;
            };
            let Some((name, rest)) = rest.split_once('(') else {
                continue;
            };
            let Some(end) = rest.rfind(')') else { continue };
            let (arguments, result) = rest.split_at(end);
            // Builders alone: what gives back what it is called on, or makes it.
            if name == "from" || !(result.contains("Self") || result.contains("Result<Endpoint")) {
                continue;
            }
            let arguments = arguments.strip_prefix("mut self, ").unwrap_or(arguments);
            let arguments = arguments.strip_prefix("self, ").unwrap_or(arguments);
            for (place, argument) in arguments.split(", ").enumerate() {
                let ty = argument.split_once(": ").map_or("", |(_, ty)| ty);
                if !LITERALS.contains(&ty) {
                    continue;
                }
                found += 1;
                let elsewhere = ELSEWHERE.contains(&(owner, name));
                if !elsewhere && !domains::has(owner, name, place) {
                    missing.insert(format!("{owner}.{name}, argument {place}: {ty}"));
                }
            }
        }
    }
    assert!(found > 40, "only {found} options were found");
    assert!(missing.is_empty(), "without a domain: {missing:#?}");
}
