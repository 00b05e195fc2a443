//! What is told of guards, held against guards that run.

use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
};

use proptest::prelude::*;
use prox_runtime::{Client, Guard, GuardFn, HttpRequest, Parts, client_ip, cookie, header, query};

use super::{compiled, guards::told};
use crate::model::{Methods, tree::Forest};

type Make = fn() -> GuardFn;

/// Guards as they are written, and as they run.
const GUARDS: [(&str, Make); 18] = [
    (r#"header("x").is("ab")"#, || header("x").is("ab")),
    (r#"header("x").is("b")"#, || header("x").is("b")),
    (r#"header("X").starts_with("a")"#, || {
        header("X").starts_with("a")
    }),
    (r#"header("x").exists()"#, || header("x").exists()),
    (r#"header("x").absent()"#, || header("x").absent()),
    (r#"header("x").one_of(["ab", "b"])"#, || {
        header("x").one_of(["ab", "b"])
    }),
    (r#"header("x").one_of(["b", "c"])"#, || {
        header("x").one_of(["b", "c"])
    }),
    (r#"cookie("c").absent()"#, || cookie("c").absent()),
    (r#"query("q").absent()"#, || query("q").absent()),
    (r#"query("q").is("1")"#, || query("q").is("1")),
    (r#"query("q").exists()"#, || query("q").exists()),
    (r#"cookie("c").is("1")"#, || cookie("c").is("1")),
    (r#"header("cookie").exists()"#, || header("cookie").exists()),
    (r#"client_ip().within("10.0.0.0/8")"#, || {
        client_ip().within("10.0.0.0/8")
    }),
    (r#"client_ip().within("10.0.0.0/9")"#, || {
        client_ip().within("10.0.0.0/9")
    }),
    (r#"client_ip().within("10.128.0.0/9")"#, || {
        client_ip().within("10.128.0.0/9")
    }),
    (r#"header("x").exists().and(query("q").exists())"#, || {
        header("x").exists().and(query("q").exists())
    }),
    (r#"query("q").is("1").and(header("x").is("ab"))"#, || {
        query("q").is("1").and(header("x").is("ab"))
    }),
];

/// A route: its pattern, its methods, and its guard by number, the last of which is none.
type Line = (&'static str, &'static str, usize);

fn line() -> impl Strategy<Value = Line> {
    (
        prop::sample::select(&["\"/a\"", "\"/a\"", "exact \"/a\"", "\"/{p}\"", "\"/{*r}\""][..]),
        prop::sample::select(&["", "", "GET", "GET | POST", "HEAD"][..]),
        0..=GUARDS.len(),
    )
}

fn written(lines: &[Line]) -> String {
    let mut text = String::new();
    for (number, (path, methods, guard)) in lines.iter().enumerate() {
        let guard = GUARDS
            .get(*guard)
            .map_or(String::new(), |(text, _)| format!("if {text}"));
        let _ = writeln!(text, "{methods} {path} {guard} => t{number},");
    }
    text
}

fn request() -> impl Strategy<Value = Parts> {
    let value =
        |values: &'static [&'static str]| prop::collection::vec(prop::sample::select(values), 0..3);
    (
        value(&["a", "ab", "b", ""]),
        value(&["q=1", "q=2", "q", "r=1"]),
        value(&["c=1", "c=2; c=1", "d=1"]),
        prop::sample::select(&["10.0.0.1", "10.200.0.1", "11.0.0.1", ""][..]),
    )
        .prop_map(|(headers, queries, cookies, ip)| {
            let mut builder = HttpRequest::builder().uri(format!("/?{}", queries.join("&")));
            for value in headers {
                builder = builder.header("x", value);
            }
            for value in cookies {
                builder = builder.header("cookie", value);
            }
            let mut parts = builder.body(()).unwrap().into_parts().0;
            let ip: Option<std::net::IpAddr> = ip.parse().ok();
            let client = Client::new(ip.map(|ip| (ip, 80).into()));
            parts.extensions.insert(Arc::new(client));
            parts
        })
}

/// The line that takes the request, asked in the order of the candidates as the gateway asks.
fn winner(
    lines: &[Line],
    forest: &Forest,
    path: &str,
    method: &str,
    parts: &Parts,
) -> Option<Line> {
    let takes = |candidate: &&crate::model::tree::Candidate| {
        let (_, _, guard) = lines[candidate.route];
        Methods(candidate.methods).contains(Methods::of(method, &[]))
            && GUARDS
                .get(guard)
                .is_none_or(|(_, make)| make().accepts(parts))
    };
    let taking = forest.find(0, path).iter().find(takes)?;
    Some(lines[taking.route])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_order_of_lines_never_decides(
        (lines, shuffled) in prop::collection::vec(line(), 1..6)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        requests in prop::collection::vec(request(), 8),
    ) {
        let (_, forest, diag) = compiled(&written(&lines));
        let (_, other, other_diag) = compiled(&written(&shuffled));
        prop_assert_eq!(diag.messages().is_empty(), other_diag.messages().is_empty());
        if !diag.messages().is_empty() {
            return Ok(());
        }
        for parts in &requests {
            for path in ["/a", "/a/", "/a/b", "/b", "/"] {
                for method in ["GET", "HEAD", "POST", "PUT"] {
                    prop_assert_eq!(
                        winner(&lines, &forest, path, method, parts),
                        winner(&shuffled, &other, path, method, parts),
                        "{} {} {:?}\n{}", method, path, parts, written(&lines)
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_told_to_tie_has_a_request_that_both_take() {
    // Every pair of guards on one path: a tie is told if and only if both have as many conditions and overlap.
    for (place, (a, make_a)) in GUARDS.iter().enumerate() {
        for (b, make_b) in GUARDS.iter().skip(place + 1) {
            let ties = told(&format!("\"/\" if {a} => x, \"/\" if {b} => y")).len() == 2;
            let both = samples().any(|parts| make_a().accepts(&parts) && make_b().accepts(&parts));
            let only = |one: &Make, other: &Make| {
                samples().any(|parts| one().accepts(&parts) && !other().accepts(&parts))
            };
            // More conditions go before fewer.
            let conditions = |guard: &str| guard.matches(".and(").count();
            let as_many = conditions(a) == conditions(b);
            let overlap = both && as_many && only(make_a, make_b) && only(make_b, make_a);
            assert_eq!(ties, overlap, "{a} {b}");
        }
    }
}

/// Requests of every kind that the guards tell apart, alone and together.
fn samples() -> impl Iterator<Item = Parts> {
    let mut all = Vec::new();
    for x in [None, Some("a"), Some("ab"), Some("b"), Some("c")] {
        for query in ["", "?q=1", "?q=2"] {
            for line in [None, Some("c=1"), Some("c=2"), Some("d=1")] {
                for ip in ["10.0.0.1", "10.200.0.1", "11.0.0.1"] {
                    let mut builder = HttpRequest::builder().uri(format!("/{query}"));
                    if let Some(x) = x {
                        builder = builder.header("x", x);
                    }
                    if let Some(line) = line {
                        builder = builder.header("cookie", line);
                    }
                    let mut parts = builder.body(()).unwrap().into_parts().0;
                    let peer = (ip.parse::<std::net::IpAddr>().unwrap(), 80).into();
                    parts.extensions.insert(Arc::new(Client::new(Some(peer))));
                    all.push(parts);
                }
            }
        }
    }
    all.into_iter()
}

/// What each guard says to each of the samples.
fn answers() -> &'static Vec<Vec<bool>> {
    static ANSWERS: OnceLock<Vec<Vec<bool>>> = OnceLock::new();
    ANSWERS.get_or_init(|| {
        let of = |make: Make| samples().map(|parts| make().accepts(&parts)).collect();
        GUARDS.iter().map(|(_, make)| of(*make)).collect()
    })
}

/// Whether each line takes any request at all.
fn winners(lines: &[Line], forest: &Forest) -> Vec<bool> {
    let mut wins = vec![false; lines.len()];
    for path in [
        "/", "//", "//x", "/a", "/a/", "/a//", "/a/b", "/b", "/b/", "/b/c",
    ] {
        for method in ["GET", "HEAD", "POST", "PURGE"] {
            let method = match Methods::of(method, &[]) {
                none if none.is_empty() => Methods(1 << 9),
                method => method,
            };
            for sample in 0..samples().count() {
                let winner = forest.find(0, path).iter().find(|candidate| {
                    Methods(candidate.methods).contains(method)
                        && answers()
                            .get(lines[candidate.route].2)
                            .is_none_or(|answers| answers[sample])
                });
                if let Some(winner) = winner {
                    wins[winner.route] = true;
                }
            }
        }
    }
    wins
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_told_to_be_in_vain_takes_nothing_and_all_else_something(
        lines in prop::collection::vec(line(), 1..7),
    ) {
        let source = written(&lines);
        let (_, forest, diag) = compiled(&source);
        let messages = diag.messages();
        if messages.iter().all(|message| message.contains("can never be reached")) {
            let idle = winners(&lines, &forest).iter().filter(|wins| !**wins).count();
            prop_assert_eq!(idle, messages.len(), "{}\n{:#?}", source, messages);
        }
    }
}
