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
    ] {
        assert_eq!(parse(path, false).unwrap().to_string(), path);
    }
    for path in ["/", "/api/", "/api"] {
        assert_eq!(parse(path, true).unwrap().to_string(), path);
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
        ("api", "a path starts with `/`", "write `\"/api\"`"),
        ("/a//b", "a path has no empty segment", "write one `/`"),
        (
            "/users/:id",
            "a parameter is written `{id}`",
            "write `\"/users/{id}\"`",
        ),
        (
            "/x/*",
            "`*` is not a wildcard in a path",
            "write `\"/x\"`, which takes all below it, or `{*rest}` to name the rest; the sign itself is `%2A`",
        ),
        (
            "/a b",
            "a path cannot contain a space as it is",
            "write `\"/a%20b\"`",
        ),
        (
            "/ä",
            "a path cannot contain a character that is not ASCII as it is",
            "write `\"/%C3%A4\"`",
        ),
        ("/{id", "unclosed `{`", "write a parameter as `{name}`"),
        ("/{}", "the parameter `{}` has no name", "write `{id}`"),
        (
            "/{a}.json",
            "a parameter takes a whole segment, with no text beside it",
            "write `\"/{a}\"`",
        ),
        (
            "/{a}/{a}",
            "the parameter `a` is there twice",
            "give one of them another name",
        ),
        (
            "/%7Euser",
            "`~` is matched without percent-encoding",
            "write `~`",
        ),
        (
            "/%e2",
            "percent-encoding is matched in upper case",
            "write `%E2`",
        ),
        (
            "/{id:int}",
            "a parameter has a name only, not a type or a pattern such as `int`",
            "write `{id}`",
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
