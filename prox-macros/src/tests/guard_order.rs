//! What is told of guards, held against guards that run.

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use proptest::prelude::*;
use prox_runtime::{Client, Guard, GuardFn, HttpRequest, Parts, client_ip, cookie, header, query};

use super::{compiled, guards::told};
use crate::{
    diag::Diagnostics,
    model::{
        Methods,
        guard::{Key, Point, Relation, read},
        tree::Forest,
    },
    syntax::cursor::tokens_of,
};

type Make = fn() -> GuardFn;

/// Guards as they are written, and as they run.
const GUARDS: [(&str, Make); 28] = [
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
    (r#"header("x").is("ab").or(cookie("c").is("1"))"#, || {
        header("x").is("ab").or(cookie("c").is("1"))
    }),
    (r#"header("x").is("ab").not()"#, || {
        header("x").is("ab").not()
    }),
    (r#"query("q").exists().not()"#, || query("q").exists().not()),
    (r#"cookie("c").is("1").not()"#, || cookie("c").is("1").not()),
    (r#"header("cookie").exists().not()"#, || {
        header("cookie").exists().not()
    }),
    (
        r#"client_ip().within("10.0.0.0/9").or(client_ip().within("10.128.0.0/9"))"#,
        || {
            client_ip()
                .within("10.0.0.0/9")
                .or(client_ip().within("10.128.0.0/9"))
        },
    ),
    (
        r#"header("x").one_of(["ab", "b"]).and(query("q").is("1")).or(header("x").absent())"#,
        || {
            header("x")
                .one_of(["ab", "b"])
                .and(query("q").is("1"))
                .or(header("x").absent())
        },
    ),
    (
        r#"(header("x").is("b").or(query("q").is("1"))).not()"#,
        || header("x").is("b").or(query("q").is("1")).not(),
    ),
    (
        r#"cookie("c").absent().or(header("x").starts_with("a"))"#,
        || cookie("c").absent().or(header("x").starts_with("a")),
    ),
    (
        r#"client_ip().within("10.0.0.0/8").not().and(header("x").exists())"#,
        || {
            client_ip()
                .within("10.0.0.0/8")
                .not()
                .and(header("x").exists())
        },
    ),
];

/// The guards as they run.
fn made() -> &'static [GuardFn] {
    static MADE: LazyLock<Vec<GuardFn>> =
        LazyLock::new(|| GUARDS.iter().map(|(_, make)| make()).collect());
    &MADE
}

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
            && made().get(guard).is_none_or(|made| made.accepts(parts))
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
    for (place, (a, _)) in GUARDS.iter().enumerate() {
        for (other, (b, _)) in GUARDS.iter().enumerate().skip(place + 1) {
            let told = told(&format!("\"/\" if {a} => x, \"/\" if {b} => y"));
            let ties = told.iter().any(|message| message.contains("ties with"));
            let answers = |place: usize| answers()[place].iter().copied();
            let pairs = || answers(place).zip(answers(other));
            let both = pairs().any(|(a, b)| a && b);
            // More conditions go before fewer.
            let as_many = decided(a).conditions() == decided(b).conditions();
            let apart = pairs().any(|(a, b)| a && !b) && pairs().any(|(a, b)| b && !a);
            let overlap = both && as_many && apart;
            assert_eq!(ties, overlap, "{a} {b}");
        }
    }
}

fn decided(text: &str) -> crate::model::guard::Guard {
    read(
        &tokens_of(text.parse().unwrap()),
        &mut Diagnostics::default(),
    )
}

/// What the decided guard says of a request.
fn accepts(guard: &crate::model::guard::Guard, parts: &Parts) -> bool {
    let value = |bytes: Option<&[u8]>| bytes.map_or(Point::Absent, |b| Point::Text(b.to_vec()));
    let pairs = |text: Option<&str>, at: char, name: &str| {
        let mut pairs = text.unwrap_or_default().split(at).map(str::trim);
        let found = pairs.find_map(|pair| {
            let (key, rest) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| rest.to_owned())
        });
        value(found.as_deref().map(str::as_bytes))
    };
    let point = |key: &Key| match key {
        Key::Header(name) => value(parts.headers.get(name).map(http::HeaderValue::as_bytes)),
        Key::Query(name) => pairs(parts.uri.query(), '&', name),
        Key::Cookie(name) => {
            let line = parts
                .headers
                .get("cookie")
                .map(|line| line.to_str().unwrap());
            pairs(line, ';', name)
        }
        Key::ClientIp => match parts.extensions.get::<Arc<Client>>().unwrap().ip() {
            None => Point::Absent,
            Some(std::net::IpAddr::V4(ip)) => Point::Address {
                is_v6: false,
                bits: ip.to_bits().into(),
            },
            Some(std::net::IpAddr::V6(ip)) => Point::Address {
                is_v6: true,
                bits: ip.to_bits(),
            },
        },
    };
    let mut cases = guard.cases().iter();
    cases.any(|case| case.tests().all(|(key, set)| set.contains(&point(key))))
}

/// A guard of any form, as it is written and as it runs.
#[derive(Clone, Debug)]
enum Tree {
    Atom(usize),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
}

impl Tree {
    fn any() -> impl Strategy<Value = Self> {
        let atom = (0..GUARDS.len()).prop_map(Self::Atom);
        atom.prop_recursive(3, 8, 2, |tree| {
            prop_oneof![
                (tree.clone(), tree.clone()).prop_map(|(a, b)| Self::And(a.into(), b.into())),
                (tree.clone(), tree.clone()).prop_map(|(a, b)| Self::Or(a.into(), b.into())),
                tree.prop_map(|tree| Self::Not(tree.into())),
            ]
        })
    }

    fn written(&self) -> String {
        match self {
            Self::Atom(place) => GUARDS[*place].0.to_owned(),
            Self::And(a, b) => format!("({}).and({})", a.written(), b.written()),
            Self::Or(a, b) => format!("({}).or({})", a.written(), b.written()),
            Self::Not(tree) => format!("({}).not()", tree.written()),
        }
    }

    fn made(&self) -> GuardFn {
        match self {
            Self::Atom(place) => GUARDS[*place].1(),
            Self::And(a, b) => a.made().and(b.made()),
            Self::Or(a, b) => a.made().or(b.made()),
            Self::Not(tree) => tree.made().not(),
        }
    }

    /// What each sample is told; none if the guard is refused, which is checked.
    fn decided(&self) -> Option<(crate::model::guard::Guard, Vec<bool>)> {
        let answers: Vec<bool> = {
            let made = self.made();
            samples().map(|parts| made.accepts(parts)).collect()
        };
        let mut diag = Diagnostics::default();
        let guard = read(&tokens_of(self.written().parse().unwrap()), &mut diag);
        (!guard.is_hole()).then_some((guard, answers))
    }
}

/// Requests of every kind that the guards tell apart, alone and together.
fn samples() -> impl Iterator<Item = &'static Parts> {
    static SAMPLES: LazyLock<Vec<Parts>> = LazyLock::new(all_samples);
    SAMPLES.iter()
}

fn all_samples() -> Vec<Parts> {
    let mut all = Vec::new();
    for x in [None, Some("a"), Some("ab"), Some("b"), Some("c"), Some("z")] {
        for query in ["", "?q=1", "?q=2"] {
            for line in [None, Some("c=1"), Some("c=2"), Some("d=1")] {
                for ip in ["10.0.0.1", "10.200.0.1", "11.0.0.1", "::1"] {
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
    all
}

/// What each guard says to each of the samples.
fn answers() -> &'static [Vec<bool>] {
    static ANSWERS: LazyLock<Vec<Vec<bool>>> = LazyLock::new(|| {
        let of = |made: &GuardFn| samples().map(|parts| made.accepts(parts)).collect();
        made().iter().map(of).collect()
    });
    &ANSWERS
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
            let candidates = forest.find(0, path);
            for sample in 0..answers()[0].len() {
                let winner = candidates.iter().find(|candidate| {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_decided_of_any_guard_is_what_it_does_when_it_runs(a in Tree::any(), b in Tree::any()) {
        let (Some((a, own)), Some((b, others))) = (a.decided(), b.decided()) else {
            return Ok(());
        };
        prop_assert!(!a.is_opaque() && !b.is_opaque());
        for (parts, runs) in samples().zip(&own) {
            prop_assert_eq!(accepts(&a, parts), *runs, "{:?}\n{:?}", a, parts);
        }
        let only = |one: &[bool], other: &[bool]| one.iter().zip(other).any(|(a, b)| *a && !b);
        let both = own.iter().zip(&others).any(|(a, b)| *a && *b);
        prop_assert_eq!(a.implies(&b), !only(&own, &others));
        prop_assert_eq!(b.implies(&a), !only(&others, &own));
        prop_assert_eq!(a.common(&b).is_some(), both);
        let wanted = match (only(&own, &others), only(&others, &own), both) {
            (false, false, _) => Relation::Same,
            (true, true, true) => Relation::Overlap,
            _ => Relation::Apart,
        };
        prop_assert_eq!(a.relation(&b), wanted);
        prop_assert_eq!(a == b, wanted == Relation::Same, "{:?}\n{:?}", a, b);
        if a.implies(&b) && !b.implies(&a) {
            prop_assert_eq!(a.specificity(&b), std::cmp::Ordering::Greater, "{:?}\n{:?}", a, b);
        }
        if let Some(rest) = a.rest(&[&b]) {
            let rest = crate::model::guard::Guard::of_case(rest);
            let left = samples().zip(own.iter().zip(&others));
            for (parts, (a, b)) in left.filter(|(parts, _)| accepts(&rest, parts)) {
                prop_assert!(*a && !*b, "{:?}", parts);
            }
        }
    }

    #[test]
    fn a_guard_is_refused_only_for_what_it_does(a in Tree::any(), b in Tree::any()) {
        let (Some((_, own)), Some((_, others))) = (a.decided(), b.decided()) else {
            return Ok(());
        };
        let none = own.iter().zip(&others).all(|(a, b)| !(*a && *b));
        prop_assert_eq!(Tree::And(a.clone().into(), b.clone().into()).decided().is_none(), none);
        let within = |one: &[bool], other: &[bool]| one.iter().zip(other).all(|(a, b)| !a || *b);
        let all = own.iter().zip(&others).all(|(a, b)| *a || *b);
        let vain = within(&own, &others) || within(&others, &own) || all;
        prop_assert_eq!(Tree::Or(a.into(), b.into()).decided().is_none(), vain);
    }
}
