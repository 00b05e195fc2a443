//! Hosts and shares from variables.

use proptest::prelude::*;

use super::{compiled, messages};
use crate::syntax::host;

/// Both accept a text, or refuse it with the same message.
fn agree(text: &str) {
    let found = text.parse::<prox_runtime::Host>();
    match (host::parse(text), found) {
        (Ok(_), Ok(_)) => {}
        (Err(flaw), Err(error)) => {
            let error = error.to_string();
            assert!(
                error == flaw.message || error.starts_with(&format!("{}; ", flaw.message)),
                "{text:?}: {error}, not {}",
                flaw.message
            );
        }
        (here, there) => panic!("{text:?}: {here:?}, {there:?}"),
    }
}

#[test]
fn a_flaw_has_the_same_words_while_compiling_and_at_the_start() {
    for text in [
        "",
        "_",
        "*",
        ".a",
        "a.b.",
        "https://a.b/c",
        "a.b/c",
        "a.b:80",
        "a.*.b",
        "*.*.b",
        "A.b",
        "a..b",
        "a b",
        "a.b c.d",
        "a.b,c.d",
        "Host(`a.b`)",
        "Path(a)",
        "b\u{fc}cher.example",
        "[::1]",
        "[0::1]",
        "[x]",
        "10.0.0.1",
        "10.0.0",
        "1.2.3.4.5",
        "10.0.0.01",
        "-a.b",
        "a-.b",
        "a_b.c",
        "*.b",
        "*.10",
        "localhost",
        "a$b",
    ] {
        agree(text);
    }
    agree(&"a".repeat(64));
    agree(&"a.".repeat(130));
    agree(&vec!["a".repeat(60); 5].join("."));
}

proptest! {
    #[test]
    fn any_text_is_read_alike(text in "[a-zA0-9.*_:/\\[\\]() -]{0,12}") {
        agree(&text);
    }
}

/// The first line of every message.
fn first_lines(source: &str) -> Vec<String> {
    let messages = messages(source);
    let first = messages.iter().filter_map(|message| message.lines().next());
    first.map(str::to_owned).collect()
}

#[test]
fn variables_have_blocks_beside_hosts_in_quotes() {
    let source = r#"
        env API: Host = "api.test";
        env web: prox::Host;
        env ELSE: Host = other();

        host API | "a.test" | ELSE with [auth] { "/" => api, }
        host web { "/" => site }
        on "internal" { host API { "/" => admin } }

        expect GET "https://{API}/x" => api;
        expect GET "https://{API}:8443/x?a" => api;
        expect GET "https://api.test/x" => api;
        expect GET "https://{ELSE}/x" => api;
        expect GET "https://{web}/x" => site;
        expect on "internal" GET "https://{API}/x" => admin;
        expect GET "https://other.test/x" => 404;
    "#;
    assert_eq!(first_lines(source), Vec::<String>::new());
    let (model, ..) = compiled(source);
    let labels: Vec<&str> = model.hosts.iter().map(|host| host.label.as_str()).collect();
    assert_eq!(labels, ["_", "a.test|{API}|{ELSE}", "{web}", "_", "{API}"]);
}

#[test]
fn each_mistake_is_one_message() {
    for (source, wanted) in [
        (
            r#"host API { "/" => a }"#,
            &["no `env API` in this gateway"][..],
        ),
        (
            r#"env API: String; host API { "/" => a }"#,
            &["expected a `Host`, found a `String`"],
        ),
        (
            r#"env API: Vec<Host>; host API { "/" => a }"#,
            &["expected a `Host`, found a `Vec<Host>`"],
        ),
        (
            r#"env API: Host; host API { "/a" => a } host "x.y" | API { "/b" => a }"#,
            &["duplicate host `API`; the first is above"],
        ),
        (
            r#"env API: Host = "a.b"; host API { "/a" => a } host API { "/b" => a }"#,
            &["duplicate host `API`; the first is above"],
        ),
        (
            r#"env API: Host = "a.b"; host "a.b" { "/a" => a } host API { "/b" => a }"#,
            &["duplicate host `a.b`: it is also here"],
        ),
        (
            r#"env A: Host = "a.b"; env B: Host = "a.b"; host A | B { "/a" => a }"#,
            &["duplicate host `a.b`: it is also here"],
        ),
        (
            r#"env A: Host = "a.b"; host A { "/a" => a } on "i" { host "a.b" { "/" => a } }"#,
            &[],
        ),
        (
            r#"env A: Host = "http://a.b"; host A { "/a" => a } on "i" { host A { "/" => a } } expect GET "https://a.b/" => 404;"#,
            &["unexpected scheme in a host"],
        ),
        (
            r#"env A: Host = 5; "/" => a, host A { "/a" => a }"#,
            &["the default `5` is not a `Host`"],
        ),
        (
            r#"env A: Vec<Host> = ["a.b", "c:80"]; "/" => f(A)"#,
            &["unexpected port in a host: hosts match on every port"],
        ),
        (
            r#"env A: Host; host A { "/a" => a } expect GET "https://{B}/a" => a;"#,
            &["`B` is not the variable of a host block"],
        ),
        (
            r#"env A: Host; env B: Host; host A, B { "/a" => a }"#,
            &["expected `|` between two hosts, found `,`"],
        ),
        (
            r#"env A: Host; env B: Host; host A B { "/a" => a }"#,
            &["expected `|` between two hosts"],
        ),
        (
            r#"env A: Host; host A "/a" => a,"#,
            &["expected `{` and the routes of the host"],
        ),
        (
            r#"env A: Host; host GET "/a" => a,"#,
            &["expected the name of the host in quotes"],
        ),
        (
            r#"env A: Host; host A { "/a" => a, "/a" => b }"#,
            &[
                "duplicate route `/a`; the first is above",
                "the route `/a` is repeated below",
            ],
        ),
        (
            r#"env A: u32; backend u = "http://u"; "/" => split { 1 => u, A => "http://c" }"#,
            &[],
        ),
        (
            r#"backend u = "http://u"; backend c = "http://c"; "/" => split { u => c, 5 => c2 }"#,
            &["expected a weight, found the target `u`"],
        ),
        (
            r#"env A: u16; "/" => split { 1 => "http://a", A => "http://b" }"#,
            &["expected a `u32`, found a `u16`"],
        ),
        (
            r#"env A: u32; "/" => split { 100 - A => u, A => c }"#,
            &["expected a weight and `=>`"],
        ),
    ] {
        assert_eq!(first_lines(source), wanted, "{source}");
    }
}

#[test]
fn a_witness_names_the_variable() {
    let source = r#"env A: Host; host A { "/x" if header("a").exists() => u, "/x" if header("b").exists() => v }"#;
    let text = messages(source).join("\n");
    assert!(text.contains("GET https://{A}/x"), "{text}");
}
