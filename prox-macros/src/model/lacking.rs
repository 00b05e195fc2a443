//! Names that nothing around the gateway has, as far as its file tells: words without their arguments, the words of other
//! gateways, and types that are not imported.

use proc_macro2::{Delimiter, Ident, TokenTree};

use super::names::Names;
use crate::{
    around::{self, Calls, Exported, Function, What},
    diag::Diagnostics,
    features,
    syntax::{
        calls::{is_in_path, is_method},
        cursor::{text_of, tokens_of},
        words::is_method as is_method_of_http,
    },
    vocab::{self, Slot},
};

/// Types of options, at the root of `prox`.
const OPTIONS: [&str; 13] = [
    "BreakerOptions",
    "BudgetOptions",
    "GrpcCheck",
    "HedgeOptions",
    "HttpCheck",
    "MirrorOptions",
    "PassiveOptions",
    "PoolOptions",
    "QueueOptions",
    "RetryOptions",
    "SameSite",
    "SlowStart",
    "Sticky",
];

/// A type of ours that is used here without its path, and that nothing has in scope.
pub(crate) struct Unimported {
    /// Whether it is in `prox::middleware`, and not in `prox`.
    pub(crate) middleware: bool,
    /// The feature that it needs and that is off.
    pub(crate) feature: Option<&'static str>,
}

/// Whether the name at this place is such a type, as in `Recover::new()`.
pub(crate) fn unimported(names: &Names, tokens: &[TokenTree], place: usize) -> Option<Unimported> {
    let TokenTree::Ident(name) = tokens.get(place)? else {
        return None;
    };
    let before = tokens.get(..place).unwrap_or_default();
    let in_path =
        tokens.get(place + 1).is_some_and(is_colon) && tokens.get(place + 2).is_some_and(is_colon);
    if !in_path || is_in_path(before) || is_method(before) {
        return None;
    }
    let text = name.to_string();
    let exported = around::exported(&text);
    let middleware = exported != Exported::Unknown;
    let known = middleware || OPTIONS.contains(&&*text);
    (known && lacks(names, &text)).then_some(Unimported {
        middleware,
        feature: match exported {
            Exported::Lacks(feature) => Some(feature),
            Exported::Here | Exported::Unknown => None,
        },
    })
}

/// The feature without which the name at this place is missing, be it a type or `.shared(..)` of a limit.
pub(crate) fn missing_feature(
    names: &Names,
    tokens: &[TokenTree],
    place: usize,
) -> Option<&'static str> {
    let limit = matches!(tokens.first(), Some(TokenTree::Ident(first)) if first == "RateLimit");
    let before = tokens.get(..place).unwrap_or_default();
    match tokens.get(place)? {
        TokenTree::Ident(method) if limit && method == "shared" && is_method(before) => {
            (!features::is_on("redis")).then_some("redis")
        }
        TokenTree::Ident(_) => unimported(names, tokens, place)?.feature,
        _ => None,
    }
}

/// Whether something in the expression needs a feature that is off. It has no value then.
pub(crate) fn has_no_value(names: &Names, tokens: &[TokenTree]) -> bool {
    tokens.iter().enumerate().any(|(place, token)| match token {
        TokenTree::Group(group) => has_no_value(names, &tokens_of(group.stream())),
        _ => missing_feature(names, tokens, place).is_some(),
    })
}

/// Reports a word that stands as a target without its arguments; says whether it is one.
pub(super) fn is_bare_target(tokens: &[TokenTree], names: &Names, diag: &mut Diagnostics) -> bool {
    let [TokenTree::Ident(name)] = tokens else {
        return false;
    };
    let text = name.to_string();
    if !lacks(names, &text) {
        return false;
    }
    if let Some(word) = vocab::find(Slot::Target, &text) {
        diag.error(name, format!("expected `(` after `{text}`"))
            .help(format!("write `{}`", word.example));
        return true;
    }
    if let Some(word) = vocab::find(Slot::KeyedPolicy, &text) {
        diag.error(
            name,
            format!("expected a target, found the policy `{text}`"),
        )
        .help(format!(
            "write `cluster({}, [\"http://10.0.0.1:8080\"])`",
            word.example
        ));
        return true;
    }
    if vocab::is(Slot::Policy, &text) {
        diag.error(
            name,
            format!("expected a target, found the policy `{text}`"),
        )
        .help(format!(
            "write `cluster({text}, [\"http://10.0.0.1:8080\"])`"
        ));
        return true;
    }
    false
}

/// Reports a function that is not a guard, or one that is called instead of named; says whether it is one.
pub(super) fn is_wrong_function(
    tokens: &[TokenTree],
    names: &Names,
    diag: &mut Diagnostics,
) -> bool {
    let (name, group) = match tokens {
        [TokenTree::Ident(name)] => (name, None),
        [TokenTree::Ident(name), TokenTree::Group(group)] => (name, Some(group)),
        _ => return false,
    };
    let text = name.to_string();
    if names.is_own(&text) || vocab::is(Slot::Key, &text) {
        return false;
    }
    let Some(function) = function(names, &text) else {
        return false;
    };
    if let Some(group) = group {
        let inner = tokens_of(group.stream());
        let request = match inner.as_slice() {
            [] => true,
            [TokenTree::Ident(request)] => {
                let request = request.to_string();
                ["req", "request", "parts", "_"].contains(&&*request)
                    && !names.is_own(&request)
                    && names.around().local(&request).is_none()
            }
            _ => false,
        };
        let called = group.delimiter() == Delimiter::Parenthesis && request;
        if called && function.arguments == 1 && !function.is_async {
            diag.error(
                name,
                format!(
                    "expected a function, found a call: the gateway calls `{text}` for each request"
                ),
            )
            .help(format!("write `if {text}`"))
            .untyped();
        }
        return called && function.arguments == 1 && !function.is_async;
    }
    if function.is_async {
        diag.error(name, "a guard cannot be an `async fn`")
            .help(format!(
                "write a `fn` that decides at once, or use it as a layer: `with [{text}]`"
            ))
            .untyped();
    } else if function.arguments != 1 {
        diag.error(
            name,
            format!(
                "a guard must take exactly one argument, a `&prox::Parts`; `{text}` takes {}",
                function.arguments
            ),
        )
        .help(format!("write `fn {text}(req: &prox::Parts) -> bool`"))
        .untyped();
    } else {
        return false;
    }
    true
}

/// Reports a function that is not a layer; says whether it is one.
pub(super) fn is_wrong_layer(tokens: &[TokenTree], names: &Names, diag: &mut Diagnostics) -> bool {
    let [TokenTree::Ident(name)] = tokens else {
        return false;
    };
    let text = name.to_string();
    let wrong = function(names, &text).filter(|function| function.arguments != 2);
    let Some(function) = wrong.filter(|_| !names.is_own(&text)) else {
        return false;
    };
    diag.error(
        name,
        format!(
            "a layer function must take exactly two arguments, a `prox::Request` and a `prox::Next`; `{text}` takes {}",
            function.arguments
        ),
    )
    .help(format!(
        "write `async fn {text}(req: prox::Request, next: prox::Next) -> impl prox::IntoResponse`"
    ))
    .untyped();
    true
}

/// The function around the gateway with this name, if no variable that is nearer has it.
fn function(names: &Names, name: &str) -> Option<Function> {
    let local = names.around().local(name).map(|found| found.what);
    let is_value =
        local.is_some_and(|what| !matches!(what, What::Function(_) | What::Variable(Calls::As(_))));
    let (function, _) = names.around().function(name).filter(|_| !is_value)?;
    Some(function)
}

/// Reports a guard that starts with a word of other gateways, or with one of ours without its arguments; says whether it does.
pub(super) fn is_foreign_guard(
    tokens: &[TokenTree],
    names: &Names,
    diag: &mut Diagnostics,
) -> bool {
    let Some(TokenTree::Ident(name)) = tokens.first() else {
        return false;
    };
    let text = name.to_string();
    if !lacks(names, &text) {
        return false;
    }
    let Some(TokenTree::Group(group)) = tokens.get(1) else {
        let Some(word) = vocab::find(Slot::Key, &text).filter(|_| tokens.len() == 1) else {
            return false;
        };
        diag.error(name, format!("expected `(` after `{text}`"))
            .help(format!("write `{}`", word.example));
        return true;
    };
    let argument = tokens_of(group.stream()).iter().find_map(text_of);
    let argument = argument.map(|text| text.value).unwrap_or_default();
    let help = match &*text {
        "method" | "methods" => {
            let method = argument.to_ascii_uppercase();
            let method = if is_method_of_http(&method) {
                &*method
            } else {
                "GET"
            };
            format!("a method comes before the path: `{method} \"/users\" => target,`")
        }
        "host" | "hostname" | "authority" => {
            let host = if argument.is_empty() {
                "api.example.com"
            } else {
                &*argument
            };
            format!("a host has a block: `host \"{host}\" {{ \"/\" => target }}`")
        }
        "path" | "uri" | "prefix" | "path_prefix" => {
            let path = if argument.starts_with('/') {
                &*argument
            } else {
                "/users"
            };
            format!("a path starts the line: `\"{path}\" => target,`")
        }
        "ip" | "client" | "remote_addr" | "remote_ip" | "peer_addr" | "peer_ip" | "source_ip" => {
            String::from("write `client_ip().within(\"10.0.0.0/8\")`")
        }
        "param" | "params" | "query_param" | "arg" => {
            String::from("write `query(\"beta\").is(\"1\")`")
        }
        _ => return false,
    };
    diag.error(name, format!("unknown guard `{text}`"))
        .help(help);
    true
}

fn lacks(names: &Names, name: &str) -> bool {
    !names.is_own(name) && names.around().lacks(name)
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

/// The path that brings a type in scope.
pub(crate) fn import(name: &Ident, found: &Unimported) -> String {
    if found.middleware {
        format!("prox::middleware::{name}")
    } else {
        format!("prox::{name}")
    }
}
