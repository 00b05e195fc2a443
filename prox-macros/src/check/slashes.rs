//! Encoded slashes: a path with `%2F` reaches only routes whose targets take it.

use proc_macro2::{Ident, TokenTree};

use crate::{
    diag::{Diagnostics, Flaw},
    model::{Model, Route},
    syntax::{
        ast::{Setup, Target},
        calls::{has_options, plain},
        pattern::{Kind, Segment},
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    for route in &model.routes {
        let Some(target) = &route.target else {
            continue;
        };
        if !has_slash(route) || takes(model, target) != Some(false) {
            continue;
        }
        let help = if is_backend(model, target) {
            "add `.encoded_slashes()` to the target, or remove `%2F`"
        } else {
            "remove it: only a backend accepts it, with `.encoded_slashes()`"
        };
        let message = "a request with `%2F` in its path is answered with 400 here";
        match route.path.value.find("%2F") {
            Some(at) => diag.flaw(
                &route.path,
                Flaw {
                    at: at..at + 3,
                    message: message.into(),
                    help: help.into(),
                },
            ),
            // It is in the path of a scope.
            None => {
                diag.error(route.path.span, message).help(help);
            }
        }
    }
}

fn has_slash(route: &Route) -> bool {
    let segments = route.pattern.iter().flat_map(|pattern| &pattern.segments);
    segments.into_iter().any(|segment| match segment {
        Segment::Literal(text) => text.contains("%2F"),
        Segment::Param(_, Kind::OneOf(values)) => values.iter().any(|v| v.contains("%2F")),
        Segment::Param(..) => false,
    })
}

/// Whether the target takes paths with an encoded slash; none if that is not known before the gateway starts.
pub(crate) fn takes(model: &Model, target: &Target) -> Option<bool> {
    let expr = match target {
        Target::Url(_) => return Some(false),
        Target::Split(split) => {
            // What answers by itself has no say, unless there is nothing else.
            let arms = split.arms.iter().map(|arm| &arm.target);
            let proxied = arms.filter(|target| !is_answer(model, target));
            let proxied: Vec<Option<bool>> = proxied.map(|target| takes(model, target)).collect();
            return if proxied.is_empty() || proxied.contains(&Some(false)) {
                Some(false)
            } else {
                proxied
                    .into_iter()
                    .collect::<Option<Vec<bool>>>()
                    .map(|_| true)
            };
        }
        Target::Expr(expr) => expr,
    };
    let Some(TokenTree::Ident(first)) = expr.tokens.first() else {
        return None;
    };
    let own = |name: &Ident| model.takes_options(name);
    if let Some(written) = written(&expr.tokens) {
        return written.always();
    }
    if model.is_endpoint(first) {
        return Some(false);
    }
    if own(first) {
        let backend = model.setup.iter().find_map(|setup| match setup {
            Setup::Backend(backend) if backend.name == *first => Some(backend),
            _ => None,
        });
        return backend
            .and_then(|backend| backend.target.as_ref())
            .and_then(|target| match target {
                Target::Url(_) => Some(false),
                Target::Expr(expr) => of_cluster(&expr.tokens),
                Target::Split(_) => None,
            });
    }
    (is_answer(model, target) || has_options(&expr.tokens, &own)).then_some(false)
}

/// Whether the gateway answers by itself.
fn is_answer(model: &Model, target: &Target) -> bool {
    let Target::Expr(expr) = target else {
        return false;
    };
    let [TokenTree::Ident(word), TokenTree::Group(_), ..] = expr.tokens.as_slice() else {
        return false;
    };
    let word = word.to_string();
    let words = ["handler", "service", "redirect", "respond"];
    words.contains(&&*word) && !model.declared().contains(plain(&word))
}

/// What an option says of encoded slashes.
#[derive(Clone, Copy)]
enum Written {
    Kept,
    /// A condition decides.
    Sometimes,
}

impl Written {
    fn always(self) -> Option<bool> {
        match self {
            Self::Kept => Some(true),
            Self::Sometimes => None,
        }
    }
}

/// What the options say of encoded slashes, if they do.
fn written(tokens: &[TokenTree]) -> Option<Written> {
    let has_option = |name: &str| {
        tokens.windows(2).any(|pair| match pair {
            [TokenTree::Punct(dot), TokenTree::Ident(option)] => {
                dot.as_char() == '.' && option == name
            }
            _ => false,
        })
    };
    if has_option("encoded_slashes") {
        Some(Written::Kept)
    } else {
        has_option("encoded_slashes_if").then_some(Written::Sometimes)
    }
}

/// Of the value of a backend; none if it begins with anything but `cluster(..)`.
fn of_cluster(tokens: &[TokenTree]) -> Option<bool> {
    let cluster =
        matches!(tokens, [TokenTree::Ident(word), TokenTree::Group(_), ..] if word == "cluster");
    written(tokens).map_or_else(|| cluster.then_some(false), Written::always)
}

/// Whether the target is one to which the option can be added.
fn is_backend(model: &Model, target: &Target) -> bool {
    let own = |name: &Ident| model.takes_options(name);
    match target {
        Target::Url(_) => false,
        Target::Split(split) => {
            let mut arms = split.arms.iter();
            arms.any(|arm| is_backend(model, &arm.target))
        }
        Target::Expr(expr) => expr.only_ident().is_some_and(own) || has_options(&expr.tokens, &own),
    }
}
