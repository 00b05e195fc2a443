//! URLs of upstreams, alone and in clusters.

use std::collections::HashMap;

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenTree};

use super::{clusters::meant, policies};
use crate::{
    diag::{Diagnostics, location},
    model::Model,
    syntax::{
        ast::{Expr, Target, Text},
        calls::{Call, each_call},
        cursor::{is_string, text_of, tokens_of},
        expr_list, lookup,
        source::source,
        url,
    },
};

/// Whether `https` may be written: the feature of `prox` sets this crate's own.
const TLS: bool = cfg!(feature = "tls");

/// Whether DNS may be asked.
const DNS: bool = cfg!(feature = "dns");

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    for target in model.targets() {
        urls(target, diag);
    }
    for expr in model.exprs() {
        each_call(&expr.tokens, &mut |call| {
            if call.name == "cluster" && !call.method {
                cluster(call, diag);
                policies::check(model, call, diag);
            }
        });
    }
}

fn urls(target: &Target, diag: &mut Diagnostics) {
    match target {
        Target::Url(text) => {
            if let Some(flaw) = url::upstream(&text.value, TLS) {
                diag.flaw(text, flaw);
            }
        }
        Target::Split(split) => {
            for arm in &split.arms {
                urls(&arm.target, diag);
            }
        }
        Target::Expr(_) => {}
    }
}

/// `cluster(policy, [endpoint, ..])`; a list that is made elsewhere is checked when the gateway starts.
fn cluster(call: &Call<'_>, diag: &mut Diagnostics) {
    let written = call.args();
    let args = match meant(&written) {
        None => written,
        Some((message, policy, list)) => {
            let shown = source(&policy.tokens);
            let endpoints = source(&list.tokens);
            let endpoints = if endpoints == "[]" {
                String::from("[\"http://10.0.0.1:8080\"]")
            } else {
                endpoints
            };
            diag.error(call.name, message)
                .help(format!("write `cluster({shown}, {endpoints})`"));
            if written.is_empty() {
                return;
            }
            vec![policy, list]
        }
    };
    if let Some((word, group)) = args.get(1).and_then(lookup::of) {
        looked_up(word, group, DNS, diag);
    }
    let Some([TokenTree::Group(list)]) = args.get(1).map(|arg| arg.tokens.as_slice()) else {
        return;
    };
    // A list that is not there has been reported.
    if list.delimiter() == Delimiter::Bracket
        && (args.len() > 2 || !list.stream().is_empty() || call.args().len() == 2)
    {
        endpoints(list, diag);
    }
}

/// `dns(..)` and `srv(..)`; a URL that is no literal is checked when the gateway starts.
fn looked_up(word: &Ident, group: &Group, enabled: bool, diag: &mut Diagnostics) {
    if !enabled {
        diag.error(word, format!("`{word}` needs the feature `dns`"))
            .help(
                "write `prox = { .., features = [\"dns\"] }` in Cargo.toml (`cargo add prox --features dns`), or the \
                 addresses in a list",
            );
        return;
    }
    let inner = tokens_of(group.stream());
    match inner.first().and_then(text_of) {
        Some(text) => {
            if let Some(flaw) = lookup::flaw(&word.to_string(), &text.value, TLS) {
                diag.flaw(&text, flaw);
            }
        }
        None if inner.is_empty() => {
            let example = if word == "srv" {
                "_http._tcp.users.internal"
            } else {
                "users:8080"
            };
            diag.error(
                group.span(),
                format!("`{word}(..)` expects the URL to look up"),
            )
            .help(format!("write `{word}(\"http://{example}\")`"));
        }
        None => {}
    }
}

fn endpoints(list: &Group, diag: &mut Diagnostics) {
    let elements = expr_list(&tokens_of(list.stream()), list.span_close());
    if elements.is_empty() {
        diag.error(list.span(), "a cluster needs at least one endpoint")
            .help("write `cluster(rr, [\"http://10.0.0.1:8080\"])`");
    }
    if let Some(pair) = elements
        .iter()
        .find(|element| weighted_pair(element).is_some())
    {
        let shown = elements.iter().map(|element| match weighted_pair(element) {
            Some((url, weight)) => format!("{url}.weight({weight})"),
            None => source(&element.tokens),
        });
        let shown: Vec<String> = shown.collect();
        diag.error(pair.span(), "the weight of an endpoint comes after it")
            .help(format!("write `[{}]`", shown.join(", ")));
    }
    let alone = elements.len() == 1;
    let mut first: HashMap<String, Text> = HashMap::new();
    for element in &elements {
        let mut tokens = element.tokens.iter();
        let Some(text) = tokens.next().and_then(text_of) else {
            continue;
        };
        each_call(&element.tokens, &mut |call| {
            if call.name == "weight" && call.method {
                weight(call, alone, diag);
            }
        });
        if let Some(flaw) = url::upstream(&text.value, TLS) {
            diag.flaw(&text, flaw);
            continue;
        }
        let place = url::place(&text.value);
        match first.get(&place) {
            None => {
                first.insert(place, text);
            }
            Some(earlier) => {
                let there = location(earlier.span);
                let other = if earlier.value == text.value {
                    String::new()
                } else {
                    format!(" as `{}`", earlier.value)
                };
                diag.error(
                    text.span,
                    format!(
                        "duplicate endpoint `{}`: it is already in this cluster{other}{there}",
                        text.value
                    ),
                )
                .help("remove one of them; for a larger share, add `.weight(2)`");
            }
        }
    }
}

/// `("http://a", 3)`, as endpoints and their weights are written elsewhere.
pub(crate) fn weighted_pair(element: &Expr) -> Option<(Literal, Literal)> {
    let [TokenTree::Group(pair)] = element.tokens.as_slice() else {
        return None;
    };
    match tokens_of(pair.stream()).as_slice() {
        [
            TokenTree::Literal(url),
            TokenTree::Punct(comma),
            TokenTree::Literal(weight),
        ] if comma.as_char() == ','
            && is_string(&TokenTree::Literal(url.clone()))
            && weight.to_string().parse::<u32>().is_ok() =>
        {
            Some((url.clone(), weight.clone()))
        }
        _ => None,
    }
}

fn weight(call: &Call<'_>, alone: bool, diag: &mut Diagnostics) {
    let zero = call
        .only_literal()
        .is_some_and(|literal| literal.to_string() == "0");
    if alone && !zero {
        diag.error(
            call.name,
            "the weight has no effect: a cluster's only endpoint gets every request",
        )
        .help("remove the weight, or add the other endpoints");
    }
}
