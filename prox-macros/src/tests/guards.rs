//! Guards decide which route wins, never the order of lines.

use super::{compiled, messages};
use crate::model::Model;

/// The first lines of all messages.
pub(super) fn told(source: &str) -> Vec<String> {
    let first = |message: String| message.lines().next().map(str::to_owned);
    messages(source).into_iter().filter_map(first).collect()
}

#[test]
fn the_more_specific_guard_goes_first_wherever_it_stands() {
    let lines = [
        r#""/a" => open,"#,
        r#""/a" if closure => opaque,"#,
        r#""/a" if header("x").exists() => there,"#,
        r#"GET "/a" if header("x").starts_with("b") => start,"#,
        r#""/a" if header("x").is("b-1") => one,"#,
        r#""/a" if header("x").is("b-1").and(closure) => narrowed,"#,
        r#""/a" if header("x").is("b-1").and(query("v").is("2")) => both,"#,
    ];
    let mut orders = vec![lines.to_vec(), lines.iter().rev().copied().collect()];
    let mut mixed = lines.to_vec();
    mixed.swap(0, 4);
    mixed.swap(2, 6);
    orders.push(mixed);
    for order in orders {
        let source = order.join("\n");
        assert_eq!(told(&source), Vec::<String>::new(), "{source}");
        let (model, forest, _) = compiled(&source);
        let asked: Vec<String> = forest
            .find(0, "/a")
            .iter()
            .map(|candidate| target(&model, candidate.route))
            .collect();
        let wanted = [
            "both", "narrowed", "one", "start", "there", "opaque", "open",
        ];
        assert_eq!(asked, wanted, "{source}");
    }
}

fn target(model: &Model, route: usize) -> String {
    crate::syntax::source::target_text(model.routes[route].target.as_ref().unwrap())
}

#[test]
fn guards_that_overlap_tie_until_a_route_takes_what_both_accept() {
    let two = r#"host "a.b" {
        GET "/u/{id}" if header("x-beta").is("1") => x,
        GET | POST "/u/{name}" if cookie("group").starts_with("b") => y,
    "#;
    let witness = "note: `GET https://a.b/u/7` with `x-beta: 1` and the cookie `group=b` would match both, \
                   and neither guard is more specific";
    let messages = messages(&format!("{two}}}"));
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert_eq!(
        messages[0],
        [
            r#"`GET|POST /u/{name} if cookie("group").starts_with("b")` ties with `GET /u/{id} if header("x-beta").is("1")` above"#,
            witness,
            r#"help: add a third route for requests that both accept, which goes first: `if header("x-beta").is("1").and(cookie("group").starts_with("b"))`"#,
        ]
        .join("\n")
    );
    assert!(messages[1].contains("ties with") && messages[1].ends_with(witness));
    // The text of the help is what makes it right.
    let third = messages[0]
        .rsplit_once('`')
        .unwrap()
        .0
        .rsplit_once('`')
        .unwrap()
        .1;
    assert_eq!(
        told(&format!("{two} GET \"/u/{{x}}\" {third} => z }}")),
        Vec::<String>::new()
    );
}

#[test]
fn guards_that_exclude_each_other_or_cannot_be_decided_do_not_tie() {
    for source in [
        r#""/" if header("x").is("1") => x, "/" if header("x").is("2") => y"#,
        r#""/" if client_ip().within("10.0.0.0/8") => x, "/" if client_ip().within("10.1.0.0/16") => y, "/" if client_ip().within("11.0.0.0/8") => z"#,
        r#"GET "/" if header("x").is("1") => x, POST "/" if cookie("y").is("2") => y"#,
        r#""/" if f => x, "/" if g => y, "/" if header("x").exists() => z"#,
        r#""/" if header("x").exists().and(f) => x, "/" if cookie("y").exists() => y"#,
        r#""/a" if header("x").is("1") => x, exact "/a" if cookie("y").is("2") => y"#,
        r#"GET "/" if header("x").is("1") => x, "/" if header("X").is("1") => y"#,
    ] {
        assert_eq!(told(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn the_same_guard_in_other_words_is_a_duplicate() {
    let messages = messages(
        r#"GET "/a" if header("X-Beta").is("1") => x, GET "/a" if header("x-beta").is("1") => y"#,
    );
    assert_eq!(
        messages[0],
        "`GET /a if header(\"x-beta\").is(\"1\")` matches the same requests as `GET /a if header(\"X-Beta\").is(\"1\")` above\n\
         note: `GET /a` with `x-beta: 1` would match both\n\
         note: both guards accept the same requests\n\
         help: remove one of them, or distinguish them by a method or a guard"
    );
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_guard_that_is_never_asked_is_in_vain() {
    let vain = |route: &str| {
        format!(
            "`{route}` can never be reached, so its guard is never tested: more specific routes match all of its requests"
        )
    };
    assert_eq!(
        messages(
            r#"exact "/a" if header("x").exists() => x, exact "/a/" if header("x").exists() => x,
               "/a/{*r}" if header("x").exists() => x, "/a" if header("x").is("1") => y"#
        ),
        [format!(
            "{}\nnote: for example, `GET /a` with `x: 1` matches `exact /a if header(\"x\").exists()`\n\
             help: remove the route, or narrow the others",
            vain(r#"/a if header("x").is("1")"#)
        )]
    );
    assert_eq!(
        told(
            r#""/" if client_ip().within("10.0.0.0/9") => x, "/" if client_ip().within("10.128.0.0/9") => x,
               "/" if client_ip().within("10.0.0.0/8") => y"#
        ),
        [vain(r#"/ if client_ip().within("10.0.0.0/8")"#)]
    );
    // By methods it is still asked, and a closure takes nothing for sure.
    for source in [
        r#"GET "/" if header("x").starts_with("1") => x, "/" if header("x").exists() => y"#,
        r#"exact "/a" if f => x, exact "/a/" if f => x, "/a/{*r}" if f => x, "/a" if header("x").is("1") => y"#,
    ] {
        assert_eq!(told(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_flaw_in_a_guard_is_all_that_is_told() {
    assert_eq!(
        messages(
            r#""/" if client_ip().within("10.0.0.1/8") => x, "/" if cookie("y").exists() => y, expect GET "/" => x;"#
        ),
        [
            "`10.0.0.1/8` has bits set after its prefix\n  \"10.0.0.1/8\"\n   ^^^^^^^^^^\n\
          help: write `\"10.0.0.0/8\"` for the network, or `\"10.0.0.1\"` for one address"
        ]
    );
}

#[test]
fn an_expectation_decides_by_the_first_of_a_repeated_parameter() {
    assert_eq!(
        told(
            r#"GET "/" if query("v").is("2") => new, GET "/" if query("v").starts_with("2").and(query("w").exists()) => both, "/" => old,
               expect GET "/?v=2&v=1" => new; expect GET "/?v=1&v=2" => old;"#
        ),
        // Of two guards the one with more conditions goes first.
        Vec::<String>::new()
    );
    assert_eq!(
        told(
            r#"GET "/" if query("v").is("2") => new, "/" => old, GET "/" if query("v").is("2").and(query("w").exists()) => both,
               expect GET "/?v=2&v=1" => new; expect GET "/?v=1&v=2" => old; expect GET "/?w&v=2" => both;"#
        ),
        Vec::<String>::new()
    );
}

#[test]
fn absence_and_lists_are_decided_exactly() {
    let none: Vec<String> = Vec::new();
    // More conditions go before fewer, and a value before the lists that have it.
    for source in [
        r#""/" if header("a").is("1").and(header("b").is("2")) => x, "/" if header("c").is("3") => y"#,
        r#""/" if header("a").is("1") => x, "/" if header("a").absent() => y"#,
        r#""/" if header("a").one_of(["1", "2"]) => x, "/" if header("a").one_of(["3", "4"]) => y"#,
        r#""/" if header("a").one_of(["1", "2"]) => x, "/" if header("a").one_of(["3", "2", "1"]) => y, "/" if header("a").is("1") => z"#,
        r#""/" if header("a").one_of(["12", "1"]) => x, "/" if header("a").starts_with("1") => y, "/" if header("a").exists() => z"#,
        r#""/" if cookie("a").absent() => x, "/" if cookie("a").exists() => y"#,
        r#""/" if header("a").one_of(VALUES) => x, "/" if header("a").one_of(["1"]) => y"#,
        r#""/" if query("v").absent() => x, "/" if query("v").is("1") => y,
           expect GET "/" => x; expect GET "/?v=1" => y; expect GET "/?v" => 404;"#,
        r#""/" if query("v").one_of(["1", "2"]) => x, expect GET "/?v=2" => x; expect GET "/?v=3" => 404;"#,
        r#""/" if header("a").absent() => x, expect GET "/" => x;"#,
    ] {
        assert_eq!(told(source), none, "{source}");
    }
    let ties = |source: &str, witness: &str| {
        let found = messages(source);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].contains("ties with") && found[0].contains(witness),
            "{found:#?}"
        );
    };
    ties(
        r#""/" if header("a").one_of(["1", "2"]) => x, "/" if header("a").one_of(["2", "3"]) => y"#,
        "`GET /` with `a: 2` would match both",
    );
    ties(
        r#""/" if header("a").absent() => x, "/" if cookie("b").absent() => y"#,
        "`GET /` with no `a` and no cookie `b` would match both",
    );
    ties(
        r#""/" if header("a").absent() => x, "/" if query("b").exists() => y"#,
        "`GET /?b=1` with no `a` would match both",
    );
    // What both have is taken before.
    assert_eq!(
        told(
            r#""/" if header("a").one_of(["1", "2"]) => x, "/" if header("a").one_of(["2", "3"]) => y, "/" if header("a").is("2") => z"#
        ),
        none
    );
    let never = |source: &str, route: &str| {
        let found = told(source);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with(&format!("`{route}` can never be reached")),
            "{found:#?}"
        );
    };
    never(
        r#""/" if header("a").absent() => x, "/" if header("a").exists() => y, "/" => z"#,
        "/",
    );
    never(
        r#""/" if header("a").is("1") => x, "/" if header("a").is("2") => y, "/" if header("a").one_of(["1", "2"]) => z"#,
        r#"/ if header("a").one_of(["1", "2"])"#,
    );
}

#[test]
fn what_is_wrong_with_a_list_of_values_is_said_at_the_value() {
    let cases = [
        (r#"header("a").one_of([])"#, "empty list of values"),
        (r#"header("a").one_of(["1", "1"])"#, "duplicate value"),
        (
            r#"header("a").one_of(["1", "2 "])"#,
            "spaces around the value",
        ),
        (
            r#"header("cookie").one_of(["1", "2"])"#,
            "the `cookie` header contains all cookies",
        ),
        (
            r#"header("a").absent().and(header("a").is("1"))"#,
            "this guard and what comes before it never accept",
        ),
        (r#"header("a").missing()"#, "write `header(\"a\").absent()`"),
        (
            r#"header("a").any_of(["1"])"#,
            "write `header(\"a\").one_of([\"a\", \"b\"])`",
        ),
    ];
    for (guard, wanted) in cases {
        let found = messages(&format!("\"/\" if {guard} => x, \"/\" => y"));
        assert_eq!(found.len(), 1, "{guard}: {found:#?}");
        assert!(found[0].contains(wanted), "{guard}: {found:#?}");
    }
}
