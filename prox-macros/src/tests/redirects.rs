//! Redirects with parts of the request and parameters of the route.

use super::messages;

#[test]
fn what_a_route_has_can_stand_in_a_location() {
    let source = r#"
        "/a/{id}" => redirect(308, "/users/{id}{query}"),
        "/b/{id: int}" => redirect(308, "https://b.example.com/{id}?from=b{query}"),
        "/c/{*rest}" => redirect(308, "/d/{rest}"),
        "/e" => redirect(308, "/f{below}{query}"),
        "/g" => redirect(308, "https://{host}{path}{query}"),
        "/h" => redirect(308, "{scheme}://{host}:8443{path}{query}"),
        "/i" => redirect(308, "{scheme}://www.{host}{path}#x"),
        "/j" => redirect(308, "/login?next={path}"),
        "/k" => split { 1 => redirect(302, "/l{below}"), 1 => redirect(302, "/m{below}") },
        "/n" => redirect(308, "{below}"),
        host "o.example.com" { "/" => redirect(308, "https://www.o.example.com{path}{query}") }
    "#;
    assert_eq!(messages(source), Vec::<String>::new());
}

#[test]
fn each_mistake_in_a_location_is_one_error() {
    let cases = [
        (
            "/users/{di}",
            "the path of this route has no parameter `di`",
            "write `{id}`",
        ),
        (
            "/users/{rest}",
            "has no parameter `rest`",
            "write `{below}`",
        ),
        ("/users/{pth}", "has no parameter `pth`", "write `{path}`"),
        (
            "https://{id}.example.com/",
            "`{id}` is not allowed in the host",
            "only `{host}`",
        ),
        (
            "https://{id}/",
            "`{id}` is not allowed in the host",
            "only `{host}`",
        ),
        (
            "//{id}/",
            "`{id}` is not allowed in the host",
            "only `{host}`",
        ),
        (
            "https://a.b:{id}/",
            "`{id}` is not allowed in the host",
            "only `{host}`",
        ),
        ("{id}", "a location cannot start with a parameter", "write"),
        (
            "{query}",
            "a location cannot start with a parameter",
            "write",
        ),
        (
            "users/{id}",
            "must start with `/`, `{path}`, or a scheme",
            "write",
        ),
        (
            "javascript:{id}",
            "must start with `/`, `{path}`, or a scheme",
            "write",
        ),
        ("/x/{scheme}", "`{scheme}` must be at the start", "write"),
        ("/new/{path}", "duplicate `/`", "remove the slash"),
        ("/new/{below}", "duplicate `/`", "remove the slash"),
        (
            "/new{query}&a=b",
            "nothing can follow `{query}`",
            "move it to the end",
        ),
        (
            "/new/{}",
            "missing name of the parameter `{}`",
            "write `{id}`",
        ),
        ("/new/{id", "unclosed `{`", "write a parameter as `{name}`"),
        (
            "/a\\b",
            "backslashes and non-ASCII characters are not allowed in a location",
            "write",
        ),
    ];
    for (location, message, help) in cases {
        let location = location.replace('\\', "\\\\");
        let found = messages(&format!("\"/old/{{id}}\" => redirect(308, \"{location}\")"));
        assert_eq!(found.len(), 1, "{location}: {found:?}");
        assert!(found[0].contains(message), "{location}: {found:?}");
        assert!(found[0].contains(help), "{location}: {found:?}");
    }
    let both = messages(r#""/x/{host}" => redirect(308, "https://{host}/")"#);
    assert!(
        both[0].contains("is ambiguous: a parameter of this route, and a part of the request"),
        "{both:?}"
    );
}

#[test]
fn circles_are_found_through_parameters() {
    for source in [
        r#""/a/{id}" => redirect(308, "/a/{id}")"#,
        r#""/a/{id}" => redirect(308, "/a/{id}/x")"#,
        r#""/a" => redirect(308, "{path}{query}")"#,
        r#""/a" => redirect(308, "{scheme}://{host}{path}{query}")"#,
        r#""/a/{x}" => redirect(308, "/b/{x}"), "/b/{y: int}" => redirect(308, "/c"), "/b/{y}" => redirect(308, "/a/{y}")"#,
        r#""/a/{v: 'x' | 'y'}" => redirect(308, "/a/x")"#,
        r#""/a" => redirect(308, "/b{below}"), "/b" => redirect(308, "/a{below}")"#,
    ] {
        let found = messages(source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        let circle = found[0].contains("loop") || found[0].contains("to itself");
        assert!(circle, "{source}: {found:?}");
    }
    for source in [
        r#""/a" => redirect(308, "/b"), on "i" { "/b" => redirect(308, "/a") }"#,
        r#""/a/{x}" => redirect(308, "/b/{x}"), on "i" { "/b/{y: int}" => redirect(308, "/c"), "/b/{y}" => redirect(308, "/a/{y}") }"#,
        r#"host "a.b" { "/a" => redirect(308, "/b") } on "i" { "/b" => redirect(308, "/a") }"#,
        r#""/a" => redirect(308, "/b"), on "i" { host "*.b" { "/b" => redirect(308, "/a") } }"#,
        r#"env A: Host; host A { "/a" => redirect(308, "/b") } on "i" { host A { "/b" => redirect(308, "/a") } }"#,
        r#"on "i" { "/a" => redirect(308, "/b") } on "j" { "/b" => redirect(308, "/c") } "/b" => redirect(308, "/a")"#,
    ] {
        let found = messages(source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert!(
            found[0].contains("this redirect closes a loop"),
            "{found:?}"
        );
        assert!(found[0].contains("`on \"i\" "), "{found:?}");
    }
    for source in [
        // The listener answers itself, or has another name.
        r#""/a" => redirect(308, "/b"), "/b" => "http://b", on "i" { "/b" => redirect(308, "/c") }"#,
        r#"host "a.b" { "/a" => redirect(308, "/b") } on "i" { host "c.d" { "/b" => redirect(308, "/a") } }"#,
        r#""/a" => redirect(308, "/b"), on "i" { "/a" => "http://a", "/b" => redirect(308, "/a") }"#,
        r#""/a" => redirect(308, "https://{host}/b"), on "i" { "/b" => redirect(308, "/a") }"#,
        // Another scheme or port may be another server's.
        r#""/a" => redirect(308, "https://{host}{path}{query}")"#,
        r#""/a" => redirect(308, "{scheme}://{host}:8443{path}")"#,
        r#"exact "/a/{id}" => redirect(308, "/a/{id}/x"), "/a/{id}/x" => "http://a""#,
        r#""/a/{id: int}" => redirect(308, "/a/x{id}"), "/a/{name}" => "http://a""#,
    ] {
        assert_eq!(messages(source), Vec::<String>::new(), "{source}");
    }
}
