//! Whatever is missing, the macro gives an expansion that parses, with the public items in it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use proptest::prelude::*;

use super::{CARD, EXPRESSION};

/// Every stream that is `tokens` up to some token, with the groups around that token closed.
fn prefixes(tokens: &TokenStream) -> Vec<TokenStream> {
    let mut all = Vec::new();
    let mut before: Vec<TokenTree> = Vec::new();
    for token in tokens.clone() {
        all.push(before.iter().cloned().collect());
        if let TokenTree::Group(group) = &token {
            all.extend(inside(&before, group, prefixes(&group.stream()), &[]));
        }
        before.push(token);
    }
    all.push(before.into_iter().collect());
    all
}

/// Every stream that is `tokens` without one of them.
fn deletions(tokens: &TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut all = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let (before, after) = (&tokens[..place], &tokens[place + 1..]);
        all.push(before.iter().chain(after).cloned().collect());
        if let TokenTree::Group(group) = token {
            all.extend(inside(before, group, deletions(&group.stream()), after));
        }
    }
    all
}

fn inside(
    before: &[TokenTree],
    group: &Group,
    inner: Vec<TokenStream>,
    after: &[TokenTree],
) -> Vec<TokenStream> {
    let with = |stream| {
        let group = TokenTree::Group(Group::new(group.delimiter(), stream));
        before
            .iter()
            .cloned()
            .chain([group])
            .chain(after.iter().cloned())
            .collect()
    };
    inner.into_iter().map(with).collect()
}

/// Mutilated programs with the facade's name before them.
fn corpus(source: &str) -> Vec<TokenStream> {
    let tokens: TokenStream = source.parse().unwrap();
    let krate: TokenStream = "prox".parse().unwrap();
    prefixes(&tokens)
        .into_iter()
        .chain(deletions(&tokens))
        .map(|tokens| krate.clone().into_iter().chain(tokens).collect())
        .collect()
}

#[test]
fn items_are_there_whatever_is_missing() {
    for input in corpus(CARD) {
        let shown = input.to_string();
        let output = crate::expand_opaque(input.clone());
        let file = syn::parse2::<syn::File>(output.clone());
        if !shown.contains("struct Shop") {
            continue;
        }
        let file = file.unwrap_or_else(|error| panic!("{error}\nfrom {shown}\nto {output}"));
        assert!(!file.items.is_empty());
        let text = crate::expand(input).to_string();
        for name in [
            "struct Shop",
            "struct ShopBackends",
            "const ROUTES",
            "const ENV",
            "fn new",
            "fn explain",
            "fn backends",
        ] {
            assert!(text.contains(name), "{name} is missing from {shown}");
        }
    }
}

/// A gateway with most of what can be written, in other orders than the card.
const CROWDED: &str = r#"
    #[derive(PartialEq)]
    pub(crate) struct Edge { pool: Arc<Pool<u8, String>>, pub name: &'static str }
    #[allow(unused)]
    env URLS: Vec<Endpoint> = vec!["http://10.0.0.1:80".parse().unwrap()];
    env WAIT: Duration = 250ms;
    let (limit, text): (usize, String) = (16KiB + 1MiB, format!("{name} {WAIT:?}"));
    backend shadow = cluster(p2c, ["http://shadow:80"]);
    backend users = cluster(hash(header("x-user")), URLS)
        .sticky(cookie("side")).health(http("/healthz").every(5s).timeout(1s).expect(200..300))
        .retry(prox::RetryOptions::new(2).per_try_timeout(1s)).mirror(shadow, 0.1).timeout(5s);
    with [Recover::new(), |req: prox::Request, next: prox::Next| next.run(req)];
    GET | POST exact "/both" => users,
    GET "/both" if header("x-a").is("1").and(query("b").exists()) => shadow with [RequestId::new()],
    GET "/both" => users.timeout(10s).rewrite("/x"),
    host "one.example.com" | "*.example.com" with [auth(limit)] {
        with [Cors::any()];
        "/" => handler(async |_: prox::Request| "closure"),
        "/v1" with [RateLimit::per_second(5)] {
            PATCH "/{id}" if client_ip().within("10.0.0.0/8") => users.rewrite("/people/{id}"),
            "/files/{*path}" => split { 1 => users, 2 => "http://c", 3 => respond(200, text) }.sticky(cookie("v")),
        }
        exact "/bye" => redirect(308, "/hello")
    }
    host _ { "/any" => cluster(rr, ["http://10.0.0.1:1", "http://b:2".weight(2)]) }
    on "internal" with [auth(limit)] {
        require auth;
        "/metrics" => users with [limit],
        host "one.example.com" with [log] { POST "/{id: int}" => shadow }
    }
    expect on "internal" GET "/metrics" => users;
    expect GET "https://one.example.com/v1/files/x" => 200;
    expect POST "/both" => users;
"#;

/// The messages about a gateway, as the compiler would show them.
fn told(source: TokenStream) -> Vec<String> {
    let (_, _, diag) = super::compiled_of(source);
    diag.messages().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_gateway_that_is_cut_off_anywhere_has_one_error_at_most() {
    let mut wrong = Vec::new();
    for source in [CARD, EXPRESSION, CROWDED] {
        let whole: TokenStream = source.parse().unwrap();
        for prefix in prefixes(&whole) {
            let messages = told(prefix.clone());
            if messages.len() > 1 {
                let shown = prefix.to_string();
                let end = shown.char_indices().rev().nth(90).map_or(0, |(at, _)| at);
                wrong.push(format!(
                    "{}\n    {}",
                    &shown[end..],
                    messages.join("\n    ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_expression_is_there_whatever_is_missing() {
    for input in corpus(EXPRESSION) {
        let shown = input.to_string();
        let output = crate::expand_opaque(input.clone());
        if let Err(error) = syn::parse2::<syn::ExprBlock>(output.clone()) {
            panic!("{error}\nfrom {shown}\nto {output}");
        }
        crate::expand(input);
    }
}

#[test]
fn whole_programs_expand_to_code_without_errors() {
    for source in [CARD, EXPRESSION] {
        let output = crate::expand(format!("prox {source}").parse().unwrap());
        assert!(!output.to_string().contains("compile_error"), "{output}");
    }
    syn::parse2::<syn::File>(crate::expand(format!("prox {CARD}").parse().unwrap())).unwrap();
    syn::parse2::<syn::ExprBlock>(crate::expand(format!("prox {EXPRESSION}").parse().unwrap()))
        .unwrap();
}

#[test]
fn nonsense_is_survived() {
    let cases = [
        "",
        ";",
        ",,,",
        "=> =>",
        "{}",
        "[[[]]]",
        "host",
        "host {",
        "on",
        "on {",
        "on \"a\" on \"b\"",
        "expect on",
        "with",
        "with [",
        "expect GET",
        "| | |",
        "GET | |",
        "\"/\" =>",
        "struct",
        "pub",
        "pub struct;",
        "#",
        "#[x]",
        "'a",
        "b\"x\" => y",
        "1 => 2",
        "\"/a\" \"/b\" \"/c\"",
        "env : :",
        "let = = ;",
        "backend = ;",
        "split { }",
        "\"/a\" => split { => }",
        "host _ _",
        "host \"a\" | | \"b\" {}",
    ];
    for case in cases {
        // What is no sequence of tokens never reaches a macro.
        if let Ok(input) = format!("prox {case}").parse::<TokenStream>() {
            let output = crate::expand_opaque(input).to_string();
            assert!(
                case.is_empty()
                    || case.trim_matches([';', ',']).is_empty()
                    || output.contains("compile_error"),
                "{case}"
            );
        }
    }
    let none = Group::new(Delimiter::None, "\"/\"".parse().unwrap());
    let tokens: TokenStream = "=> x".parse().unwrap();
    let krate: TokenStream = "prox".parse().unwrap();
    let input = krate
        .into_iter()
        .chain([TokenTree::Group(none)])
        .chain(tokens)
        .collect();
    assert!(!crate::expand(input).to_string().contains("compile_error"));
}

/// Tokens of the language and of Rust, in any order.
fn soup() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        &[
            "env",
            "let",
            "backend",
            "with",
            "host",
            "on",
            "expect",
            "exact",
            "GET",
            "POST",
            "get",
            "split",
            "if",
            "struct",
            "pub",
            "users",
            "cluster",
            "_",
            "x",
            "rr",
            "|",
            ",",
            ";",
            "=",
            "=>",
            "->",
            ":",
            "::",
            ".",
            "<",
            ">",
            "!",
            "&",
            "#",
            "5",
            "5s",
            "0",
            "404",
            "1.5KiB",
            "0.1ms",
            "'a'",
            "\"/\"",
            "\"/a/{b}\"",
            "\"/a/{\"",
            "\"/{*r}\"",
            "\"a.b\"",
            "\"*.b\"",
            "\"http://a\"",
            "\"\"",
            "\"ä\"",
            "r#\"/x\"#",
            "b\"x\"",
            "await",
            "async",
            "return",
        ][..],
    )
    .prop_map(str::to_owned);
    let tree = leaf.prop_recursive(4, 60, 8, |inner| {
        (
            prop::sample::select(&["()", "[]", "{}"][..]),
            prop::collection::vec(inner, 0..8),
        )
            .prop_map(|(group, inner)| {
                let (open, close) = group.split_at(1);
                format!("{open} {} {close}", inner.join(" "))
            })
    });
    prop::collection::vec(tree, 0..25).prop_map(|tokens| tokens.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_soup_of_tokens_is_survived(soup in soup()) {
        let input: TokenStream = format!("prox struct Shop; {soup}").parse().unwrap();
        let output = crate::expand_opaque(input.clone());
        let text = output.to_string();
        prop_assert!(syn::parse2::<syn::File>(output).is_ok(), "{} gives {}", soup, text);
        crate::expand(input);
        crate::expand(format!("prox {soup}").parse().unwrap());
    }
}
