//! What the comparison of two tables of routes says is what two gateways of these tables do.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use prox_runtime::{Description, Explanation, RouteInfo, RouteWitness, Routes, Variables, Verdict};

use super::{
    compiled,
    tree::{ASKED, REQUESTED, guarded, source, table},
};
use crate::{
    expand::listing::{guard_text, ranks},
    model::{Model, tree::Forest},
};

const GUARDS: [&str; 12] = [
    "",
    "",
    "",
    "if g",
    "if header(\"x\").exists()",
    "if header(\"x\").is(\"1\")",
    "if header(\"x\").starts_with(\"1\")",
    "if query(\"q\").is(\"1\")",
    "if query(\"q\").one_of([\"1\", \"2\"]).and(header(\"x\").exists())",
    "if cookie(\"c\").absent()",
    "if client_ip().within(\"10.0.0.0/8\")",
    "if header(\"x\").is(\"1\").or(client_ip().within(\"10.1.0.0/16\").not())",
];

const TARGETS: [&str; 3] = ["one", "two", "three"];

fn describe(model: &Model, forest: &Forest) -> Description {
    let infos = model.routes.iter().zip(ranks(model)).zip(1..);
    let infos = infos.map(|((route, rank), line)| RouteInfo {
        listener: match model.on(route) {
            Some(_) => "internal",
            None => "",
        },
        host: model.hosts[route.host].label.clone().leak(),
        path: route.shown_path().leak(),
        exact: route.exact,
        methods: route.label.clone().leak(),
        guard: guard_text(route).leak(),
        // As the same route of another table has it, or not.
        target: TARGETS[route.shown_path().len() % TARGETS.len()],
        layers: if route.exact { &["layer"] } else { &[] },
        who: "",
        backend: "",
        made: &[],
        rank: rank as u64,
        file: "",
        line,
    });
    let routes = Routes::new(Vec::leak(infos.collect()));
    let table = Box::leak(Box::new(table(model, forest)));
    Description::new(table, routes, Variables::new(&[]))
}

/// The row that takes the request, if guards that cannot be decided accept it or not.
fn winner(explanation: &Explanation, accepting: bool) -> Option<RouteInfo> {
    let mut considered = explanation.considered().iter();
    let taken = considered.find(|considered| match considered.verdict {
        Verdict::Takes => true,
        Verdict::AsksGuard => accepting,
        _ => false,
    });
    taken.map(|considered| *considered.route)
}

fn same(was: Option<RouteInfo>, now: Option<RouteInfo>) -> bool {
    let does = |row: RouteInfo| (row.target, row.layers);
    was.map(does) == now.map(does)
}

fn lines(was: Option<RouteInfo>, now: Option<RouteInfo>) -> [Option<u32>; 2] {
    [was, now].map(|row| row.map(|row| row.line))
}

fn ask(description: &Description, asked: &RouteWitness) -> Explanation {
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let description = description.on(&asked.listener).unwrap_or(*description);
    description.explain_with(&asked.method, &asked.url, &headers, asked.client)
}

/// A gateway that has some of these routes, some of them for a listener alone.
fn gateway(routes: &[((usize, String), u8)], bit: u8) -> Description {
    let of = |listener: bool| {
        let routes = routes.iter().filter(|(_, has)| has & bit != 0);
        let routes = routes.filter(|(_, has)| (has & 4 != 0) == listener);
        let routes: Vec<(usize, String)> = routes.map(|(route, _)| route.clone()).collect();
        // Blocks without routes are not in a table.
        let mut text = String::new();
        let mut open = String::new();
        for line in source(&routes).lines() {
            open.push_str(line);
            open.push('\n');
            if line.ends_with('}') {
                if open.contains("=>") {
                    text.push_str(&open);
                }
                open.clear();
            }
        }
        text
    };
    let (all, own) = (of(false), of(true));
    let text = if own.is_empty() {
        all
    } else {
        format!("on \"internal\" {{ {own} }} {all}")
    };
    let (model, forest, _) = compiled(&text);
    describe(&model, &forest)
}

/// Routes of which the first table has those with the first bit, the second those with the second; the third is for the listener.
fn routes() -> impl Strategy<Value = Vec<((usize, String), u8)>> {
    let has = prop::sample::select(&[3_u8, 3, 3, 3, 1, 2, 7, 7, 5, 6][..]);
    prop::collection::vec((guarded(&GUARDS), has), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn requests_that_fare_otherwise_are_of_a_class_that_says_so(
        routes in routes(),
        requests in prop::collection::vec(
            (
                prop::sample::select(&["GET", "HEAD", "POST", "PUT", "DELETE"][..]),
                prop::sample::select(&ASKED[..]),
                prop::collection::vec(prop::sample::select(&REQUESTED[..]), 1..5),
                prop::sample::select(&["", "?q=1", "?q=2", "?q=3", "?r=1&q=1"][..]),
                prop::sample::select(&[None, Some(("x", "1")), Some(("x", "12")), Some(("x", "2")), Some(("cookie", "c=1"))][..]),
                prop::sample::select(&[None, Some("10.1.2.3"), Some("10.2.2.3"), Some("192.0.2.1")][..]),
                prop::sample::select(&["", "internal"][..]),
            ),
            1..30,
        ),
    ) {
        let [old, new] = [1, 2].map(|bit| gateway(&routes, bit));
        let diff = new.routes().diff(&old.routes().to_json()).unwrap();
        for (method, host, segments, query, header, client, listener) in requests {
            let target = format!("/{}{query}", segments.join("/"));
            let url = if host.is_empty() { target } else { format!("https://{host}{target}") };
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = header {
                headers.insert(name, HeaderValue::from_static(value));
            }
            let client = client.map(|client| client.parse().unwrap());
            let [was, now] = [old, new].map(|description| {
                let description = description.on(listener).unwrap_or(description);
                description.explain_with(method, &url, &headers, client)
            });
            for accepting in [false, true] {
                let [was, now] = [&was, &now].map(|explanation| winner(explanation, accepting));
                let said = diff.changes().iter().any(|change| {
                    [change.was(), change.now()].map(|row| row.map(|(_, line)| line)) == lines(was, now)
                });
                prop_assert!(same(was, now) || said, "{method} {url} {headers:?} {client:?} {listener}: {was:?} {now:?}\n{diff}");
            }
        }
    }

    #[test]
    fn the_request_of_a_class_fares_otherwise(routes in routes()) {
        let [old, new] = [1, 2].map(|bit| gateway(&routes, bit));
        let diff = new.routes().diff(&old.routes().to_json()).unwrap();
        for change in diff.changes() {
            let witness = change.witness();
            let accepting = !witness.guards.is_empty();
            let [was, now] = [old, new].map(|gateway| winner(&ask(&gateway, witness), accepting));
            let said = [change.was(), change.now()].map(|row| row.map(|(_, line)| line));
            prop_assert_eq!(lines(was, now), said, "{}", change);
            prop_assert!(!same(was, now), "{}", change);
        }
    }

    #[test]
    fn a_witness_is_taken_by_its_route(routes in routes()) {
        let gateway = gateway(&routes, 1);
        for (route, witness) in gateway.routes().witnesses() {
            let accepting = !witness.guards.is_empty();
            let taken = winner(&ask(&gateway, &witness), accepting);
            prop_assert_eq!(taken, Some(*route), "{}", witness);
        }
    }
}
