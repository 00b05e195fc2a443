//! What needs a feature of `prox` that is off.

use proc_macro2::Span;
use quote::quote;

use crate::{
    around::tests::around,
    check,
    diag::Diagnostics,
    expand::{self, Context},
    features::without,
    model::{self, tree::Forest},
    reader::Reader,
    syntax::{self, cursor::tokens_of},
};

/// What is told of the gateway below these lines, and what it expands to.
fn told(above: &str, source: &str) -> (Vec<String>, String) {
    let mut diag = Diagnostics::default();
    let tokens = tokens_of(source.parse().unwrap());
    let mut gateway = syntax::parse(&tokens, Span::call_site(), &mut diag);
    gateway.around = around(&format!("{above} prox::gateway! {{@}}"));
    let model = model::lower(gateway, &mut diag);
    let forest = Forest::new(&model);
    check::check(&model, &forest, &mut diag);
    diag.finish();
    let messages = diag.messages().into_iter().map(str::to_owned).collect();
    let mut context = Context::new(quote!(prox), &model, &forest);
    context.reader = Reader::Compiler;
    let expansion = expand::expand(&context, &Diagnostics::default());
    (messages, expansion.to_string())
}

const GLOB: &str = "use prox::middleware::*;";

#[test]
fn a_layer_whose_feature_is_off_is_told_so_once() {
    for (feature, name, layer) in [
        ("compression", "Compress", "Compress::new()"),
        (
            "jwt",
            "Jwt",
            r#"Jwt::jwks("https://id/jwks").audience("shop")"#,
        ),
        ("auth", "Basic", "Basic::new(users)"),
        (
            "auth",
            "ApiKeys",
            r#"ApiKeys::header("x-key").keys(KeyFile::new("keys"))"#,
        ),
    ] {
        for above in ["", GLOB] {
            for source in [
                format!("with [{layer}]; \"/\" => \"http://a\""),
                format!(
                    "let l = {layer}; \"/\" => \"http://a\" with [l], \"/b\" => \"http://b\" with [{layer}]"
                ),
            ] {
                let (messages, expansion) = without(feature, || told(above, &source));
                assert_eq!(messages.len(), 1, "{source}: {messages:?}");
                let wanted = format!("`{name}` needs the feature `{feature}`\nhelp: ");
                assert!(messages[0].starts_with(&wanted), "{messages:?}");
                assert!(messages[0].contains(&format!("cargo add prox --features {feature}")));
                assert!(!expansion.contains(&format!(":: {name} ::")), "{expansion}");
            }
        }
    }
}

#[test]
fn a_shared_limit_needs_its_feature() {
    let source = r#"let limit = RateLimit::per_second(5).shared(Redis::url(url)); "/" => "http://a" with [limit]"#;
    let (messages, expansion) = without("redis", || told(GLOB, source));
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("`.shared(..)` needs the feature `redis`\nhelp: write `prox =")
    );
    assert!(!expansion.contains("shared ("), "{expansion}");
    // What is not ours may have such a method.
    let own = r#"with [Own::new().shared(store)]; "/" => "http://a""#;
    assert!(without("redis", || told(GLOB, own)).0.is_empty());
}

#[test]
fn with_its_feature_a_layer_is_left_alone() {
    let source = r#"with [Compress::new()]; "/" => "http://a""#;
    assert!(told(GLOB, source).0.is_empty());
    let (messages, _) = told("", source);
    assert!(
        messages[0].starts_with("`Compress` is not in scope"),
        "{messages:?}"
    );
    // The user's own import is for rustc, which says what the feature is.
    let imported = "use prox::middleware::Compress;";
    assert!(
        without("compression", || told(imported, source))
            .0
            .is_empty()
    );
    assert!(
        without("compression", || told("struct Compress;", source))
            .0
            .is_empty()
    );
}

#[test]
fn an_option_whose_feature_is_off_is_told_so() {
    let source = r#""/" => cluster(rr, ["http://a", "http://b"]).http2().timeout(5s)"#;
    let (messages, expansion) = without("http2", || told("", source));
    assert_eq!(messages.len(), 1);
    assert!(
        messages[0].starts_with("`.http2(..)` needs the feature `http2`"),
        "{messages:?}"
    );
    assert!(!expansion.contains("http2"), "{expansion}");
}

#[test]
fn an_editor_is_told_of_options_that_are_nearly_right() {
    let live = |source: &str| {
        let mut diag = Diagnostics::default();
        let gateway = syntax::parse(
            &tokens_of(source.parse().unwrap()),
            Span::call_site(),
            &mut diag,
        );
        let model = model::lower(gateway, &mut diag);
        check::live::check(&model, &mut diag);
        diag.messages()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let backend = r#"backend users = cluster(rr, ["http://a", "http://b"])"#;
    for (option, meant) in [
        ("timout(5s)", "timeout"),
        ("tim", "timeout"),
        ("retry(2).rewrit(\"/x\")", "rewrite"),
    ] {
        let found = live(&format!("{backend}; \"/\" => users.{option}"));
        assert_eq!(found.len(), 1, "{option}: {found:?}");
        assert!(
            found[0].ends_with(&format!("help: write `.{meant}(..)`")),
            "{found:?}"
        );
        let found = live(&format!("{backend}.{option}; \"/\" => users"));
        assert_eq!(found.len(), 1, "{option}: {found:?}");
    }
    for source in [
        format!("{backend}.health(http(\"/\")); \"/\" => users.timeout(5s).retry(2)"),
        // A method of the user's own, and what an editor puts in to complete a name.
        format!("{backend}; \"/\" => users.in_blue()"),
        format!("{backend}; \"/\" => users.intellijRulezz"),
        format!("{backend}; \"/\" => value.timout(5s)"),
    ] {
        assert!(live(&source).is_empty(), "{source}");
    }
}
