//! The tables of the runtime, the tree of the model and a plain reading of the rules give the same candidates.

#![allow(clippy::format_collect, reason = "short sources, read more easily so")]

use std::cmp::Ordering;

use proptest::prelude::*;
use prox_runtime::{Candidate, Methods, Table, Tree};

use super::compiled;
use crate::{
    expand::tables::Flat,
    model::{Host, Model, Route, tree::Forest},
    syntax::{
        host::HostName,
        pattern::{Kind, Pattern, Segment, Tail},
    },
};

const SEGMENTS: [&str; 18] = [
    "a",
    "b",
    "{x}",
    "{y}",
    "{i: int}",
    "{u: uuid}",
    "{s: slug}",
    "{v: 'a' | 'b'}",
    "{w: 'a' | '7' | 'a~'}",
    "{q: 'eight-ch' | '00000000-0000-4000-8000-000000000000'}",
    "7",
    "00000000-0000-4000-8000-000000000000",
    "a~",
    "users",
    "eight-ch",
    "a-segment-of-many-bytes-1",
    "a-segment-of-many-bytes-2",
    "eight-chars",
];

pub(super) const REQUESTED: [&str; 14] = [
    "a",
    "b",
    "c",
    "7",
    "8",
    "a~",
    "00000000-0000-4000-8000-000000000000",
    "10000000-0000-4000-8000-00000000000f",
    "",
    "users",
    "eight-ch",
    "a-segment-of-many-bytes-1",
    "a-segment-of-many-bytes-2",
    "eight-chars",
];

const HOSTS: [&str; 6] = [
    "_",
    "\"a.b\"",
    "\"*.a.b\"",
    "\"*.b\" | \"c.d\"",
    "\"*.x.a.b\"",
    "\"an-exact-name.of-many-bytes.example.com\"",
];

pub(super) const ASKED: [&str; 9] = [
    "",
    "a.b",
    "z.a.b",
    "y.x.a.b",
    "b",
    "q.b",
    "c.d",
    ".a.b",
    "an-exact-name.of-many-bytes.example.com",
];

fn route() -> impl Strategy<Value = (usize, String)> {
    guarded(&[
        "",
        "",
        "if g",
        "if header(\"x\").is(\"1\")",
        "if header(\"x\").exists()",
    ])
}

/// Any route, with one of these guards: the number of its host, and its line.
pub(super) fn guarded(guards: &'static [&'static str]) -> impl Strategy<Value = (usize, String)> {
    let path = prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 0..4);
    let methods = prop::sample::select(&["", "", "GET", "POST", "GET | PUT", "HEAD"][..]);
    let tail = prop::sample::select(&["", "exact", "slash", "rest"][..]);
    let guard = prop::sample::select(guards);
    (0..HOSTS.len(), methods, path, tail, guard).prop_map(|(host, methods, path, tail, guard)| {
        // The same name twice in a path would be an error.
        let path: String = path
            .iter()
            .enumerate()
            .map(|(at, segment)| format!("/{}", named(segment, at)))
            .collect();
        let (exact, path) = match tail {
            "exact" if path.is_empty() => ("exact", String::from("/")),
            "exact" => ("exact", path),
            "slash" => ("exact", format!("{path}/")),
            "rest" => ("", format!("{path}/{{*rest}}")),
            _ if path.is_empty() => ("", String::from("/")),
            _ => ("", path),
        };
        (host, format!("{methods} {exact} \"{path}\" {guard} => x,"))
    })
}

/// The segment with a name of its own for its parameter.
fn named(segment: &str, at: usize) -> String {
    match segment.strip_prefix('{') {
        Some(rest) => format!("{{p{at}_{rest}"),
        None => segment.to_owned(),
    }
}

pub(super) fn source(routes: &[(usize, String)]) -> String {
    let mut text = String::new();
    for (place, host) in HOSTS.iter().enumerate() {
        let lines: Vec<&str> = routes
            .iter()
            .filter(|(host, _)| *host == place)
            .map(|(_, line)| line.as_str())
            .collect();
        let block = format!("host {host} {{ {} }}\n", lines.join("\n"));
        text.push_str(&block);
    }
    text
}

pub(super) fn table(model: &Model, forest: &Forest) -> Table {
    if model.ons.is_empty() {
        return table_of(&model.hosts, forest);
    }
    let tables = model.tables().into_iter().map(|hosts| {
        let forest = Forest::of(model, hosts.clone());
        table_of(&model.hosts[hosts], &forest)
    });
    let mut tables: Vec<Table> = tables.collect();
    let first = tables.remove(0);
    let names = model.ons.iter().map(|on| &*on.name.value.clone().leak());
    first.with_listeners(Vec::leak(names.zip(tables).collect()))
}

fn table_of(hosts: &[Host], forest: &Forest) -> Table {
    const MOST: usize = 4096;
    let flat = Flat::new(hosts, forest);
    let nodes = flat.nodes.len() / Flat::NODE;
    let edges = flat.edges.len() / Flat::EDGE;
    let candidates = flat.candidates.len() / Flat::CANDIDATE;
    assert!(
        nodes.max(edges).max(candidates) <= MOST,
        "the test's tables are too small"
    );
    let padded = |list: &[u32], each: usize| {
        let mut list = list.to_vec();
        list.resize(MOST * each, 0);
        list
    };
    let trees = flat
        .trees
        .iter()
        .map(|root| Tree::new(*root, None))
        .collect();
    Table::new(
        flat.text.clone().leak(),
        &Box::leak(Box::new(prox_runtime::nodes::<MOST>(&padded(
            &flat.nodes,
            Flat::NODE,
        ))))[..nodes],
        &Box::leak(Box::new(prox_runtime::edges::<MOST>(&padded(
            &flat.edges,
            Flat::EDGE,
        ))))[..edges],
        Vec::leak(trees),
        flat.lists.clone().leak(),
        &Box::leak(Box::new(prox_runtime::candidates::<MOST>(&padded(
            &flat.candidates,
            Flat::CANDIDATE,
        ))))[..candidates],
    )
    .with_kinds(flat.kinds.clone().leak())
}

/// The rules, read one route at a time.
fn naive(model: &Model, host: &str, path: &str) -> Vec<Candidate> {
    let host = naive_host(model, host);
    let mut taking: Vec<(usize, &Route)> = model
        .routes
        .iter()
        .enumerate()
        .filter(|(_, route)| route.host == host && takes(route.pattern.as_ref().unwrap(), path))
        .collect();
    taking.sort_by(|(i, a), (j, b)| {
        let any = |route: &Route| route.label == "*";
        let (x, y) = (a.pattern.as_ref().unwrap(), b.pattern.as_ref().unwrap());
        more_specific(x, y)
            .then(values(x).cmp(&values(y)))
            .then(b.accepts.specificity(&a.accepts))
            .then(any(a).cmp(&any(b)))
            .then(i.cmp(j))
    });
    let mut candidates = Vec::new();
    for (place, route) in taking {
        let candidate = Candidate {
            route: u32::try_from(place).unwrap(),
            methods: Methods::from_bits(route.methods.0),
            guarded: route.guard.is_some(),
        };
        candidates.push(candidate);
        if !candidate.guarded && candidate.methods == Methods::ALL {
            break;
        }
    }
    candidates
}

fn naive_host(model: &Model, host: &str) -> usize {
    let names = || {
        let hosts = model.hosts.iter().enumerate();
        hosts.flat_map(|(place, host)| host.names.iter().map(move |(name, _)| (place, name)))
    };
    let exact = names().find(|(_, name)| **name == HostName::Exact(host.to_owned()));
    let suffix = names()
        .filter_map(|(place, name)| match name {
            HostName::Suffix(suffix) => {
                let rest = host.strip_suffix(&format!(".{suffix}"))?;
                (!rest.is_empty()).then_some((suffix.len(), place))
            }
            HostName::Exact(_) => None,
        })
        .max();
    exact
        .map(|(place, _)| place)
        .or(suffix.map(|(_, place)| place))
        .unwrap_or(0)
}

fn takes(pattern: &Pattern, path: &str) -> bool {
    let segments: Vec<&str> = path[1..].split('/').collect();
    let count = pattern.segments.len();
    let start = pattern
        .segments
        .iter()
        .zip(&segments)
        .all(|(segment, text)| match segment {
            Segment::Literal(literal) => literal == text,
            Segment::Param(_, kind) => kind.takes(text),
        });
    start
        && match pattern.tail {
            Tail::Exact => segments.len() == count,
            Tail::Prefix => segments.len() >= count,
            Tail::Rest(_) => segments.len() > count && !segments[count..].join("/").is_empty(),
        }
}

/// How many values the lists have.
fn values(pattern: &Pattern) -> usize {
    let values = pattern.segments.iter().map(|segment| match segment {
        Segment::Param(_, Kind::OneOf(values)) => values.len(),
        _ => 0,
    });
    values.sum()
}

/// Segment by segment: literal, parameter, `{*rest}`, the end of a prefix; an exact end before that of a prefix.
fn more_specific(a: &Pattern, b: &Pattern) -> Ordering {
    let kind = |pattern: &Pattern, at: usize| match (pattern.segments.get(at), &pattern.tail) {
        (Some(Segment::Literal(_)), _) => 1,
        (Some(Segment::Param(_, kind)), _) => kind.rank(),
        (None, Tail::Exact) => 0,
        (None, Tail::Rest(_)) => 7,
        (None, Tail::Prefix) => 8,
    };
    let longest = a.segments.len().max(b.segments.len());
    (0..=longest)
        .map(|at| kind(a, at).cmp(&kind(b, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tables_give_the_candidates_that_the_rules_give(
        routes in prop::collection::vec(route(), 0..25),
        requests in prop::collection::vec(
            (prop::sample::select(&ASKED[..]), prop::collection::vec(prop::sample::select(&REQUESTED[..]), 1..5)),
            1..30,
        ),
    ) {
        let source = source(&routes);
        let (model, forest, _) = compiled(&source);
        let table = table(&model, &forest);
        for (host, segments) in requests {
            let path = format!("/{}", segments.join("/"));
            let wanted = naive(&model, host, &path);
            prop_assert_eq!(table.find(host, &path), &wanted[..], "{} {}\n{}", host, path, source);
            let of_model: Vec<u32> = forest
                .find(naive_host(&model, host), &path)
                .iter()
                .map(|candidate| u32::try_from(candidate.route).unwrap())
                .collect();
            let wanted: Vec<u32> = wanted.iter().map(|candidate| candidate.route).collect();
            prop_assert_eq!(of_model, wanted, "{} {}\n{}", host, path, source);
        }
    }

    #[test]
    fn every_literal_among_many_is_found(names in prop::collection::btree_set("[a-z]{1,20}", 1..200)) {
        let lines: String = names.iter().map(|name| format!("exact \"/{name}\" => x,\n")).collect();
        let (model, forest, _) = compiled(&lines);
        let table = table(&model, &forest);
        for (place, name) in names.iter().enumerate() {
            let found = table.find("", &format!("/{name}"));
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].route as usize, place);
            let below = format!("/{name}/");
            prop_assert!(table.find("", &below).is_empty());
        }
    }
}

#[test]
fn head_comes_with_get_unless_a_route_names_it() {
    let (model, _, _) =
        compiled("GET \"/a\" => x, GET \"/b\" => x, HEAD \"/b\" => y, exact \"/b\" => z");
    let bits: Vec<u32> = model.routes.iter().map(|route| route.methods.0).collect();
    assert_eq!(bits, [3, 1, 2, 0x7fff_ffff]);
}

#[test]
fn patterns_that_overlap_exponentially_are_refused() {
    let depth = 20;
    let lines: String = (0..depth)
        .map(|literal| {
            let path: String = (0..depth)
                .map(|at| {
                    if at == literal {
                        String::from("/x")
                    } else {
                        format!("/{{p{at}}}")
                    }
                })
                .collect();
            format!("\"{path}\" => t,\n")
        })
        .collect();
    let messages = super::messages(&lines);
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("overlap in too many ways"));
}
