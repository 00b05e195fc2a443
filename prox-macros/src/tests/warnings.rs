//! What is most likely a mistake is said; what is only unusual is not.

use super::compiled;

fn warned(source: &str) -> Vec<String> {
    let (model, forest, diag) = compiled(source);
    assert!(diag.is_empty(), "{source}: {:?}", diag.messages());
    let warnings = crate::check::warnings::warnings(&model, &forest);
    warnings.into_iter().map(|warning| warning.text).collect()
}

/// Holds the first line of every warning.
fn told(cases: &[(&str, &[&str])]) {
    for (source, wanted) in cases {
        let warnings = warned(source);
        let first: Vec<&str> = warnings
            .iter()
            .filter_map(|text| text.lines().next())
            .collect();
        assert_eq!(first, *wanted, "{source}");
    }
}

#[test]
fn what_nothing_uses_is_named() {
    told(&[
        (
            r#"env A: u8; env B: u8 = 5; backend c = "http://c"; "/" => respond(200, "")"#,
            &[
                "the variable `A` is never used",
                "the variable `B` is never used",
                "backend `c` is never used",
            ],
        ),
        // Its own target does not use it, nor does the default of another variable, which is evaluated before.
        (
            r#"backend a = cluster(rr, [url(a)]); env B: u8; env C: u8 = B; "/" => f(C)"#,
            &[
                "the variable `B` is never used",
                "backend `a` is never used",
            ],
        ),
        // A method, a field, and a text that no macro formats.
        (
            r#"backend a = "http://a"; "/" => X.a().a, "/b" => f("{a}"), "/c" => format!("{{a}}")"#,
            &["backend `a` is never used"],
        ),
    ]);
}

#[test]
fn whatever_names_it_uses_it() {
    told(&[
        (r#"backend a = "http://a"; "/" => a"#, &[]),
        (r#"backend a = "http://a"; "/" => a.timeout(5s)"#, &[]),
        (
            r#"backend a = "http://a"; "/" => split { 1 => a, 2 => "http://b" }"#,
            &[],
        ),
        (
            r#"backend a = "http://a"; let b = a.endpoints(); "/" => f(b)"#,
            &[],
        ),
        (
            r#"backend a = "http://a"; backend b = a.timeout(5s); "/" => b"#,
            &[],
        ),
        (r#"backend a = "http://a"; with [layer(&a)]; "/" => x"#, &[]),
        (r#"backend a = "http://a"; "/" if |_| a.is_up() => x"#, &[]),
        (r#"backend r#type = "http://a"; "/" => r#type"#, &[]),
        (
            r#"env A: u8; "/" => respond(200, format!("at most {A} a second"))"#,
            &[],
        ),
        (
            r#"env A: u8; env B: u8; "/" => f(|| { write!(w, "{:>A$} {x:.B$}", 5) })"#,
            &[],
        ),
        (r#"env A: Endpoint; "/" => cluster(rr, [A])"#, &[]),
    ]);
}

#[test]
fn a_slip_in_a_name_does_not_make_it_unused() {
    told(&[
        (r#"backend users = "http://a"; "/" => user"#, &[]),
        (
            r#"backend users = "http://a"; "/" => usres.timeout(5s)"#,
            &[],
        ),
        (r#"backend canary = "http://a"; "/" => beta"#, &[]),
        (r#"backend users = "http://a"; "/" => f(user)"#, &[]),
        (r#"env RATE: u32; "/" => f(RTAE)"#, &[]),
        (
            r#"backend users = "http://a"; "/" => Mine"#,
            &["backend `users` is never used"],
        ),
    ]);
}

#[test]
fn what_is_unused_on_purpose_is_not_named() {
    told(&[
        (r#"backend _a = "http://a"; env _B: u8; "/" => f(1)"#, &[]),
        (
            r#"#[allow(dead_code)] backend a = "http://a"; "/" => f(1)"#,
            &[],
        ),
        (
            r#"#[allow(unused)] backend a = "http://a"; "/" => f(1)"#,
            &[],
        ),
        (
            r#"/// Set by the platform.
            #[allow(clippy::all, unused_variables, reason = "it is")] env A: u8; "/" => f(1)"#,
            &[],
        ),
        (
            r#"#[allow(deprecated)] backend a = "http://a"; "/" => f(1)"#,
            &["backend `a` is never used"],
        ),
        (
            r#"#[allow(reason = "unused")] env A: u8; "/" => f(1)"#,
            &["the variable `A` is never used"],
        ),
    ]);
}

#[test]
fn guards_that_look_like_all_there_is_are_told_what_they_leave() {
    told(&[
        (
            r#"host "a.b" { GET "/x" if header("x-beta").is("1") => a, GET "/x" if header("X-Beta").is("0") => b }"#,
            &["no route matches `GET https://a.b/x` without the header `x-beta`"],
        ),
        (
            r#""/{id}" if query("new").is("TRUE") => a, "/{name}" if query("new").is("false") => b"#,
            &["no route matches `GET /7` without the parameter `new` in its query"],
        ),
        (
            r#""/" if cookie("beta").is("on") => a, "/" if cookie("beta").is("off") => b, POST "/" => c"#,
            &["no route matches `GET /` without the cookie `beta`"],
        ),
        (
            r#""/" if header("a").is("1").and(query("v").is("2")) => a, "/" if header("a").is("0").and(query("v").is("2")) => b"#,
            &["no route matches `GET /?v=2` without the header `a`"],
        ),
        (
            r#""/" if header("a").exists() => a, "/" if header("a").is("") => b"#,
            &["no route matches `GET /` without the header `a`"],
        ),
        (
            r#""/" if client_ip().within("0.0.0.0/0") => a"#,
            &["no route matches `GET /` from an IPv6 address"],
        ),
    ]);
    assert_eq!(
        warned(r#"GET "/x" if header("b").is("1") => a, GET "/x" if header("b").is("0") => b"#),
        ["no route matches `GET /x` without the header `b`\n\
             note: `GET /x if header(\"b\").is(\"1\")` and `GET /x if header(\"b\").is(\"0\")` match only requests that have it, \
             and every route for this path has such a guard\n\
             help: add a route without a guard for the rest, or `#[allow(no_fallback)]` above this one"]
    );
}

#[test]
fn routes_that_only_some_may_take_are_left_alone() {
    told(&[
        (r#""/admin" if header("x-internal").is("1") => a"#, &[]),
        (r#""/admin" if client_ip().within("10.0.0.0/8") => a"#, &[]),
        (
            r#""/" if header("tenant").is("a") => a, "/" if header("tenant").is("b") => b"#,
            &[],
        ),
        (
            r#""/" if header("v").is("1") => a, "/" if header("v").is("2") => b"#,
            &[],
        ),
        // There is an answer: with the same path, with a shorter one, or nobody knows.
        (
            r#""/" if header("b").is("1") => a, "/" if header("b").is("0") => b, "/" => c"#,
            &[],
        ),
        (
            r#""/x" if header("b").is("1") => a, "/x" if header("b").is("0") => b, "/" => c"#,
            &[],
        ),
        (
            r#""/" if header("b").is("1") => a, "/" if header("b").is("0") => b, "/" if g => c"#,
            &[],
        ),
        // Other methods, or another key beside it.
        (
            r#"GET "/" if header("b").is("1") => a, POST "/" if header("b").is("0") => b"#,
            &[],
        ),
        (
            r#""/" if header("b").is("1").and(query("a").is("1")) => a, "/" if header("b").is("0").and(query("a").is("0")) => b"#,
            &[],
        ),
        (
            r#"#[allow(no_fallback)] "/" if header("b").is("1") => a, "/" if header("b").is("0") => b"#,
            &[],
        ),
        (
            r#""/" if header("b").is("1") => a, #[allow(no_fallback)] "/" if header("b").is("0") => b"#,
            &[],
        ),
    ]);
}

#[test]
fn attributes_that_would_be_lost_are_refused() {
    let cases = [
        (
            r#"#[cfg(x)] backend a = "http://a"; "/" => a"#,
            "only `#[allow(..)]` is allowed on a backend",
        ),
        (
            r#"#[deprecated] env A: u8; "/" => f(A)"#,
            "only `#[allow(..)]` is allowed on a variable",
        ),
        (
            r#"#[cfg(x)] let a = 5; "/" => f(a)"#,
            "only `#[allow(..)]` is allowed on `let`",
        ),
        (
            r#"#[inline] "/" => a"#,
            "attributes are not allowed on a route",
        ),
        (
            r#"#[allow(dead_code)] "/" => a"#,
            "unknown lint `dead_code` for a route",
        ),
        (
            r#"#[allow(no_fallback)] "/a" { "/" => a }"#,
            "attributes are not allowed on a scope",
        ),
        (
            r#"#[allow(unused)] host "a.b" { "/" => a }"#,
            "attributes are not allowed on `host`",
        ),
    ];
    for (source, wanted) in cases {
        let messages = super::messages(source);
        assert_eq!(messages.len(), 1, "{source}: {messages:?}");
        assert!(messages[0].starts_with(wanted), "{source}: {messages:?}");
    }
    // What was refused is not in the way of what is written.
    let source = r#"prox #[cfg(x)] backend a = "http://a"; "/" => a"#;
    let output = crate::expand(source.parse().unwrap()).to_string();
    assert!(!output.contains("cfg (x)"), "{output}");
    assert!(super::messages(r#"#[expect(unused_mut)] let mut a = 5; "/" => f(a)"#).is_empty());
}

#[test]
fn nothing_is_warned_of_beside_an_error() {
    let source = r#"prox backend a = "http://a"; "/x" =>"#;
    let output = crate::expand(source.parse().unwrap()).to_string();
    assert!(
        output.contains("compile_error") && !output.contains("deprecated"),
        "{output}"
    );
    let output = crate::expand(r#"prox backend a = "http://a";"#.parse().unwrap()).to_string();
    assert!(output.contains("deprecated"), "{output}");
}

#[test]
fn what_is_sent_once_is_not_asked_for_again() {
    const NONE: &str = "only failed connections are retried here";
    told(&[
        (
            r#"backend a = cluster(rr, ["http://a"]); POST "/" => a.retry(2)"#,
            &[NONE],
        ),
        (
            r#"POST | PATCH "/" => cluster(rr, ["http://a"]).retry(RetryOptions::new(3).per_try_timeout(1s))"#,
            &[NONE],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]).retry(2); POST "/a" => a, PATCH "/b" => a.timeout(5s)"#,
            &[NONE],
        ),
        // One of its routes is retried, or may be.
        (
            r#"backend a = cluster(rr, ["http://a"]).retry(2); POST "/a" => a, GET "/b" => a"#,
            &[],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]).retry(2); POST "/a" => a, let b = f(a); "/b" => b"#,
            &[],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]).retry(2); POST "/a" => a, POST "/b" => a.retry(RetryOptions::new(1).any_method())"#,
            &[],
        ),
        // It says so, asks for nothing, or nobody knows.
        (
            r#"POST "/" => cluster(rr, ["http://a"]).retry(RetryOptions::new(3).any_method())"#,
            &[],
        ),
        (r#"backend a = "http://a"; POST "/" => a.retry(0)"#, &[]),
        (r#"backend a = "http://a"; POST "/" => a.retry(N)"#, &[]),
        (
            r#"backend a = "http://a"; POST | PUT "/" => a.retry(2)"#,
            &[],
        ),
        (
            r#"backend a = "http://a"; #[allow(not_retried)] POST "/" => a.retry(2)"#,
            &[],
        ),
        (
            r#"#[allow(not_retried)] backend a = cluster(rr, ["http://a"]).retry(2); POST "/" => a"#,
            &[],
        ),
    ]);
}
