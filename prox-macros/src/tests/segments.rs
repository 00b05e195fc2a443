//! Parameters of a kind and lists of values: which route wins, what ties, what is never reached.

use super::{compiled, messages};
use crate::check::expect::outcome;

const UUID: &str = "00000000-0000-4000-8000-00000000000A";

#[test]
fn the_narrower_parameter_goes_first_and_the_rest_falls_through() {
    let (model, forest, diag) = compiled(
        r#"
        "/{v: 'v1' | 'v2'}/x" => a,
        "/u/{any}" => a,
        "/u/{id: int}" => a,
        "/u/{id: uuid}" => a,
        "/u/{id: slug}" => a,
        "/u/{id: 'me' | '42'}" => a,
        "/u/7" => a,
        "/only/{id: int}" { GET "/y" => a, exact "/" => a }
        backend a = "http://a";
        expect GET "/only/x/y" => 404;
        expect GET "/v3/x" => 404;
        "#,
    );
    assert_eq!(diag.messages(), Vec::<&str>::new());
    let takes = |path: &str| outcome(&model, &forest, None, "GET", path).unwrap();
    for (path, route) in [
        ("/v1/x", Ok(0)),
        ("/v2/x/y", Ok(0)),
        ("/v3/x", Err(404)),
        ("/v1", Err(404)),
        ("/u/a.b", Ok(1)),
        ("/u/8", Ok(2)),
        ("/u/-8", Ok(4)),
        (&format!("/u/{UUID}/z"), Ok(3)),
        ("/u/a-b_c", Ok(4)),
        ("/u/me", Ok(5)),
        ("/u/42/x", Ok(5)),
        ("/u/7", Ok(6)),
        ("/u/%20", Ok(1)),
        ("/only/7", Ok(8)),
        ("/only/7/y/z", Ok(7)),
        ("/only/7/z", Err(404)),
        ("/only/", Err(404)),
    ] {
        assert_eq!(takes(path), route, "{path}");
    }
}

#[test]
fn kinds_that_are_apart_never_tie_and_lists_that_cross_do() {
    let two =
        |a: &str, b: &str| messages(&format!("\"{a}\" => \"http://a\", \"{b}\" => \"http://b\""));
    for (a, b) in [
        ("/{id: int}", "/{id: uuid}"),
        ("/{id: int}", "/{id: slug}"),
        ("/{id: uuid}", "/{id}"),
        ("/{v: 'a' | 'b'}", "/{v: 'c'}"),
        ("/{v: 'a' | 'b'}", "/{v: 'a'}"),
        ("/{v: 'a' | '1'}", "/{v: int}"),
        ("/{v: 'a' | 'b'}/{w: 'a' | 'b'}", "/{v: 'b' | 'c'}/{w: 'c'}"),
        ("/{v: 'a' | 'b'}/x", "/{v: 'b' | 'c'}/{y}"),
    ] {
        assert_eq!(two(a, b), Vec::<String>::new(), "{a} {b}");
    }
    let tie = two(
        "/{v: 'a' | 'b'}/{w: 'x' | 'y'}",
        "/{v: 'b' | 'c'}/{w: 'y' | 'x'}",
    );
    assert_eq!(tie.len(), 2, "{tie:?}");
    assert!(
        tie[0].contains("`GET /b/x` would match both, and neither list contains the other"),
        "{tie:?}"
    );
    // Within in one segment, and around in the other.
    let tie = two("/{v: 'a'}/{w: 'x' | 'y'}", "/{v: 'a' | 'b'}/{w: 'y'}");
    assert!(tie[0].contains("`GET /a/y`"), "{tie:?}");
    let same = two("/{id: int}", "/{n:int}");
    assert!(
        same[0].contains("`/{n: int}` matches the same requests as `/{id: int}`"),
        "{same:?}"
    );
    assert!(same[0].contains("`GET /7` would match both"), "{same:?}");
    let same = two("/{v: 'a' | 'b'}", "/{v: 'b' | 'a'}");
    assert!(same[0].contains("matches the same requests"), "{same:?}");
}

#[test]
fn what_both_lists_have_may_be_taken_before() {
    let with = |line: &str| {
        messages(&format!(
            "\"/{{v: 'a' | 'b'}}\" => \"http://a\", \"/{{v: 'b' | 'c'}}\" => \"http://b\", {line}"
        ))
    };
    assert_eq!(with("\"/b\" => \"http://c\""), Vec::<String>::new());
    assert_eq!(with("\"/{v: 'b'}\" => \"http://c\""), Vec::<String>::new());
    // Below it, and with other methods, they still tie.
    let below = with("exact \"/b\" => \"http://c\"");
    assert!(
        below[0].contains("`GET /b/~` would match both"),
        "{below:?}"
    );
    let other = with("GET \"/b\" => \"http://c\"");
    assert!(other[0].contains("`POST /b` would match both"), "{other:?}");
}

#[test]
fn a_route_with_the_same_guard_for_what_both_lists_have_goes_first() {
    let with = |guard: &str, before: &str| {
        messages(&format!(
            "\"/{{v: 'a' | 'b'}}\" if {guard} => \"http://a\", \"/{{v: 'b' | 'c'}}\" if {guard} => \"http://b\", \"/b\" {before} => \"http://c\""
        ))
    };
    let is = "header(\"x\").is(\"1\")";
    assert_eq!(with(is, &format!("if {is}")), Vec::<String>::new());
    let wider = "if header(\"x\").one_of([\"1\", \"2\"])";
    assert_eq!(with(is, wider), Vec::<String>::new());
    assert_eq!(with("|r| f(r)", "if |r| f(r)"), Vec::<String>::new());
    assert_eq!(with(is, ""), Vec::<String>::new());
    for (guard, before) in [
        (is, "if header(\"x\").is(\"2\")"),
        (is, &format!("if {is}.and(query(\"q\").exists())")),
        (is, "if |r| f(r)"),
        ("|r| f(r)", "if |r| g(r)"),
    ] {
        let tie = with(guard, before);
        assert!(
            tie[0].contains("would match both"),
            "{guard} {before} {tie:?}"
        );
    }
}

#[test]
fn methods_and_guards_that_are_apart_do_not_tie() {
    let lines = |a: &str, b: &str| {
        let (method_a, guard_a) = a.split_once(';').unwrap();
        let (method_b, guard_b) = b.split_once(';').unwrap();
        messages(&format!(
            "{method_a} \"/{{v: 'a' | 'b'}}\" {guard_a} => \"http://a\", {method_b} \"/{{v: 'b' | 'c'}}\" {guard_b} => \"http://b\""
        ))
    };
    assert_eq!(lines("GET;", "POST;"), Vec::<String>::new());
    let is = |value: &str| format!(";if header(\"x\").is(\"{value}\")");
    assert_eq!(lines(&is("1"), &is("2")), Vec::<String>::new());
    assert_eq!(lines(";if |r| f(r)", ";if |r| g(r)"), Vec::<String>::new());
    let tie = lines(&is("1"), ";");
    assert!(
        tie[0].contains("`GET /b` with `x: 1` would match both"),
        "{tie:?}"
    );
}

#[test]
fn a_route_behind_narrower_ones_that_take_all_of_it_is_never_reached() {
    let never = |source: &str| {
        let found = messages(source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("can never be reached"), "{found:?}");
        found[0].clone()
    };
    never("\"/a\" => \"http://a\", \"/b\" => \"http://b\", \"/{v: 'a' | 'b'}\" => \"http://c\"");
    never(
        "\"/{v: 'a'}\" => \"http://a\", \"/{v: 'b'}\" => \"http://b\", \"/{v: 'a' | 'b'}\" => \"http://c\"",
    );
    let kept = messages(
        "\"/{id: slug}\" => \"http://a\", \"/{id: int}\" => \"http://b\", \"/{id: uuid}\" => \"http://c\"",
    );
    assert_eq!(kept, Vec::<String>::new());
}

#[test]
fn a_path_of_another_kind_is_the_witness_beside_narrower_routes() {
    let found = messages(
        "\"/{id: int}\" => \"http://a\", \"/{a}\" => \"http://b\", \"/{b}\" => \"http://c\"",
    );
    assert!(found[0].contains("`GET /x` would match both"), "{found:?}");
    let found = messages(
        "\"/{id: slug}\" => \"http://a\", \"/{a}\" => \"http://b\", \"/{b}\" => \"http://c\"",
    );
    assert!(found[0].contains("`GET /~x` would match both"), "{found:?}");
}

#[test]
fn head_comes_with_get_for_the_same_list_only() {
    let (model, ..) = compiled(
        "GET \"/{v: 'a' | 'b'}\" => x, HEAD \"/{v: 'b' | 'a'}\" => y, GET \"/{v: 'a'}\" => z",
    );
    let bits: Vec<u32> = model.routes.iter().map(|route| route.methods.0).collect();
    assert_eq!(bits, [1, 2, 3]);
}
