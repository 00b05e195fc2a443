//! Targets that start with a backend and go on as nothing of Rust that a backend can: how options and layers are written
//! elsewhere. It is known here which names are backends, so that nothing else is taken for one.

use proc_macro2::{Delimiter, Group, Ident, TokenTree};
use quote::quote;

use crate::{
    diag::{Diagnostics, Place},
    features,
    syntax::{
        ast::{Expr, Target},
        calls::has_options,
        cursor::{is_string, text_of, tokens_of},
        expr_list,
        source::source,
        units::{Unit, unit},
        words::{OF_CLUSTERS, POLICY_ELSEWHERE, option_elsewhere},
    },
    vocab::{self, Slot},
};

/// The target as it was meant, and the layers that stood in it.
///
/// Of a name that `takes_options` and is not a backend, the options make a cluster of its own.
pub(super) fn of_backend(
    target: Target,
    is_backend: &dyn Fn(&Ident) -> bool,
    takes_options: &dyn Fn(&Ident) -> bool,
    diag: &mut Diagnostics,
) -> (Target, Vec<Expr>) {
    let mut layers = Vec::new();
    let target = meant(target, is_backend, takes_options, &mut layers, diag);
    (target, layers)
}

fn meant(
    target: Target,
    is_backend: &dyn Fn(&Ident) -> bool,
    takes_options: &dyn Fn(&Ident) -> bool,
    layers: &mut Vec<Expr>,
    diag: &mut Diagnostics,
) -> Target {
    match target {
        Target::Url(url) => Target::Url(url),
        Target::Expr(expr) => {
            let expr = known_elsewhere(expr, takes_options, diag);
            match expr.tokens.first() {
                Some(TokenTree::Ident(name)) if is_backend(name) && !is_word(&expr) => {
                    Target::Expr(chain(expr, layers, diag))
                }
                _ => Target::Expr(expr),
            }
        }
        Target::Split(mut split) => {
            let arms = split.arms.into_iter().map(|mut arm| {
                arm.target = meant(arm.target, is_backend, takes_options, layers, diag);
                arm
            });
            split.arms = arms.collect();
            Target::Split(split)
        }
    }
}

/// Options under the names that other gateways have for them, taken away.
pub(super) fn known_elsewhere(
    mut expr: Expr,
    is_backend: &dyn Fn(&Ident) -> bool,
    diag: &mut Diagnostics,
) -> Expr {
    if !has_options(&expr.tokens, is_backend) {
        return expr;
    }
    let option = |expr: &Expr| {
        expr.tokens.windows(3).enumerate().find_map(|(at, part)| {
            let [dot, TokenTree::Ident(option), TokenTree::Group(group)] = part else {
                return None;
            };
            let name = option.to_string();
            let policy = POLICY_ELSEWHERE.contains(&name.as_str());
            let ours = option_elsewhere(&name);
            (is(dot, '.') && (policy || ours.is_some()))
                .then(|| (at, option.clone(), group.clone(), ours))
        })
    };
    settings(&mut expr, diag);
    without_feature(&mut expr, diag);
    while let Some((at, option, group, ours)) = option(&expr) {
        let inner = tokens_of(group.stream());
        let error = diag.error(&option, format!("unknown option `{option}`"));
        error.untyped();
        match (ours, inner.as_slice()) {
            (None, policy) => {
                // It is there, so that nothing is said of a cluster without one.
                if let Some(TokenTree::Group(arguments)) = expr.tokens.get_mut(1)
                    && expr_list(&tokens_of(arguments.stream()), arguments.span_close()).len() == 1
                {
                    let list = arguments.stream();
                    let mut both = Group::new(Delimiter::Parenthesis, quote!(#(#policy)*, #list));
                    both.set_span(arguments.span());
                    *arguments = both;
                }
                error.help(
                    "the policy is the first argument of a cluster: `cluster(least_conn, [..])`",
                )
            }
            (Some("retry" | "max_connections"), [TokenTree::Literal(number)]) => {
                error.help(format!("write `.{}({number})`", ours.unwrap_or_default()))
            }
            (Some(ours), _) => error.help(format!("write `{}`", form(ours))),
        };
        expr.tokens.drain(at..at + 3);
    }
    expr
}

/// Options that are there with a feature of `prox` alone, taken away; the feature of `prox` sets this crate's own.
fn without_feature(expr: &mut Expr, diag: &mut Diagnostics) {
    const OPTIONS: [(&str, &str); 3] = [("tls", "tls"), ("http2", "http2"), ("http2_if", "http2")];
    let mut at = 0;
    while let Some(part) = expr.tokens.get(at..at + 3) {
        let off = match part {
            [dot, TokenTree::Ident(option), TokenTree::Group(_)] if is(dot, '.') => OPTIONS
                .iter()
                .find(|(name, feature)| option == name && !features::is_on(feature))
                .map(|(_, feature)| (option, feature)),
            _ => None,
        };
        let Some((option, feature)) = off else {
            at += 1;
            continue;
        };
        diag.error(
            option,
            format!("`.{option}(..)` needs the feature `{feature}`"),
        )
        .help(features::help(feature))
        .untyped();
        expr.tokens.drain(at..at + 3);
    }
}

/// Options whose argument is plainly of another kind than they take, taken away: their settings as a literal, a number as a time
/// or a text.
fn settings(expr: &mut Expr, diag: &mut Diagnostics) {
    let mut at = 0;
    while let Some(part) = expr.tokens.get(at..at + 3) {
        let [dot, TokenTree::Ident(option), TokenTree::Group(group)] = part else {
            at += 1;
            continue;
        };
        let inner = tokens_of(group.stream());
        let Some(help) = meant_by_literal(&option.to_string(), &inner).filter(|_| is(dot, '.'))
        else {
            at += 1;
            continue;
        };
        let arguments = source(&inner);
        diag.error(
            Place::of(&inner, group.span()),
            format!("`{option}` does not accept `{arguments}`"),
        )
        .help(help)
        .untyped();
        expr.tokens.drain(at..at + 3);
    }
}

/// What to write for an option with this argument.
fn meant_by_literal(option: &str, inner: &[TokenTree]) -> Option<String> {
    let [TokenTree::Literal(first), rest @ ..] = inner else {
        return None;
    };
    let shown = first.to_string();
    let text = text_of(inner.first()?).map(|text| text.value);
    let number = shown.parse::<u32>().is_ok();
    let quoted = text
        .as_ref()
        .is_some_and(|text| text.parse::<u32>().is_ok());
    let time = matches!(unit(first), Some(Ok(Unit::Millis(_))));
    match (option, rest) {
        ("retry", [comma, pause @ ..]) if number && is(comma, ',') && !pause.is_empty() => {
            let pause = source(pause);
            Some(format!(
                "write `.retry(prox::RetryOptions::new({shown}).back_off({pause}, {pause}))` for a pause before each try"
            ))
        }
        ("retry", []) if time => Some(format!(
            "write `.retry(2)`, or `.retry(prox::RetryOptions::new(2).per_try_timeout({shown}))`"
        )),
        ("retry" | "max_connections", []) if quoted => Some(format!(
            "write `.{option}({})`, without quotes",
            text.unwrap_or_default()
        )),
        ("max_connections", []) if time => Some("write `.max_connections(100)`".into()),
        ("breaker", []) => Some("write `.breaker(prox::BreakerOptions::new())`".into()),
        ("queue", []) if number => Some(format!(
            "write `.queue(prox::QueueOptions::new().length({shown}))`"
        )),
        ("queue", []) if time => Some(format!(
            "write `.queue(prox::QueueOptions::new().timeout({shown}))`"
        )),
        ("pool", []) if number => Some(format!(
            "write `.pool(prox::PoolOptions::new().max_idle({shown}))`"
        )),
        ("pool", []) if time => Some(format!(
            "write `.pool(prox::PoolOptions::new().idle_timeout({shown}))`"
        )),
        ("passive", []) if number => Some(format!(
            "write `.passive(prox::PassiveOptions::new().in_a_row({shown}))`"
        )),
        ("slow_start", []) if time || number => {
            let unit = if time { "" } else { "s" };
            Some(format!(
                "write `.slow_start(prox::SlowStart::over({shown}{unit}))`"
            ))
        }
        ("retry_budget", []) if number => Some(format!(
            "write `.retry_budget(prox::BudgetOptions::percent({shown}))`"
        )),
        ("health", []) if text.is_some_and(|text| text.starts_with('/')) => {
            Some(format!("write `.health(http({shown}))`"))
        }
        ("sticky", []) if is_string(inner.first()?) => {
            Some(format!("write `.sticky(cookie({shown}))`"))
        }
        _ => None,
    }
}

/// An option as it is written.
fn form(option: &str) -> &'static str {
    match option {
        "retry" => ".retry(2)",
        "breaker" => ".breaker(prox::BreakerOptions::new())",
        "health" => ".health(http(\"/healthz\"))",
        "max_connections" => ".max_connections(100)",
        "max_response_headers" => ".max_response_headers(500)",
        "max_response_header_size" => ".max_response_header_size(256 * 1024)",
        "sticky" => ".sticky(cookie(\"session\"))",
        "credentials" => ".credentials(prox::google_id_token())",
        "public_address" => ".public_address()",
        "host_header" => ".host_header(\"app.example\")",
        "passive" => ".passive(prox::PassiveOptions::new())",
        "response_timeout" => ".response_timeout(30s)",
        "rewrite" => ".rewrite(\"/\")",
        _ => ".pool(prox::PoolOptions::new())",
    }
}

/// A backend and what stands behind it.
fn chain(mut expr: Expr, layers: &mut Vec<Expr>, diag: &mut Diagnostics) -> Expr {
    if let Some(at) = assigned(&expr.tokens) {
        let (target, rest) = expr.tokens.split_at(at);
        let value = source(rest.get(1..).unwrap_or_default());
        if let Some(equals) = rest.first() {
            diag.error(
                equals.span(),
                "expected `(..)` around the value of an option",
            )
            .help(format!("write `{}({value})`", source(target)))
            .untyped();
        }
        expr.tokens.truncate(at - 2);
        return expr;
    }
    while let Some(at) = of_all(&expr.tokens) {
        if let (Some(name), Some(TokenTree::Ident(option)), Some(TokenTree::Group(group))) = (
            expr.tokens.first(),
            expr.tokens.get(at + 1),
            expr.tokens.get(at + 2),
        ) {
            diag.error(
                option,
                format!("`{option}` is not allowed on a route: it applies to the whole backend"),
            )
            .help(format!(
                "write `.{option}{}` on the line `backend {name} = ..`",
                source(&[TokenTree::Group(group.clone())])
            ))
            .untyped();
        }
        expr.tokens.drain(at..at + 3);
    }
    while let Some(at) = with(&expr.tokens) {
        let (target, rest) = expr.tokens.split_at(at);
        if let [_, with, TokenTree::Group(group), ..] = rest {
            let inner = inner_list(&tokens_of(group.stream()));
            diag.error(with.span(), "unexpected `.` before `with`")
                .help(format!(
                    "write `{} with [{}]`",
                    source(target),
                    source(&inner)
                ))
                .untyped();
            layers.extend(expr_list(&inner, group.span_close()));
        }
        expr.tokens.drain(at..at + 3);
    }
    let [name, TokenTree::Group(group), ..] = expr.tokens.as_slice() else {
        return expr;
    };
    let inner = tokens_of(group.stream());
    if group.delimiter() == Delimiter::Bracket {
        diag.error(group.span(), "expected `with` before the layers")
            .help(format!("write `{name} with [{}]`", source(&inner)))
            .untyped();
        layers.extend(expr_list(&inner, group.span_close()));
    } else if inner.is_empty() {
        diag.error(
            group.span(),
            "unexpected arguments: a backend is not a function",
        )
        .help(format!("write `{name}`"))
        .untyped();
    } else {
        let told = options(&inner);
        let told = if told.is_empty() {
            String::from(".timeout(5s)")
        } else {
            told
        };
        diag.error(group.span(), "expected `.` before the options of a backend")
            .help(format!("write `{name}{told}`"))
            .untyped();
    }
    expr.tokens.remove(1);
    expr
}

/// Where the `=` of `users.timeout = 5s` stands.
fn assigned(tokens: &[TokenTree]) -> Option<usize> {
    let equals = |at: usize| tokens.get(at).is_some_and(|token| is(token, '='));
    (3..tokens.len()).find(|at| {
        let option = matches!(tokens.get(at - 1), Some(TokenTree::Ident(_)));
        option
            && tokens.get(at - 2).is_some_and(|dot| is(dot, '.'))
            && equals(*at)
            && !equals(at + 1)
            && at + 1 < tokens.len()
    })
}

/// Where an option begins that only a cluster has.
fn of_all(tokens: &[TokenTree]) -> Option<usize> {
    tokens.windows(3).position(|part| match part {
        [dot, TokenTree::Ident(option), TokenTree::Group(group)] => {
            is(dot, '.')
                && group.delimiter() == Delimiter::Parenthesis
                && OF_CLUSTERS.iter().any(|name| option == name)
        }
        _ => false,
    })
}

/// Where `.with(..)` or `.with[..]` begins.
fn with(tokens: &[TokenTree]) -> Option<usize> {
    tokens.windows(3).position(|part| match part {
        [dot, TokenTree::Ident(word), TokenTree::Group(_)] => is(dot, '.') && word == "with",
        _ => false,
    })
}

/// What stands in the brackets, if there is nothing else.
fn inner_list(tokens: &[TokenTree]) -> Vec<TokenTree> {
    match tokens {
        [TokenTree::Group(list)] if list.delimiter() == Delimiter::Bracket => {
            tokens_of(list.stream())
        }
        tokens => tokens.to_vec(),
    }
}

/// `timeout: 5s, retry = 2` as methods.
fn options(tokens: &[TokenTree]) -> String {
    let pairs = tokens.split(|token| is(token, ','));
    pairs
        .filter_map(|pair| match pair {
            [TokenTree::Ident(option), colon, value @ ..] if is(colon, ':') || is(colon, '=') => {
                Some(format!(".{option}({})", source(value)))
            }
            _ => None,
        })
        .collect()
}

/// Whether a word is called at the start, whose name a backend may have.
fn is_word(expr: &Expr) -> bool {
    match expr.tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Group(group), ..] => {
            group.delimiter() == Delimiter::Parenthesis
                && vocab::is(Slot::Target, &name.to_string())
        }
        _ => false,
    }
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
