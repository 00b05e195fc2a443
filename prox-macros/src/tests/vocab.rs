//! The table of words, held beside what the words are: items of `prox::dsl`, and methods of the runtime.

use std::{collections::BTreeSet, path::Path};

use crate::{
    around::MIDDLEWARE,
    vocab::{Slot, WORDS},
};

fn read(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn words(slots: &[Slot]) -> BTreeSet<String> {
    let words = WORDS.iter().filter(|word| slots.contains(&word.slot));
    words.map(|word| word.text.to_owned()).collect()
}

/// The methods with this text before their receiver.
fn methods(text: &str, indent: &str) -> BTreeSet<String> {
    let start = format!("{indent}pub fn ");
    let methods = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix(&start)?.split_once('(')?;
        // The receiver may stand on the next line, alone.
        (rest.starts_with("mut self") || rest.starts_with("self)") || rest.is_empty())
            .then(|| name.to_owned())
    });
    methods.collect()
}

#[test]
fn the_options_of_a_cluster_are_those_of_its_builder() {
    let builder = read("prox-runtime/src/cluster/builder.rs");
    assert_eq!(methods(&builder, "    "), words(&[Slot::ClusterOption]));
}

#[test]
fn the_options_of_a_route_are_those_that_a_cluster_has_there() {
    let cluster = read("prox-runtime/src/cluster/mod.rs");
    assert_eq!(methods(&cluster, "        "), words(&[Slot::Option]));
}

#[test]
fn each_word_of_a_place_is_documented_in_the_module_of_the_place() {
    for (slots, module) in [
        (&[Slot::Item, Slot::Exact][..], "item"),
        (&[Slot::Method], "method"),
        (&[Slot::Target], "target"),
        (&[Slot::Policy, Slot::KeyedPolicy], "policy"),
        (&[Slot::Discovery], "discovery"),
        (&[Slot::Check], "health"),
        (&[Slot::Key], "guard"),
        (&[Slot::Layer, Slot::CalledLayer], "layer"),
    ] {
        let text = read(&format!("prox/src/dsl/{module}.rs"));
        let code: String = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n")
            .collect();
        let names: BTreeSet<&str> = code
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .collect();
        for word in words(slots) {
            // A keyword is documented by Rust.
            assert!(
                word == "let" || names.contains(word.as_str()),
                "{word} is not in dsl/{module}.rs"
            );
        }
    }
}

#[test]
fn the_middleware_is_what_the_module_exports() {
    /// What else it exports: traits, parts of layers, and what layers are made of.
    const OTHERS: [&str; 55] = [
        "About",
        "Admits",
        "Allowing",
        "Answer",
        "AnyOrigin",
        "Ask",
        "Audience",
        "Authenticate",
        "AuthenticateExt",
        "Authenticator",
        "ByClaim",
        "ByPrincipal",
        "ClientNetwork",
        "Decision",
        "Declares",
        "Denied",
        "Denying",
        "Everyone",
        "IntoRemote",
        "Key",
        "KeyDigest",
        "KeyFetches",
        "KeyFile",
        "KeyParts",
        "KeyReads",
        "KeyRole",
        "KeyStore",
        "KeyText",
        "LimitKey",
        "LimitStore",
        "ListedOrigins",
        "Local",
        "NoAudience",
        "OfRequest",
        "OfResponse",
        "OneHost",
        "Optional",
        "Or",
        "Param",
        "PerRoute",
        "Public",
        "Rate",
        "Redis",
        "Remote",
        "RequestIdValue",
        "RequireClaim",
        "Role",
        "ServiceHandler",
        "Shared",
        "StoreGuard",
        "Subdomains",
        "Switch",
        "UpstreamAuth",
        "Verdict",
        "WhenDown",
    ];
    let facade = read("prox/src/lib.rs");
    let (_, module) = facade.split_once("\npub mod middleware {\n").unwrap();
    let (module, _) = module.split_once("\n}\n").unwrap();
    let text = module.to_owned() + &read("prox-runtime/src/middleware/mod.rs");
    let exports = text.split("pub use ").skip(1);
    let exports = exports.filter_map(|rest| rest.split(';').next());
    let names = exports.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let types: BTreeSet<&str> = names
        .filter(|n| n.starts_with(char::is_uppercase))
        .collect();
    let ours = MIDDLEWARE.iter().map(|known| known.name);
    let known: BTreeSet<&str> = ours.chain(OTHERS).collect();
    assert_eq!(types, known);
}

#[test]
fn each_method_beyond_the_nine_is_documented() {
    let text = read("prox/src/dsl/method.rs");
    let names: BTreeSet<&str> = text.lines().map(str::trim).collect();
    for method in crate::syntax::methods::MORE {
        assert!(names.contains(method), "{method}");
    }
}
