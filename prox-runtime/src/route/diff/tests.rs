use super::*;
use crate::route::RouteInfo;

const fn info(host: &'static str, methods: &'static str, path: &'static str) -> RouteInfo {
    RouteInfo {
        host,
        path,
        methods,
        target: "users",
        file: "src/main.rs",
        line: 3,
        ..RouteInfo::EMPTY
    }
}

/// The rows with the ranks that they have in this order.
fn table(rows: Vec<RouteInfo>) -> Routes {
    let ranked = rows.into_iter().zip(0..);
    let ranked = ranked.map(|(row, rank)| RouteInfo { rank, ..row });
    Routes::new(Vec::leak(ranked.collect()))
}

fn found(old: Vec<RouteInfo>, new: Vec<RouteInfo>) -> Vec<(&'static str, String, usize)> {
    let diff = table(new).diff(&table(old).to_json()).unwrap();
    let changes = diff.changes().iter();
    changes
        .map(|change| {
            (
                change.kind().name(),
                change.witness().to_string(),
                change.count(),
            )
        })
        .collect()
}

fn owned(wanted: &[(&'static str, &str, usize)]) -> Vec<(&'static str, String, usize)> {
    let wanted = wanted.iter();
    wanted
        .map(|(kind, witness, count)| (*kind, (*witness).to_owned(), *count))
        .collect()
}

#[test]
fn each_kind_of_change_is_named_with_a_request() {
    let users = info("api.example.com", "GET", "/users/{id}");
    let rest = info("_", "*", "/");
    assert_eq!(found(vec![users, rest], vec![users, rest]), []);
    // The lines, and the names of parameters, do not count.
    let renamed = RouteInfo {
        path: "/users/{user}",
        line: 9,
        ..users
    };
    assert_eq!(found(vec![users], vec![renamed]), []);
    // `GET` brings `HEAD`; a prefix takes what is below it.
    let lost = owned(&[("lost", "GET https://api.example.com/users/7", 2)]);
    assert_eq!(found(vec![users], vec![]), lost);
    let gained = owned(&[("gained", "GET https://api.example.com/users/7", 2)]);
    assert_eq!(found(vec![], vec![users]), gained);
    let moved = RouteInfo {
        target: "canary",
        ..users
    };
    assert_eq!(
        found(vec![users], vec![moved]),
        owned(&[("moved", "GET https://api.example.com/users/7", 2)])
    );
    for treated in [
        RouteInfo {
            layers: &["auth"],
            ..users
        },
        RouteInfo {
            made: &["backend users = cluster(rr, [URL]).retry(2)"],
            ..users
        },
    ] {
        assert_eq!(
            found(vec![users], vec![treated]),
            owned(&[("treated", "GET https://api.example.com/users/7", 2)])
        );
    }
}

#[test]
fn a_narrower_route_moves_only_its_requests() {
    let all = info("_", "*", "/users");
    let me = RouteInfo {
        exact: true,
        target: "me",
        ..info("_", "GET", "/users/me")
    };
    assert_eq!(
        found(vec![all], vec![me, all]),
        owned(&[("moved", "GET /users/me", 2)])
    );
    // A host that gets a block of its own loses the routes of every other host.
    let own = info("a.b", "*", "/x");
    assert_eq!(
        found(vec![all], vec![own, all]),
        owned(&[
            ("lost", "GET https://a.b/users", 1),
            ("gained", "GET https://a.b/x", 1)
        ])
    );
}

#[test]
fn guards_are_told_apart_by_the_values_that_they_ask_for() {
    let beta = RouteInfo {
        guard: "header(\"x-beta\").is(\"1\")",
        target: "canary",
        ..info("_", "*", "/")
    };
    let all = info("_", "*", "/");
    assert_eq!(
        found(vec![all], vec![beta, all]),
        owned(&[("moved", "GET / -H 'x-beta: 1'", 1)])
    );
    let any = RouteInfo {
        guard: "header(\"x-beta\").exists()",
        ..beta
    };
    assert_eq!(
        found(vec![beta, all], vec![any, all]),
        owned(&[("moved", "GET / -H 'x-beta: 2'", 1)])
    );
    let inside = RouteInfo {
        guard: "client_ip().within(\"10.0.0.0/8\").and(query(\"v\").is(\"2\"))",
        ..beta
    };
    assert_eq!(
        found(vec![all], vec![inside, all]),
        owned(&[("moved", "GET /?v=2 --from 10.0.0.0", 1)])
    );
}

#[test]
fn an_opaque_guard_that_differs_is_unsure() {
    let guarded = |guard, target| RouteInfo {
        guard,
        target,
        ..info("_", "*", "/")
    };
    let all = info("_", "*", "/");
    let (g, h) = (guarded("g", "canary"), guarded("h", "canary"));
    assert_eq!(found(vec![g, all], vec![g, all]), []);
    let kinds = |old, new| -> Vec<&str> {
        let found = found(old, new);
        found.into_iter().map(|(kind, _, _)| kind).collect()
    };
    assert_eq!(kinds(vec![g, all], vec![h, all]), ["unsure", "unsure"]);
    assert_eq!(kinds(vec![all], vec![g, all]), ["unsure"]);
    // Whether the guard accepts or not, the target is another.
    assert_eq!(
        kinds(vec![all], vec![g, guarded("", "third")]),
        ["moved", "moved"]
    );
    // A guard that both have, and another target.
    assert_eq!(
        found(vec![g, all], vec![guarded("g", "third"), all]),
        owned(&[("moved", "GET /, if `g` accepts it", 1)])
    );
}

#[test]
fn more_combinations_than_can_be_compared_are_unsure() {
    let guards: Vec<String> = (0..13)
        .map(|key| format!("header(\"x-{key}\").exists()"))
        .collect();
    let rows = guards.iter().map(|guard| RouteInfo {
        guard: guard.clone().leak(),
        target: "canary",
        ..info("_", "*", "/")
    });
    let rows: Vec<RouteInfo> = rows.collect();
    let found = found(rows[1..].to_vec(), rows);
    assert_eq!(found, owned(&[("unsure", "GET /", 1)]));
}

#[test]
fn text_and_json_say_where_the_routes_are() {
    let was = info("_", "GET", "/a");
    let now = RouteInfo {
        layers: &["auth"],
        line: 4,
        ..was
    };
    let diff = table(vec![now]).diff(&table(vec![was]).to_json()).unwrap();
    assert_eq!(
        diff.to_string(),
        "treated GET /a\n  was   GET /a => users (src/main.rs:3)\n  now   GET /a => users (src/main.rs:4)\n  \
         was   through no layer\n  now   through auth\n  and 1 more class of requests\n1 treated\n"
    );
    assert_eq!(
        diff.to_json(),
        "{\n  \"lost\":[],\n  \"gained\":[],\n  \"moved\":[],\n  \"treated\":[\n    \
         {\"witness\":{\"method\":\"GET\",\"url\":\"/a\",\"headers\":{},\"client\":null,\"listener\":null,\"guards\":[]},\
         \"was\":{\"route\":\"GET /a\",\"target\":\"users\",\"layers\":[],\"made\":[],\"file\":\"src/main.rs\",\"line\":3},\
         \"now\":{\"route\":\"GET /a\",\"target\":\"users\",\"layers\":[\"auth\"],\"made\":[],\"file\":\"src/main.rs\",\"line\":4},\
         \"count\":2}\n  ],\n  \"unsure\":[]\n}\n"
    );
    assert!(diff.clone().only(&[ChangeKind::Lost]).is_empty());
    let none = diff.only(&[]);
    assert_eq!(none.to_string(), "no request fares otherwise\n");
}

#[test]
fn each_route_has_a_request_that_it_takes() {
    let rows = table(vec![
        info("a.b", "GET|POST", "/users/me"),
        RouteInfo {
            guard: "cookie(\"c\").is(\"1\")",
            ..info("a.b", "*", "/users/{id: int}")
        },
        info("*.b", "LOCK", "/files/{*rest}"),
        RouteInfo {
            listener: "in",
            ..info("_", "*", "/metrics")
        },
    ]);
    let witnesses: Vec<String> = rows
        .witnesses()
        .into_iter()
        .map(|(_, witness)| witness.to_string())
        .collect();
    assert_eq!(
        witnesses,
        [
            "GET https://a.b/users/me",
            "GET https://a.b/users/7 -H 'cookie: c=1'",
            "LOCK https://any.b/files/7",
            "GET /metrics --on in",
        ]
    );
}

#[test]
fn two_thousand_routes_take_a_bounded_number_of_steps() {
    let rows = |count: usize, target: &'static str| -> Vec<Row> {
        let all = (0..count).map(|route| {
            let host = format!("h{}.example.com", route / 100);
            let path = format!("/service{}/items/{{id}}/part{route}", route / 10);
            Row::from(&RouteInfo {
                target: if route % 10 == 0 { target } else { "users" },
                rank: route as u64,
                ..info(
                    host.leak(),
                    if route % 2 == 0 { "GET" } else { "*" },
                    path.leak(),
                )
            })
        });
        all.collect()
    };
    let mut steps = Vec::new();
    for count in [1_000, 2_000] {
        let (old, new) = (rows(count, "users"), rows(count, "canary"));
        let tables = Tables::new([&old, &new]);
        let diff = compare(&tables).unwrap();
        assert_eq!(diff.changes().len(), count / 10);
        steps.push(tables.steps());
    }
    assert!(
        steps[1] <= 2 * steps[0] + 100 && steps[1] < 20_000,
        "{steps:?}"
    );
}
