//! Targets that start with a backend and go on as nothing of Rust that a backend can: how options and layers are written
//! elsewhere. It is known here which names are backends, so that nothing else is taken for one.

use proc_macro2::{Delimiter, Ident, TokenTree};

use crate::{
    diag::Diagnostics,
    syntax::{
        ast::{Expr, Target},
        cursor::tokens_of,
        expr_list,
        source::source,
    },
};

/// The target as it was meant, and the layers that stood in it.
pub(super) fn of_backend(
    target: Target,
    is_backend: &dyn Fn(&Ident) -> bool,
    diag: &mut Diagnostics,
) -> (Target, Vec<Expr>) {
    let mut layers = Vec::new();
    let target = meant(target, is_backend, &mut layers, diag);
    (target, layers)
}

fn meant(
    target: Target,
    is_backend: &dyn Fn(&Ident) -> bool,
    layers: &mut Vec<Expr>,
    diag: &mut Diagnostics,
) -> Target {
    match target {
        Target::Url(url) => Target::Url(url),
        Target::Expr(expr) => match expr.tokens.first() {
            Some(TokenTree::Ident(name)) if is_backend(name) => {
                Target::Expr(chain(expr, layers, diag))
            }
            _ => Target::Expr(expr),
        },
        Target::Split(mut split) => {
            let arms = split.arms.into_iter().map(|mut arm| {
                arm.target = meant(arm.target, is_backend, layers, diag);
                arm
            });
            split.arms = arms.collect();
            Target::Split(split)
        }
    }
}

/// A backend and what stands behind it.
fn chain(mut expr: Expr, layers: &mut Vec<Expr>, diag: &mut Diagnostics) -> Expr {
    if let Some(at) = assigned(&expr.tokens) {
        let (target, rest) = expr.tokens.split_at(at);
        let value = source(rest.get(1..).unwrap_or_default());
        if let Some(equals) = rest.first() {
            diag.error(equals.span(), "the value of an option stands in `(..)`")
                .help(format!("write `{}({value})`", source(target)));
        }
        expr.tokens.truncate(at - 2);
        return expr;
    }
    while let Some(at) = with(&expr.tokens) {
        let (target, rest) = expr.tokens.split_at(at);
        if let [_, with, TokenTree::Group(group), ..] = rest {
            let inner = inner_list(&tokens_of(group.stream()));
            diag.error(
                with.span(),
                "`with` stands behind the target, without a `.`",
            )
            .help(format!(
                "write `{} with [{}]`",
                source(target),
                source(&inner)
            ));
            layers.extend(expr_list(&inner, group.span_close()));
        }
        expr.tokens.drain(at..at + 3);
    }
    let [name, TokenTree::Group(group), ..] = expr.tokens.as_slice() else {
        return expr;
    };
    let inner = tokens_of(group.stream());
    if group.delimiter() == Delimiter::Bracket {
        diag.error(group.span(), "layers stand behind the word `with`")
            .help(format!("write `{name} with [{}]`", source(&inner)));
        layers.extend(expr_list(&inner, group.span_close()));
    } else {
        let told = options(&inner);
        let told = if told.is_empty() {
            String::from(".timeout(5s)")
        } else {
            told
        };
        diag.error(group.span(), "the options of a backend stand behind a `.`")
            .help(format!("write `{name}{told}`"));
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

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
