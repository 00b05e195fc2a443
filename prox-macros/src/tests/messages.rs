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
                "the route `/a` is there twice; the first is above",
                "the route `/a` is there again below",
            ],
        ),
        (
            r#"host "a.b" { GET "/u/{id}" => x, GET "/u/{name}" => y, }"#,
            &[
                "`GET /u/{name}` takes the same requests as `GET /u/{id}` above",
                "the route `GET /u/{id}` is there again below",
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
                r#"the route `GET /a if header("x").is("1")` is there twice; the first is above"#,
                r#"the route `GET /a if header("x").is("1")` is there again below"#,
            ],
        ),
        (
            r#""/a" if g => x, exact "/a" => y, exact "/a/" => q, "/a/{*r}" => z,"#,
            &[
                "`/a if g` can never be reached, so its guard is never asked: more specific routes take all of its requests",
            ],
        ),
        (
            r#"exact "/" => x, "/{*r}" => z, "/" => y"#,
            &["`/` can never be reached: more specific routes take all of its requests"],
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
        (r#""/a" => , "/b" => y,"#, &["the target is missing"]),
        (
            r#""/a" => "/b" => y, "/c" => z"#,
            &["the target is missing"],
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
            &["the layers of a route stand behind its target"],
        ),
        (
            r#"with auth; host "a.b" with cors { "/" => x }"#,
            &[
                "expected a list of layers in `[..]` after `with`",
                "expected a list of layers in `[..]` after `with`",
            ],
        ),
        (r#""/a" => { GET "/b" => x, }"#, &["a scope has no `=>`"]),
    ]);
}

#[test]
fn scopes_and_hosts_are_told_their_form() {
    told(&[
        (
            r#"GET "/a" { "/b" => x } exact "/c" { "/d" => y }"#,
            &[
                "a scope has no methods",
                "a scope cannot be `exact`: it is a prefix shared by its routes",
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
            &["a host has no scheme"],
        ),
        (
            r#"host "a.b" { "/" => x } host "c.d" | "a.b" { "/" => y }"#,
            &[
                "the host `a.b` is there twice; the first is above",
                "the host `a.b` is there again below",
            ],
        ),
        (
            r#"host "a.b" { backend x = "http://a"; "/" => x }"#,
            &["`backend` stands at the top level of the gateway"],
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
    let lookup = "what DNS finds stands in the place of the list, and not in it";
    let list = "a cluster has a policy before its endpoints";
    let turned = "the policy of a cluster stands before its endpoints";
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
                "the URL of an upstream starts with `http://`",
                "a cluster without endpoints can answer nothing",
                "unknown scheme `ftp`",
                "duplicate endpoint `http://a/`: it is in this cluster already as `http://a`",
                "`weight` of 0 gives this endpoint no requests",
            ],
        ),
        (
            r#"backend users = "http://u"; "/a" => users.timeout(5).retry(2),"#,
            &["`timeout` takes a duration, and `5` has no unit"],
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
                "`200` is not a status of a redirect",
                "`99` is not a status of a response",
                "`101` is not the last answer to a request",
            ],
        ),
        (
            r#""/a" => split { 0 => a, x => b, 1.5 => c }, "/b" => split {}"#,
            &[
                "expected a weight and `=>`",
                "a split without arms can answer nothing",
                "an arm of weight 0 never gets a request",
                "`1.5` is not a weight",
            ],
        ),
        (
            r#"backend a = split { 1 => "http://a" }; "/" => a"#,
            &["a backend cannot be a split"],
        ),
        (
            r#""/a" => split { 1 => "http://a" }.sticky(cookie("v")) with [log], "/b" => split { 1 => a }.timeout(3s), "/c" => split { 1 => a }.sticky"#,
            &["a split has no `timeout`", "`sticky` has a cookie"],
        ),
        (
            r#"backend a = cluster(rr, ["http://a"]); backend b = cluster(rr, ["http://b"]).mirror(a, 1.5); "/a" => b.mirror(a, 10), "/b" => b.mirror(b, 0.1), "/c" => b.mirror(a, -0.5), "/d" => b.mirror(a, 5%), "/e" => b.mirror(a, 0.0), "/f" => b.mirror(a, SHARE)"#,
            &[
                "`1.5` is not a share of the requests",
                "`10` is not a share of the requests",
                "`-0.5` is not a share of the requests",
                "unexpected `%` behind `5`",
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
                "the variable `A` has no type",
                "the default is missing",
                "expected a name after this word",
            ],
        ),
        (
            r#"let = 5; let x = ; let y 5; "/" => f(x)"#,
            &[
                "expected `let name = value;`",
                "the value is missing",
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
                "expected a method, a URL, `=>` and what answers",
                "`GET /v1/x` is answered by `canary`, not by `users`",
                "`POST /v1/x` is answered by `users`, not by `canary`",
                "`GET /v2` is answered with 404, not by `users`",
                "no backend and no handler of a route is called `usres`",
                "`700` is not a status of a response",
            ],
        ),
        (
            r#"GET "/x" if query("a").is("1") => one, GET "/x" => two, expect GET "/x?a=1" => one; expect GET "/x" => two; expect GET "/x?a=2" => one; expect POST "/x" => 405; expect POST "/x" => 404;"#,
            &[
                "`GET /x?a=2` is answered by `two`, not by `one`",
                "`POST /x` is answered with 405, not by `404`",
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
                "a prefix has no `/` at its end",
                "a path has no empty segment",
                "a path cannot contain a space as it is",
                "a path starts with `/`",
            ],
        ),
        (
            r#""/a/{id}" { "/{id}" => x } "/b/{*r}" { "/" => y }"#,
            &[
                "the parameter `id` is there twice: also in a scope around this route",
                "a scope cannot end with `{*..}`, which leaves nothing for its routes",
            ],
        ),
        (
            r#"GET | GET "/a" => x"#,
            &["the method `GET` is there twice on this route"],
        ),
        (
            r#"backend a = "http://a"; backend a = "http://b"; env X: u8; env X: u8; "/" => a"#,
            &[
                "the backend `a` is there twice; the first is above",
                "the backend `a` is there again below",
                "the variable `X` is there twice; the first is above",
                "the variable `X` is there again below",
            ],
        ),
        (
            r#""/" => x, pub struct Late;"#,
            &["the `struct` line stands before everything else"],
        ),
        (
            "pub struct A; pub struct B;",
            &["a gateway has only one `struct` line"],
        ),
        (
            "pub struct A<T>; struct B(u8);",
            &[
                "a gateway has no generics",
                "the fields of a gateway have names",
                "a gateway has only one `struct` line",
            ],
        ),
        (r#"#[cfg(x)] "/" => y"#, &["a route takes no attribute"]),
        (
            r#""/a" => x => y, "/b" => z"#,
            &["a route has only one `=>`"],
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
        "`GET /u/{name}` takes the same requests as `GET /u/{id}` above\n\
         note: `GET https://a.b/u/7` would match both\n\
         note: the names of parameters do not tell paths apart\n\
         help: take one of them away, or tell them apart with a method or a guard"
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
                "`.await` cannot be used here: this is evaluated in `A::new`",
                "`return` cannot be used here: this is evaluated in `A::new`",
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
                "a path stands in quotes",
            ],
        ),
        (
            r#"use a::{b, c}; async fn f() {} pub mod m { x } let y = 5; "/" => handler(f)"#,
            &[
                "`use` stands outside of the gateway, as everything of Rust but `let`",
                "`async fn` stands outside of the gateway, as everything of Rust but `let`",
                "`mod` stands outside of the gateway, as everything of Rust but `let`",
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
                "`exact` stands between the method and the path",
                "a method stands before the path",
                "`exact` stands before the path",
            ],
        ),
        (
            r#"with with [a]; "/a" => x with [b] with [c], expect expect GET "/a" => x;"#,
            &[
                "the word `with` is there twice",
                "the word `with` is there twice",
                "the word `expect` is there twice",
            ],
        ),
        (
            r#"host("a.b") { "/" => x } host: "c.d" | "e.f" "g.h" { "/" => x } host "i.j" {} "/k" {}"#,
            &[
                "the name of a host stands without brackets",
                "the name of a host follows the word at once",
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
                "a target has one URL; several are a cluster",
                "a list of URLs is no target",
                "a URL has no `timeout`; a cluster has",
                "an upstream is a URL in quotes",
                "an upstream is a URL in quotes",
                "`404` is no target",
                "`return` is no target",
                "`301` is no target",
            ],
        ),
        (
            r#""/a" => x ~, "/b" => x timeout(5s), "/c" => x.timeout 5s, "/d" => f(a b), "/e" => x with [a b]"#,
            &[
                "unexpected `~`",
                "expected `.` before `timeout`",
                "expected `(..)` behind `timeout`",
                "expected `,` or an operator before `b`",
                "expected `,` between two layers",
            ],
        ),
        (
            r#""/a" => cluster(), "/b" => cluster(rr), "/c" => cluster(["http://a"]), "/d" => cluster(["http://a"], rr), "/e" => cluster(rr, "http://a", "http://b"), "/f" => cluster(ip_hash, A), "/g" => cluster("random", A)"#,
            &[
                "a cluster has a policy and a list of endpoints",
                "a cluster has a list of endpoints behind its policy",
                "a cluster has a policy before its endpoints",
                "the policy of a cluster stands before its endpoints",
                "the endpoints of a cluster stand in one list",
                "`\"random\"` is no balancing policy",
            ],
        ),
        (
            r#"backend x = "http://u"; "/a" => x.timeout("5s"), "/b" => x.timeout(-5s), "/c" => x.idle_timeout(-5)"#,
            &[
                "`-5s` is less than 0",
                "`timeout` takes a duration, and `\"5s\"` is a string",
                "`-5` is less than 0, and has no unit",
            ],
        ),
        (
            r#""/a" => redirect(308, "/a/b"), "/c" => redirect(308, "d"), "/e" => redirect("/f"), "/g" => redirect(308, "/h/{i}"), exact "/j" => redirect(308, "/j/k")"#,
            &[
                "`redirect` takes a status and a location",
                "the location of a redirect starts with `/` or with a scheme",
                "the path of this route has no parameter `i`",
                "this redirect leads in a circle: `/a` takes `/a/b` as well",
            ],
        ),
        (
            r#"backend b = "http://a"; with [b, cluster(rr, A), c]; backend with = "http://d"; backend "e" = "http://f"; backend g-h = "http://i"; "/" => g_h"#,
            &[
                "`with` is a word of the language, and cannot be a name",
                "a name stands without quotes",
                "a name has no `-`",
                "the backend `b` is no layer",
                "`cluster(..)` is a target, and no layer",
            ],
        ),
        (
            r#"GET "/a" if header("x") == "1" && query("v").is("2") => x, GET "/a" when cookie("c").exists() => y, "/a" => z"#,
            &[
                "a guard has no `==`",
                "guards are joined by `.and(..)`",
                "a guard starts with `if`, and not with `when`",
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
            "layers stand behind the word `with`\nhelp: write `users with [auth, log()]`",
        ),
        (
            "users.retry(2).with([auth])",
            "`with` stands behind the target, without a `.`\nhelp: write `users.retry(2) with [auth]`",
        ),
        (
            "users.retry(2).timeout = 5s",
            "the value of an option stands in `(..)`\nhelp: write `users.retry(2).timeout(5s)`",
        ),
        (
            "users { timeout: 5s, retry: 2 }",
            "the options of a backend stand behind a `.`\nhelp: write `users.timeout(5s).retry(2)`",
        ),
        (
            "split { 1 => users(timeout = 5s) }",
            "the options of a backend stand behind a `.`\nhelp: write `users.timeout(5s)`",
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
