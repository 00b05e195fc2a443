//! What each mistake is told: every message of a gateway, so that none follows from another.

use super::messages;

/// Holds the first line of every message.
fn told(cases: &[(&str, &[&str])]) {
    for (source, wanted) in cases {
        let messages = messages(source);
        let first: Vec<&str> = messages
            .iter()
            .filter_map(|message| message.lines().next())
            .collect();
        assert_eq!(first, *wanted, "{source}");
    }
}

#[test]
fn routes_that_tie_or_are_never_reached_are_named() {
    told(&[
        (
            r#""/a" => x, "/a" => y,"#,
            &[
                "duplicate route `/a`; the first is above",
                "the route `/a` is repeated below",
            ],
        ),
        (
            r#"host "a.b" { GET "/u/{id}" => x, GET "/u/{name}" => y, }"#,
            &[
                "`GET /u/{name}` matches the same requests as `GET /u/{id}` above",
                "the route `GET /u/{id}` is repeated below",
            ],
        ),
        (
            r#"GET | POST "/a" => x, POST | PUT "/a" => y,"#,
            &[
                "`POST|PUT /a` ties with `GET|POST /a` above",
                "`GET|POST /a` ties with `POST|PUT /a` below",
            ],
        ),
        (
            r#"GET "/a" if header("x").is("1") => x, GET "/a" if header("x").is("1") => y, GET "/a" => z, "/a" => q,"#,
            &[
                r#"duplicate route `GET /a if header("x").is("1")`; the first is above"#,
                r#"the route `GET /a if header("x").is("1")` is repeated below"#,
            ],
        ),
        (
            r#""/a" if g => x, exact "/a" => y, exact "/a/" => q, "/a/{*r}" => z,"#,
            &[
                "`/a if g` can never be reached, so its guard is never tested: more specific routes match all of its requests",
            ],
        ),
        (
            r#"exact "/" => x, "/{*r}" => z, "/" => y"#,
            &["`/` can never be reached: more specific routes match all of its requests"],
        ),
    ]);
}

#[test]
fn unknown_words_are_told_the_nearest_right_one() {
    told(&[
        (
            r#"bakend users = "http://a"; "/" => users"#,
            &["unknown word `bakend` at the start of a line"],
        ),
        (
            r#"upstream users = "http://a"; "/" => users"#,
            &["unknown word `upstream` at the start of a line"],
        ),
        (
            r#"get "/" => x, PSOT "/b" => y, FETCH "/c" => z, any "/d" => q,"#,
            &[
                "unknown method `get`",
                "unknown method `PSOT`",
                "unknown method `FETCH`",
                "unknown method `any`",
            ],
        ),
        (
            r#"hots "a.b" { "/" => x }"#,
            &["unknown word `hots` at the start of a line"],
        ),
        (
            r#"frobnicate the thing; "/" => x"#,
            &["unknown word `frobnicate` at the start of a line"],
        ),
    ]);
}

#[test]
fn reading_goes_on_after_a_missing_or_wrong_separator() {
    told(&[
        (r#""/a" => , "/b" => y,"#, &["expected a target after `=>`"]),
        (
            r#""/a" => "/b" => y, "/c" => z"#,
            &["expected a target after `=>`"],
        ),
        (
            r#""/a" => users "/b" => y"#,
            &["expected `,` between two routes"],
        ),
        (
            r#""/a" => users; "/b" => y;"#,
            &[
                "expected `,` between two routes, found `;`",
                "expected `,` between two routes, found `;`",
            ],
        ),
        (
            r#"backend users = "http://a" "/b" => users"#,
            &["expected `;` after the backend"],
        ),
        (
            r#"backend users = "http://a", host "a.b" { "/" => users }"#,
            &["expected `;` after the backend, found `,`"],
        ),
        (
            r#""/a" -> users, "/b" = y, "/c": z,"#,
            &[
                "expected `=>` before the target, found `->`",
                "expected `=>` before the target, found `=`",
                "expected `=>` before the target, found `:`",
            ],
        ),
        (
            r#""/a" with [x] => users"#,
            &["the layers of a route must come after its target"],
        ),
        (
            r#"with auth; host "a.b" with cors { "/" => x }"#,
            &[
                "expected a list of layers in `[..]` after `with`",
                "expected a list of layers in `[..]` after `with`",
            ],
        ),
        (
            r#""/a" => { GET "/b" => x, }"#,
            &["unexpected `=>` before a scope"],
        ),
    ]);
}

#[test]
fn scopes_and_hosts_are_told_their_form() {
    told(&[
        (
            r#"GET "/a" { "/b" => x } exact "/c" { "/d" => y }"#,
            &[
                "methods are not allowed on a scope",
                "`exact` is not allowed on a scope, which is the common prefix of its routes",
            ],
        ),
        (
            r#"host a.b.com { "/" => x }"#,
            &["expected the name of the host in quotes"],
        ),
        (
            r#"host "a.b", "c.d" { "/" => x }"#,
            &["expected `|` between two hosts, found `,`"],
        ),
        (
            r#"host "https://a.b" { "/" => x } expect GET "https://a.b/" => 404;"#,
            &["unexpected scheme in a host"],
        ),
        (
            r#"host "a.b" { "/" => x } host "c.d" | "a.b" { "/" => y }"#,
            &[
                "duplicate host `a.b`; the first is above",
                "the host `a.b` is repeated below",
            ],
        ),
        (
            r#"host "a.b" { backend x = "http://a"; "/" => x }"#,
            &["`backend` is allowed only at the top level of a gateway"],
        ),
    ]);
}

#[test]
fn lookups_need_the_feature_and_no_more() {
    let found = messages(
        r#""/a" => cluster(rr, dns("http://a").max_ttl(5s)), "/b" => cluster(p2c, srv("http://_http._tcp.b"))"#,
    );
    if cfg!(feature = "dns") {
        assert!(found.is_empty(), "{found:#?}");
    } else {
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].contains("`dns` needs the feature `dns`"),
            "{found:#?}"
        );
        assert!(found[1].contains("features = [\"dns\"]"), "{found:#?}");
    }
}

#[test]
fn lookups_stand_where_a_list_does() {
    let lookup =
        "`dns(..)` and `srv(..)` replace the list of endpoints, and cannot be elements of it";
    let list = "expected a policy before the endpoints";
    let turned = "the policy must come before the endpoints";
    for (source, wanted) in [
        (
            r#""/" => cluster(rr, [dns("http://a"), "http://b"])"#,
            lookup,
        ),
        (r#""/" => cluster(srv("http://_http._tcp.a"))"#, list),
        (r#""/" => cluster(dns("http://a"), rr)"#, turned),
    ] {
        let found = messages(source);
        assert!(found[0].starts_with(wanted), "{source}: {found:#?}");
    }
}

#[test]
fn https_upstreams_need_the_feature_and_no_more() {
    let found = messages(r#""/a" => "https://a", "/b" => cluster(rr, ["https://b"])"#);
    if cfg!(feature = "tls") {
        assert_eq!(found, Vec::<String>::new());
    } else {
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].contains("features = [\"tls\"]"), "{found:#?}");
    }
}

#[test]
fn targets_are_checked_where_they_are_literal() {
    told(&[
        (
            r#""/a" => "10.0.0.1:80", "/b" => cluster(rr, []), "/c" => cluster(rr, ["ftp://x", "http://a", "http://a/", "http://b".weight(0)])"#,
            &[
                "the URL of an upstream must start with `http://`",
                "a cluster needs at least one endpoint",
                "unknown scheme `ftp`",
                "duplicate endpoint `http://a/`: it is already in this cluster as `http://a`",
                "`weight` of 0 gives this endpoint no requests",
            ],
        ),
        (
            r#"backend users = "http://u"; "/a" => users.timeout(5).retry(2),"#,
            &["`timeout` expects a duration, but `5` has no unit"],
        ),
        (
            r#"backend users = cluster(rr, ["http://u"]).passive(p()).health(http("/a").every(5s).every(6s)).without_passive(); "/a" => users.timeout(5s).retry(2).timeout(6s), "/b" => users.retry(RetryOptions::new(1).patience(1s).patience(2s)),"#,
            &[
                "duplicate `.every(..)`: it replaces the one before",
                "duplicate `.without_passive()`: it replaces the one before",
                "duplicate `.timeout(..)`: it replaces the one before",
                "duplicate `.patience(..)`: it replaces the one before",
            ],
        ),
        (
            r#"backend a = "http://a"; backend b = "http://b"; backend u = "http://u"; "/a" => u.mirror(a, 0.1).mirror(b, 0.1), "/b" => u.mirror(a, 0.1).mirror(a, 0.2)"#,
            &["duplicate `.mirror(a, ..)`: it replaces the one before"],
        ),
        (
            r#""/a/{id}" => users.rewrite("/x/{ident}"), "/b" => users.rewrite("/{id}")"#,
            &[
                "the path of this route has no parameter `ident`",
                "the path of this route has no parameter `id`",
            ],
        ),
        (
            r#"backend users = cluster(rr, ["http://a"]).rewrite("/p/{id}"); "/a/{id}" => users, "/b" => users, "/c" => users.rewrite("/")"#,
            &["the path of `/b`, which uses this backend, has no parameter `id`"],
        ),
        (
            r#""/a" => redirect(200, "/b"), "/b" => respond(99, ""), "/c" => respond(101, "")"#,
            &[
                "`200` is not a redirect status",
                "`99` is not a response status",
                "`101` is not a final status",
            ],
        ),
        (
            r#""/a" => split { 0 => a, {} => b, 1.5 => c }, "/b" => split {}"#,
            &[
                "expected a weight and `=>`",
                "a split needs at least one arm",
                "an arm with weight 0 never gets a request",
                "`1.5` is not a weight",
            ],
        ),
        (
            r#"backend a = split { 1 => "http://a" }; "/" => a"#,
            &["a backend cannot be a split"],
        ),
        (
            r#""/a" => split { 1 => "http://a" }.sticky(cookie("v")) with [log], "/b" => split { 1 => a }.timeout(3s), "/c" => split { 1 => a }.sticky"#,
            &[
                "unknown option `timeout` of a split",
                "`sticky` expects a cookie",
            ],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]); backend b = cluster(rr, ["http://b"]).mirror(a, 1.5); "/a" => b.mirror(a, 10), "/b" => b.mirror(b, 0.1), "/c" => b.mirror(a, -0.5), "/d" => b.mirror(a, 5%), "/e" => b.mirror(a, 0.0), "/f" => b.mirror(a, SHARE)"#,
            &[
                "`1.5` is not a share of the requests",
                "`10` is not a share of the requests",
                "`-0.5` is not a share of the requests",
                "unexpected `%` after `5`",
                "`b` cannot be its own mirror",
            ],
        ),
    ]);
}

#[test]
fn items_that_lack_a_part_say_which() {
    told(&[
        (
            r#"env A; env B: u32 = ; env : x; "/" => f(A, B)"#,
            &[
                "missing type for the variable `A`",
                "expected a default after `=`",
                "expected a name after this word",
            ],
        ),
        (
            r#"let = 5; let x = ; let y 5; "/" => f(x)"#,
            &[
                "expected `let name = value;`",
                "expected a value after `=`",
                "expected `let name = value;`",
            ],
        ),
    ]);
}

#[test]
fn expectations_name_what_really_wins() {
    told(&[
        (
            r#""/v1/{id}" => users, GET "/v1/x" => canary, expect GET "/v1/x" => users; expect POST "/v1/x" => canary; expect GET "/v2" => users; expect GET "/v1/7" => usres; expect GET "/v1/x" => 700; expect GIT "/v1/x" => users; expect GET => users;"#,
            &[
                "unknown method `GIT`",
                "expected a method, a URL, `=>`, and a name or a status",
                "expected `GET /v1/x` to be answered by `users`, but it is answered by `canary`",
                "expected `POST /v1/x` to be answered by `canary`, but it is answered by `users`",
                "expected `GET /v2` to be answered by `users`, but the answer is 404",
                "no backend or handler is named `usres`",
                "`700` is not a response status",
            ],
        ),
        (
            r#"GET "/x" if query("a").is("1") => one, GET "/x" => two, expect GET "/x?a=1" => one; expect GET "/x" => two; expect GET "/x?a=2" => one; expect POST "/x" => 405; expect POST "/x" => 404;"#,
            &[
                "expected `GET /x?a=2` to be answered by `one`, but it is answered by `two`",
                "expected `POST /x` to be answered by `404`, but the answer is 405",
            ],
        ),
    ]);
}

#[test]
fn paths_names_and_attributes_are_told_their_form() {
    told(&[
        (
            r#""/a/:id" => x, "/b/*" => y, "/c/" => z, "/d//e" => q, "/f g" => r, "api" => s"#,
            &[
                "a parameter is written `{id}`",
                "`*` is not a wildcard in a path",
                "unexpected `/` at the end of a prefix",
                "empty path segment",
                "a space is not allowed unencoded in a path",
                "a path must start with `/`",
            ],
        ),
        (
            r#""/a/{id}" { "/{id}" => x } "/b/{*r}" { "/" => y }"#,
            &[
                "duplicate parameter `id`: it is also in a scope around this route",
                "`{*..}` is not allowed in a scope: nothing would be left for its routes",
            ],
        ),
        (
            r#"GET | GET "/a" => x"#,
            &["duplicate method `GET` on this route"],
        ),
        (
            r#"backend a = "http://a"; backend a = "http://b"; env X: u8; env X: u8; "/" => a"#,
            &[
                "duplicate backend `a`; the first is above",
                "the backend `a` is repeated below",
                "duplicate variable `X`; the first is above",
                "the variable `X` is repeated below",
            ],
        ),
        (
            r#""/" => x, pub struct Late;"#,
            &["the `struct` line must come first"],
        ),
        ("pub struct A; pub struct B;", &["duplicate `struct` line"]),
        (
            "pub struct A<T>; struct B(u8);",
            &[
                "generics are not allowed on a gateway",
                "expected named fields",
                "duplicate `struct` line",
            ],
        ),
        (
            r#"#[cfg(x)] "/" => y"#,
            &["attributes are not allowed on a route"],
        ),
        (
            r#""/a" => x => y, "/b" => z"#,
            &["unexpected second `=>` in a route"],
        ),
        (
            r#""/" => f(0.5ms, 99999999999999999h)"#,
            &[
                "`0.5ms` is not a whole number of milliseconds",
                "`99999999999999999h` is too many milliseconds",
            ],
        ),
    ]);
}

#[test]
fn messages_have_the_text_to_write() {
    assert_eq!(
        messages(r#"host "a.b" { GET "/u/{id}" => x, GET "/u/{name}" => y }"#)[0],
        "`GET /u/{name}` matches the same requests as `GET /u/{id}` above\n\
         note: `GET https://a.b/u/7` would match both\n\
         note: paths that differ only in parameter names are the same\n\
         help: remove one of them, or distinguish them by a method or a guard"
    );
    assert_eq!(
        messages(r#""/a/{id}" => users.rewrite("/x/{ident}")"#),
        [
            "the path of this route has no parameter `ident`\n  \"/x/{ident}\"\n      ^^^^^^^\nhelp: `/a/{id}` has `{id}`"
        ]
    );
}

#[test]
fn what_was_wrong_with_the_host_does_not_follow_its_expectations() {
    let messages =
        messages(r#"host "Api.b" { "/" => users } expect GET "https://api.b/" => users;"#);
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[test]
fn a_named_gateway_cannot_be_left_or_awaited_while_it_is_made() {
    told(&[
        (
            r#"pub struct A; let x = connect().await; let y = return 5; "/" => f(x, y)"#,
            &[
                "`.await` is not allowed here: this expression is evaluated in `A::new`",
                "`return` is not allowed here: this expression is evaluated in `A::new`",
            ],
        ),
        (
            r#"pub struct A; "/" => handler(|a, b| async move { if a { return 1 } b.await }), "/b" => f(|| return 5)"#,
            &[],
        ),
        (r#"let x = connect().await; "/" => f(x)"#, &[]),
    ]);
}

#[test]
fn what_other_gateways_have_is_told_its_form_here() {
    told(&[
        (
            r#"location /api { proxy_pass "http://a"; } server { listen 80; } upstream api { server 10.0.0.1:80; } listen 80; "/" => x"#,
            &[
                "unknown word `location` at the start of a line",
                "unknown word `server` at the start of a line",
                "unknown word `upstream` at the start of a line",
                "unknown word `listen` at the start of a line",
            ],
        ),
        (
            r#"Host("a.b") && PathPrefix("/c") => x, route("/d", get(y)), default => z, _ => q, * => r, /s => t"#,
            &[
                "unknown word `Host` at the start of a line",
                "unknown word `route` at the start of a line",
                "unknown word `default` at the start of a line",
                "unknown word `_` at the start of a line",
                "unexpected `*` at the start of a line",
                "expected quotes around the path",
            ],
        ),
        (
            r#"use a::{b, c}; async fn f() {} pub mod m { x } let y = 5; "/" => handler(f)"#,
            &[
                "`use` is not allowed inside a gateway: of Rust, only `let` is",
                "`async fn` is not allowed inside a gateway: of Rust, only `let` is",
                "`mod` is not allowed inside a gateway: of Rust, only `let` is",
            ],
        ),
    ]);
}

#[test]
fn what_stands_in_the_wrong_order_is_still_understood() {
    told(&[
        (
            r#"GET POST "/a" => x, exact PUT "/a" => y, "/b" GET => z, "/c" exact => q, "/d" if g => r"#,
            &[
                "expected `|` between two methods",
                "`exact` must come between the method and the path",
                "the method must come before the path",
                "`exact` must come before the path",
            ],
        ),
        (
            r#"with with [a]; "/a" => x with [b] with [c], expect expect GET "/a" => x;"#,
            &["duplicate `with`", "duplicate `with`", "duplicate `expect`"],
        ),
        (
            r#"host("a.b") { "/" => x } host: "c.d" | "e.f" "g.h" { "/" => x } host "i.j" {} "/k" {}"#,
            &[
                "unexpected brackets around a host",
                "expected the host right after `host`",
                "expected `|` between two hosts",
                "this host has no routes, so every request for it is answered with 404",
                "this scope has no routes",
            ],
        ),
    ]);
}

#[test]
fn targets_in_other_forms_are_told_that_of_the_language() {
    told(&[
        (
            r#""/a" => "http://a", "http://b", "/b" => ["http://c"], "/c" => "http://d".timeout(5s), "/d" => 10.0.0.1:80, "/e" => localhost:80, "/f" => 404, "/g" => return 404, "/h" => 301 "/i""#,
            &[
                "unexpected second URL: several endpoints are a cluster",
                "expected a target, found a list of URLs",
                "`timeout` is an option of a cluster, found a URL",
                "expected a URL in quotes",
                "expected a URL in quotes",
                "expected a target, found `404`",
                "expected a target, found `return`",
                "expected a target, found `301`",
            ],
        ),
        (
            r#""/a" => x ~, "/b" => x timeout(5s), "/c" => x.timeout 5s, "/d" => f(a b), "/e" => x with [a b]"#,
            &[
                "unexpected `~`",
                "expected `.` before `timeout`",
                "expected `(..)` after `timeout`",
                "expected `,` or an operator before `b`",
                "expected `,` between two layers",
            ],
        ),
        (
            r#""/a" => cluster(), "/b" => cluster(rr), "/c" => cluster(["http://a"]), "/d" => cluster(["http://a"], rr), "/e" => cluster(rr, "http://a", "http://b"), "/f" => cluster(ip_hash, A), "/g" => cluster("random", A)"#,
            &[
                "expected a policy and a list of endpoints",
                "expected a list of endpoints after the policy",
                "expected a policy before the endpoints",
                "the policy must come before the endpoints",
                "expected one list of endpoints",
                "`\"random\"` is not a balancing policy",
            ],
        ),
        (
            r#"backend x = "http://u"; "/a" => x.timeout("5s"), "/b" => x.timeout(-5s), "/c" => x.idle_timeout(-5)"#,
            &[
                "`-5s` is negative",
                "`timeout` expects a duration, but `\"5s\"` is a string",
                "`-5` is negative, and has no unit",
            ],
        ),
        (
            r#""/a" => redirect(308, "/a/b"), "/c" => redirect(308, "d"), "/e" => redirect("/f"), "/g" => redirect(308, "/h/{i}"), exact "/j" => redirect(308, "/j/k")"#,
            &[
                "`redirect` expects a status and a location",
                "the location of a redirect must start with `/` or a scheme",
                "the path of this route has no parameter `i`",
                "redirect loop: `/a` also matches `/a/b`",
            ],
        ),
        (
            r#"backend b = "http://a"; with [b, cluster(rr, A), c]; backend with = "http://d"; backend "e" = "http://f"; backend g-h = "http://i"; "/" => g_h"#,
            &[
                "expected a name, found the word `with`",
                "unexpected quotes around the name `e`",
                "`-` is not allowed in a name",
                "expected a layer, found the backend `b`",
                "expected a layer, found the target `cluster(..)`",
            ],
        ),
        (
            r#"GET "/a" if header("x") == "1" && query("v").is("2") => x, GET "/a" when cookie("c").exists() => y, "/a" => z"#,
            &[
                "unexpected `==` in a guard",
                "guards are joined by `.and(..)`",
                "expected `if`, found `when`",
            ],
        ),
    ]);
}

#[test]
fn a_variable_without_a_type_is_told_the_one_that_its_name_or_its_default_tells() {
    for (line, ty) in [
        ("env USERS_URL;", "Endpoint;"),
        ("env USERS_URLS;", "Vec<Endpoint>;"),
        ("env PORT = 8080;", "u16 = ..;"),
        ("env RATE = 100;", "u32 = ..;"),
        ("env WAIT = 5s;", "Duration = ..;"),
        ("env UPLOAD = 16KiB;", "usize = ..;"),
        ("env REQUEST_TIMEOUT;", "Duration;"),
        ("env VERBOSE = true;", "bool = ..;"),
    ] {
        let told = &messages(line)[0];
        assert!(told.ends_with(&format!(": {ty}`")), "{line}: {told}");
    }
}

#[test]
fn what_a_backend_cannot_be_followed_by_is_told_its_form() {
    const BACKEND: &str = r#"backend users = "http://u"; "/" => "#;
    for (target, wanted) in [
        (
            "users [auth, log()]",
            "expected `with` before the layers\nhelp: write `users with [auth, log()]`",
        ),
        (
            "users.retry(2).with([auth])",
            "unexpected `.` before `with`\nhelp: write `users.retry(2) with [auth]`",
        ),
        (
            "users.retry(2).timeout = 5s",
            "expected `(..)` around the value of an option\nhelp: write `users.retry(2).timeout(5s)`",
        ),
        (
            "users { timeout: 5s, retry: 2 }",
            "expected `.` before the options of a backend\nhelp: write `users.timeout(5s).retry(2)`",
        ),
        (
            "split { 1 => users(timeout = 5s) }",
            "expected `.` before the options of a backend\nhelp: write `users.timeout(5s)`",
        ),
    ] {
        assert_eq!(
            messages(&format!("{BACKEND}{target}")),
            [wanted],
            "{target}"
        );
        // Of anything else the same may be right.
        let own = target.replace("users", "mine");
        let told = messages(&format!(r#""/" => {own}"#));
        assert!(told.is_empty(), "{own}: {told:?}");
    }
}

#[test]
fn what_is_right_is_told_nothing() {
    for source in [
        super::CARD,
        super::EXPRESSION,
        "",
        r#"GET "/a" if g => x, GET "/a" if h => y, GET "/a" => z, "/a" => q"#,
        r#"exact "/a" => x, "/a" => y, "/a/{b}" => q, "/a/{*c}" => r"#,
        r#"host "a.b" { "/" => x } host "*.b" { "/" => x } host _ { "/a" => x } "/b" => x"#,
        r#"let timeout = Other::new().timeout(5); "/" => f(timeout)"#,
        r#""/old" => redirect(308, "https://a.b/old"), exact "/a" => redirect(308, "/a/"), POST "/p" => redirect(303, "/p"), GET "/p" => x, "/q" if query("v").is("1") => redirect(308, "/q")"#,
        r#""/" => Mine::new().timeout(30), "/b" => service(Mine::new().timeout(30)), "/c" => mine.timeout("5s")"#,
        r#""/" => other::cluster(a), "/b" => other::redirect("x", y), "/c" => [a, b].choose(), "/d" => 5.handler()"#,
        r#"backend a = cluster(rr, ["http://a"]).timeout(3s).idle_timeout(5m).health(mine(3).every(5).timeout(9)); "/" => a"#,
        r#""/" => handler(|req| async { if x(&req) { redirect(302, "/") } else { y } }), "/b" => redirect(302, "../c")"#,
        r#"let round_robin = mine(); "/" => cluster(round_robin, [A]), "/b" => cluster(MINE, ["http://a"]), "/c" => cluster(Mine, A), "/d" => cluster(round_robbin, [a, b]), "/e" => cluster(ip_hash, A)"#,
        r#"/// Documented. 
        "/" => x, "/b" => y"#,
    ] {
        assert_eq!(messages(source), Vec::<String>::new(), "{source}");
    }
}
