//! Methods beyond the nine.

use super::{compiled, messages};
use crate::check::expect::outcome;

#[test]
fn registered_methods_are_words_and_others_stand_in_quotes() {
    let source = r#"
        PROPFIND "/dav" => a,
        PROPFIND | REPORT exact "/dav/r" => a,
        "INVALIDATE" "/cache" => a,
        "VERSION-CONTROL" | PURGE | "X-OWN" exact "/cache/v" => a,
        GET | "INVALIDATE" "/both" => a,
        "/all" => a,
        GET "/get" => a,
        expect PROPFIND "/dav/x" => a;
        expect "INVALIDATE" "/cache" => a;
        expect "VERSION-CONTROL" "/cache/v" => a;
        expect "UNKNOWN" "/cache" => 405;
        expect REPORT "/all" => a;
        expect QUERY "/get" => 405;
        backend a = "http://a";
    "#;
    let (model, forest, diag) = compiled(source);
    assert_eq!(diag.messages(), Vec::<&str>::new());
    let own = [
        "PROPFIND",
        "REPORT",
        "INVALIDATE",
        "VERSION-CONTROL",
        "PURGE",
        "X-OWN",
    ];
    assert_eq!(model.own_methods, own);
    let shown: Vec<String> = model
        .routes
        .iter()
        .map(super::super::model::Route::shown)
        .collect();
    assert_eq!(
        shown[3],
        "\"VERSION-CONTROL\"|PURGE|\"X-OWN\" exact /cache/v"
    );
    let takes = |method: &str, path: &str| outcome(&model, &forest, None, method, path).unwrap();
    assert_eq!(takes("X-OWN", "/cache/v"), Ok(3));
    assert_eq!(takes("INVALIDATE", "/cache/v"), Ok(2));
    assert_eq!(takes("INVALIDATE", "/both"), Ok(4));
    assert_eq!(takes("HEAD", "/both"), Ok(4));
    assert_eq!(takes("BREW", "/all"), Ok(5));
    assert_eq!(takes("BREW", "/dav"), Err(405));
}

#[test]
fn each_slip_is_an_error_with_what_to_write() {
    let cases = [
        (r#"GTE "/x" => a,"#, "unknown method `GTE`", "write `GET`"),
        (
            r#"PROPFIDN "/x" => a,"#,
            "unknown method `PROPFIDN`",
            "write `PROPFIND`",
        ),
        (
            r#"propfind "/x" => a,"#,
            "unknown method `propfind`",
            "methods are written in upper case: `PROPFIND`",
        ),
        (
            r#"INVALIDATE "/x" => a,"#,
            "unknown method `INVALIDATE`",
            "`\"INVALIDATE\" \"/path\" => target,`",
        ),
        (
            r#"ALL "/x" => a,"#,
            "unknown method `ALL`",
            "a route without a method accepts every method",
        ),
        (
            r#""GET" "/x" => a,"#,
            "unexpected quotes around the method `GET`",
            "write `GET`",
        ),
        (
            r#""get" | POST "/x" => a,"#,
            "unexpected quotes around the method `GET`",
            "write `GET`",
        ),
        (
            r#""PROPFIND" exact "/x" => a,"#,
            "unexpected quotes around the method `PROPFIND`",
            "write `PROPFIND`",
        ),
        (
            r#""PRI" "/x" => a,"#,
            "`PRI` is not a request method",
            "remove it",
        ),
        (
            r#"PRI "/x" => a,"#,
            "`PRI` is not a request method",
            "remove it",
        ),
        (
            r#"expect "get" "/x" => 404;"#,
            "unexpected quotes around the method `GET`",
            "write `GET`",
        ),
        (
            r#"GET | "BREW" | "BREW" "/x" => a,"#,
            "duplicate method `BREW` on this route",
            "",
        ),
    ];
    for (line, message, help) in cases {
        let found = messages(&format!(
            r#"backend a = "http://a"; "/other" => a, {line} expect GET "/other" => a;"#
        ));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].contains(message), "{line}: {found:?}");
        assert!(found[0].contains(help), "{line}: {found:?}");
    }
}

#[test]
fn conflicts_are_exact_over_methods_beyond_the_nine() {
    let clean = r#"PURGE "/x" => "http://a", REPORT "/x" => "http://b", "/x" => "http://c""#;
    assert_eq!(messages(clean), Vec::<String>::new());
    let twice = messages(r#"PURGE "/x" => "http://a", PURGE | REPORT "/x" => "http://b""#);
    assert_eq!(twice.len(), 2, "{twice:?}");
    assert!(
        twice[0].contains("remove `PURGE` from one of them"),
        "{twice:?}"
    );
    assert!(
        twice[0].contains("`PURGE /x` would match both"),
        "{twice:?}"
    );
    // What no route names has a name that none of them has.
    let twice = messages(r#"PURGE "/x" => "http://a", "/x" => "http://b", "/x" => "http://c""#);
    assert!(twice[0].contains("duplicate route"), "{twice:?}");
}

#[test]
fn a_gateway_names_at_most_as_many_methods_as_there_are_bits() {
    let routes = |count: usize| -> String {
        let routes = (0..count).map(|n| format!("\"M{n}\" \"/x\" => \"http://a:{}\",\n", n + 1));
        routes.collect()
    };
    assert_eq!(messages(&routes(21)), Vec::<String>::new());
    let found = messages(&routes(22));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("can name 21 methods"), "{found:?}");
    // What a route with one more takes is not known, so it is in no conflict.
    let found = messages(&format!("{} \"/x\" => \"http://a\"", routes(23)));
    assert_eq!(found.len(), 1, "{found:?}");
}
