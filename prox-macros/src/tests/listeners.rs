//! Routes for one listener alone.

use super::{compiled, messages};

/// The first line of every message.
fn first_lines(source: &str) -> Vec<String> {
    let messages = messages(source);
    let first = messages.iter().filter_map(|message| message.lines().next());
    first.map(str::to_owned).collect()
}

#[test]
fn a_route_of_a_listener_and_the_same_route_elsewhere_do_not_conflict() {
    let source = r#"
        "/" => site,
        "/x/{id}" => site,
        host "a.b" { "/" => site, }
        on "internal" with [auth] {
            require auth;
            "/" => admin,
            "/x" { GET "/{name}" => admin, }
            host "a.b" | "*.b" with [limit] { "/" => admin, "/y" => admin, }
            host _ { "/z" => admin, }
        }
        on "http" { "/" => redirect(308, "https://{host}{path}{query}") }
    "#;
    assert_eq!(first_lines(source), Vec::<String>::new());
    let (model, ..) = compiled(source);
    let on: Vec<&str> = model
        .routes
        .iter()
        .map(|route| model.on(route).map_or("", |on| on.name.value.as_str()))
        .collect();
    let internal = ["internal"; 5];
    assert_eq!(on, [&[""; 3][..], &internal, &["http"]].concat());
    let layers: Vec<usize> = model
        .routes
        .iter()
        .map(|route| route.layers.len())
        .collect();
    assert_eq!(layers, [0, 0, 0, 1, 1, 2, 2, 1, 0]);
    assert!(
        model
            .routes
            .iter()
            .skip(3)
            .take(5)
            .all(|route| route.required)
    );
    assert!(model.routes.iter().take(3).all(|route| !route.required));
}

#[test]
fn within_a_listener_conflicts_are_exact() {
    for (source, wanted) in [
        (
            r#"on "i" { "/a" => x, "/a" => y, }"#,
            &[
                "duplicate route `/a`; the first is above",
                "the route `/a` is repeated below",
            ][..],
        ),
        (
            r#"on "i" { "/a" => x, exact "/a" => y, "/a/{*r}" => z, exact "/a/" => q, }"#,
            &["`/a` can never be reached: more specific routes match all of its requests"],
        ),
        (
            r#"on "i" { host "a.b" { "/" => x } host "a.b" { "/c" => x } }"#,
            &[
                "duplicate host `a.b`; the first is above",
                "the host `a.b` is repeated below",
            ],
        ),
        (
            r#"on "i" { "/" => x } on "i" { "/a" => x }"#,
            &[
                "duplicate `on \"i\"`; the first is above",
                "`on \"i\"` is repeated below",
            ],
        ),
        // A listener's own routes go first, but others do not have them.
        (r#"on "i" { "/" => x } "/" => y, "/a" => z"#, &[]),
    ] {
        assert_eq!(first_lines(source), wanted, "{source}");
    }
    let witness = messages(r#"on "i" { GET "/a" => x, GET "/a" => y, }"#);
    assert!(
        witness[0].contains("`GET /a` on \"i\" would match both"),
        "{witness:?}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_mistake_is_one_error_with_what_to_write() {
    for (source, wanted, help) in [
        (
            r#"on internal { "/" => x }"#,
            "expected the name of a listener in quotes",
            "write `on \"internal\"`",
        ),
        (
            r#"on { "/" => x }"#,
            "expected the name of a listener in quotes",
            "write `on \"internal\"`",
        ),
        (
            r#"on _ { "/" => x }"#,
            "`on _` is not a listener",
            "outside of `on`",
        ),
        (
            r#"on "" { "/" => x }"#,
            "the name of the listener is empty",
            "on \"internal\"",
        ),
        (
            r#"on "Internal" { "/" => x }"#,
            "`Internal` is not the name of a listener",
            "write `\"internal\"`",
        ),
        (
            r#"on "my api" { "/" => x }"#,
            "`my api` is not the name of a listener",
            "write `\"my-api\"`",
        ),
        (
            r#"on "1" { "/" => x }"#,
            "`1` is not the name of a listener",
            "starts with a letter",
        ),
        (
            r#"on "127.0.0.1:9000" { "/" => x }"#,
            "`127.0.0.1:9000` is an address, and not the name of a listener",
            "Listener::new",
        ),
        (
            r#"on "a" | "b" { "/" => x }"#,
            "`on` has one listener",
            "a block for each",
        ),
        (
            r#"on "a", "b" { "/" => x }"#,
            "`on` has one listener",
            "a block for each",
        ),
        (
            r#"on "a" {}"#,
            "this listener has no routes of its own",
            "routes outside of `on` are for every listener",
        ),
        (
            r#"on "a" "/" => x"#,
            "expected `{` and the routes of the listener",
            "write `on \"a\" { \"/\" => target }`",
        ),
        (
            r#"on "a";"#,
            "expected `{` and the routes of the listener",
            "write `on \"a\"",
        ),
        (
            r#"listener "a" { "/" => x }"#,
            "unknown word `listener` at the start of a line",
            "write `on`",
        ),
        (
            r#"host "a.b" { on "i" { "/" => x } "/" => y }"#,
            "`on` is allowed only at the top level of a gateway",
            "move the line out of the braces",
        ),
        (
            r#"on "i" { on "j" { "/" => x } "/" => y }"#,
            "`on` is allowed only at the top level of a gateway",
            "move the line",
        ),
        (
            r#"on "i" { backend b = "http://a"; "/" => b }"#,
            "`backend` is allowed only at the top level of a gateway",
            "move the line",
        ),
        (
            r#"on "i" { "/" => respond(200, "") } expect on "j" GET "/" => 200;"#,
            "no block `on \"j\"` in this gateway",
            "write `on \"i\"`",
        ),
        (
            r#""/" => respond(200, ""), expect on "j" GET "/" => 200;"#,
            "no block `on \"j\"` in this gateway",
            "every listener has the same routes",
        ),
        (
            r#"on "i" { "/" => respond(200, "") } expect on i GET "/" => 200;"#,
            "expected the name of a listener in quotes",
            "expect on \"internal\" GET",
        ),
    ] {
        let messages = messages(source);
        assert_eq!(messages.len(), 1, "{source}: {messages:?}");
        assert!(messages[0].starts_with(wanted), "{source}: {messages:?}");
        assert!(messages[0].contains(help), "{source}: {messages:?}");
    }
}

#[test]
fn expectations_name_the_listener() {
    let gateway = r#"
        "/" => respond(200, ""),
        POST "/both" => respond(202, ""),
        host "a.b" { "/" => respond(203, "") }
        on "internal" {
            "/metrics" => respond(201, ""),
            GET "/both" => respond(204, ""),
            host "a.b" { "/own" => respond(205, "") }
        }
        on "http" { "/" => redirect(308, "https://{host}{path}{query}") }
    "#;
    for (expect, holds) in [
        (r#"expect on "internal" GET "/metrics" => 201;"#, true),
        (r#"expect GET "/metrics" => 200;"#, true),
        (r#"expect on "internal" GET "/x" => 200;"#, true),
        (r#"expect on "internal" POST "/both" => 202;"#, true),
        (r#"expect on "internal" GET "/both" => 204;"#, true),
        (
            r#"expect on "internal" GET "https://a.b/own" => 205;"#,
            true,
        ),
        // The host is chosen among those of the listener first, then among the others.
        (
            r#"expect on "internal" GET "https://a.b/metrics" => 203;"#,
            true,
        ),
        (r#"expect GET "https://a.b/own" => 203;"#, true),
        (r#"expect on "http" GET "https://a.b/own" => 308;"#, true),
        (r#"expect on "http" GET "/both" => 200;"#, false),
        (r#"expect on "internal" GET "/metrics" => 200;"#, false),
        (r#"expect GET "/metrics" => 201;"#, false),
    ] {
        let messages = messages(&format!("{gateway} {expect}"));
        assert_eq!(messages.is_empty(), holds, "{expect}: {messages:?}");
        if !holds && expect.contains("on \"") {
            assert!(messages[0].starts_with("expected `on \""), "{messages:?}");
        }
    }
}

#[test]
fn circles_of_redirects_are_found_on_one_listener() {
    for (source, wanted) in [
        (
            r#"on "i" { "/a" => redirect(308, "/b"), "/b" => redirect(308, "/a") }"#,
            1,
        ),
        (r#"on "i" { "/a" => redirect(308, "/a/b") }"#, 1),
        // What no route of the listener takes goes to the routes outside of it.
        (
            r#"on "i" { "/a" => redirect(308, "/b") } "/b" => redirect(308, "/a")"#,
            1,
        ),
        (
            r#"on "i" { "/" => redirect(308, "https://{host}{path}{query}") } "/" => respond(200, "")"#,
            0,
        ),
        (
            r#"on "i" { host "a.b" { "/" => redirect(308, "https://a.b/") } }"#,
            0,
        ),
    ] {
        let messages = messages(source);
        assert_eq!(messages.len(), wanted, "{source}: {messages:?}");
    }
}

#[test]
fn a_gateway_without_listeners_expands_to_the_tables_that_it_had() {
    let expanded = |source: &str| crate::expand(source.parse().unwrap()).to_string();
    let without = expanded(r#"prox "/a" => "http://a", host "b.c" { "/d" => "http://e" }"#);
    assert!(!without.contains("listeners"), "{without}");
    let with = expanded(
        r#"prox "/a" => "http://a", host "b.c" { "/d" => "http://e" } on "i" { "/" => "http://f" }"#,
    );
    let table = |text: &str| {
        let start = text.find("static NODES").unwrap();
        text[start..]
            .split("Table :: new")
            .next()
            .unwrap()
            .to_owned()
    };
    let tables: Vec<&str> = with.split("static NODES").collect();
    assert_eq!(
        tables.len(),
        3,
        "a table for every listener, and one for one"
    );
    assert!(
        with.contains(&table(&without)),
        "the table for every listener is the same"
    );
}
