use super::*;

fn flaw(value: &str) -> Flaw {
    parse(value, false).unwrap_err().remove(0)
}

#[test]
fn good_patterns_are_shown_as_written() {
    for path in [
        "/",
        "/v1/users/{id}",
        "/files/{*rest}",
        "/a%20b/~x",
        "/a.b/{_x1}",
        "/{id: int}/{u: uuid}/{s: slug}/{v: 'v1' | 'a%20b'}",
    ] {
        assert_eq!(parse(path, false).unwrap().to_string(), path);
    }
    for (written, shown) in [
        ("/{id:int}", "/{id: int}"),
        ("/{id :  uuid }/x", "/{id: uuid}/x"),
        ("/{v:\"a\"|'b'}", "/{v: 'a' | 'b'}"),
    ] {
        assert_eq!(parse(written, false).unwrap().to_string(), shown);
    }
    for path in ["/", "/api/", "/api"] {
        assert_eq!(parse(path, true).unwrap().to_string(), path);
    }
}

#[test]
fn a_help_shows_the_kinds_as_written() {
    for (path, help) in [
        (
            "/u/{id: int}?p=1",
            "write `\"/u/{id: int}\" if query(\"p\").is(\"1\")`",
        ),
        (
            "/u/{id: int}#x",
            "write `\"/u/{id: int}\"`: no client sends a fragment",
        ),
        (
            "/{v: 'ü' | 'x y'}/a b",
            "write `\"/{v: 'ü' | 'x y'}/a%20b\"`",
        ),
        ("/{v: 'a?b#{'}", "write `'a%3Fb%23%7B'`"),
        (
            "/{v: 'a\\b'}",
            "remove it: such requests are answered with 400",
        ),
    ] {
        assert_eq!(flaw(path).help, help, "{path}");
    }
}

#[test]
fn a_doubled_parameter_is_underlined_where_it_is_the_second_time() {
    for (path, at) in [
        ("/{a}/{a}", 6..7),
        ("/{a: int}/{a: int}", 11..12),
        ("/{a}/{b_a}/{*a}", 13..14),
        ("/{a : int}/{ba}/{a : int}/a", 17..18),
    ] {
        assert_eq!(flaw(path).at, at, "{path}");
    }
}

#[test]
fn the_root_of_a_scope_is_the_scope() {
    let scope = parse("/v1/users", false).unwrap();
    let shown = |path, exact| parse(path, exact).unwrap().within(&scope).to_string();
    assert_eq!(shown("/", true), "/v1/users");
    assert_eq!(shown("/", false), "/v1/users");
    assert_eq!(shown("/x/", true), "/v1/users/x/");
    assert_eq!(shown("/{*rest}", false), "/v1/users/{*rest}");
}

#[test]
fn each_flaw_has_the_form_to_write() {
    let cases = [
        ("api", "a path must start with `/`", "write `\"/api\"`"),
        ("/a//b", "empty path segment", "write one `/`"),
        (
            "/users/:id",
            "a parameter is written `{id}`",
            "write `\"/users/{id}\"`",
        ),
        (
            "/x/*",
            "`*` is not a wildcard in a path",
            "write `\"/x\"`, which matches everything below it, or `{*rest}` to name the rest; a literal star is `%2A`",
        ),
        (
            "/a b",
            "a space is not allowed unencoded in a path",
            "write `\"/a%20b\"`",
        ),
        (
            "/ä",
            "a character that is not ASCII is not allowed unencoded in a path",
            "write `\"/%C3%A4\"`",
        ),
        ("/{id", "unclosed `{`", "write a parameter as `{name}`"),
        ("/{}", "missing name of the parameter `{}`", "write `{id}`"),
        (
            "/{a}.json",
            "a parameter must be a whole path segment",
            "write `\"/{a}\"`",
        ),
        ("/{a}/{a}", "duplicate parameter `a`", "rename one of them"),
        (
            "/%7Euser",
            "unexpected percent-encoding: paths match `~`",
            "write `~`",
        ),
        (
            "/%e2",
            "percent-encoding must be in upper case",
            "write `%E2`",
        ),
        (
            "/{id:integer}",
            "`integer` is not a parameter kind",
            "write `{id: int}`",
        ),
        (
            "/{id: [0-9]+}",
            "`[0-9]+` is not a parameter kind",
            "write `{id: int}`",
        ),
        (
            "/{id: string}",
            "`string` is not a parameter kind",
            "write `{id}`, which matches any segment",
        ),
        (
            "/{id: [a-f]?x}",
            "regular expressions are not supported in paths",
            "a parameter is `{name}`, `{id: int}`, `{id: uuid}`, `{name: slug}` or a list, `{v: 'v1' | 'v2'}`",
        ),
        (
            "/{id:}",
            "expected a kind after `:` for the parameter `id`",
            "write `{id}` for any segment, or `{id: int}`",
        ),
        (
            "/{v: v1|v2}",
            "expected quotes around the values of a list",
            "write `{v: 'v1' | 'v2'}`",
        ),
        (
            "/{v: 'v1' | 'v1'}",
            "duplicate value `v1`",
            "remove one of them",
        ),
        (
            "/{v: 'v1' |}",
            "expected a value in this list",
            "write `{v: 'v1' | 'v2'}`",
        ),
        (
            "/{v: 'v1' | int}",
            "a parameter cannot have both the kind `int` and a list of values",
            "write a route for each",
        ),
        ("/{v: ''}", "`` is not a path segment", "remove it"),
        (
            "/{v: 'a b'}",
            "a space is not allowed unencoded in a path segment",
            "write `'a%20b'`",
        ),
        (
            "/{*rest: slug}",
            "unexpected kind: `{*..}` matches any number of segments",
            "write `{*rest}`",
        ),
    ];
    for (path, message, help) in cases {
        let found = flaw(path);
        assert_eq!(
            (found.message.as_str(), found.help.as_str()),
            (message, help),
            "{path}"
        );
    }
    assert!(flaw("/a/").help.contains("exact \"/a/\""));
    assert!(flaw("/a?b=c").help.contains("if query("));
    assert!(flaw("/a/../b").message.contains("`..`"));
    assert!(flaw("/{*a}/b").message.contains("nothing can follow"));
    assert!(flaw("/a%5Cb").message.contains("400"));
    assert!(flaw("/a%2F..").message.contains("400"));
    assert!(flaw("/a%2fb").help.contains("`%2F`"));
    assert!(flaw("/a*b").help.contains("`a%2Ab`"));
    assert!(flaw("/%zz").message.contains("two hexadecimal digits"));
}
