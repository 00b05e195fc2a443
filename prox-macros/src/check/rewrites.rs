//! Rewrites that name a parameter which the path of the route lacks.

use proc_macro2::Ident;

use super::template::{characters, names, unclosed};
use crate::{
    diag::{Diagnostics, Flaw, location},
    model::{Model, Route},
    syntax::{
        ast::{Setup, Target, Text},
        calls::{each_expr, each_option, plain},
        cursor::text_of,
        pattern::Pattern,
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let mut said: Vec<String> = Vec::new();
    for target in model.targets() {
        for text in rewrites(model, target) {
            form(&text, diag);
        }
    }
    for route in &model.routes {
        let (Some(pattern), Some(target)) = (&route.pattern, &route.target) else {
            continue;
        };
        let own = rewrites(model, target);
        for text in &own {
            missing(text, pattern, "the path of this route", diag);
        }
        if !own.is_empty() {
            continue;
        }
        for (name, text) in of_backends(model, target) {
            let key = format!("{name} {}", route.shown_path());
            if params_missing(&text, pattern) && !said.contains(&key) {
                said.push(key);
                let of = of_route(route);
                missing(&text, pattern, &of, diag);
            }
        }
    }
}

fn of_route(route: &Route) -> String {
    format!(
        "the path of `{}`{}, which uses this backend,",
        route.shown(),
        location(route.path.span)
    )
}

/// The literals in the `.rewrite("..")`s of a target.
fn rewrites(model: &Model, target: &Target) -> Vec<Text> {
    let mut texts = Vec::new();
    let declared = model.declared();
    // A name that the gateway does not declare is a backend around it; the values of a `let` may be anything.
    let is_backend = |name: &Ident| {
        let text = name.to_string();
        let variable = text.starts_with(|c: char| c.is_lowercase());
        model.takes_options(name) || (variable && !declared.contains(plain(&text)))
    };
    each_expr(target, &mut |expr| {
        each_option(&expr.tokens, &is_backend, &mut |call| {
            if call.name == "rewrite" {
                texts.extend(call.only_literal().and_then(|l| text_of(&l.into())));
            }
        });
    });
    texts
}

/// The rewrites of the backends with which the target starts.
fn of_backends(model: &Model, target: &Target) -> Vec<(String, Text)> {
    let mut texts = Vec::new();
    each_expr(target, &mut |expr| {
        for setup in &model.setup {
            if let Setup::Backend(backend) = setup
                && let Some(proc_macro2::TokenTree::Ident(first)) = expr.tokens.first()
                && *first == backend.name
                && let Some(target) = &backend.target
            {
                let own = rewrites(model, target);
                texts.extend(own.into_iter().map(|text| (backend.name.to_string(), text)));
            }
        }
    });
    texts
}

fn params_missing(text: &Text, pattern: &Pattern) -> bool {
    let mut names = names(&text.value).into_iter();
    names.any(|(_, name)| !pattern.params().any(|param| param == name))
}

fn missing(text: &Text, pattern: &Pattern, of: &str, diag: &mut Diagnostics) {
    let params: Vec<&str> = pattern.params().collect();
    for (at, name) in names(&text.value) {
        if params.contains(&name) {
            continue;
        }
        let there: Vec<String> = params
            .iter()
            .map(|param| format!("`{{{param}}}`"))
            .collect();
        let help = match crate::syntax::words::nearest(name, params.iter().copied()) {
            Some(near) => format!("write `{{{near}}}`"),
            None if params.is_empty() => format!("`{pattern}` has no parameters"),
            None => format!("`{pattern}` has {}", there.join(", ")),
        };
        diag.flaw(
            text,
            Flaw {
                at,
                message: format!("{of} has no parameter `{name}`"),
                help,
            },
        );
    }
}

/// What a template must be whatever the route is.
fn form(text: &Text, diag: &mut Diagnostics) {
    let value = &text.value;
    if !value.starts_with('/') {
        let flaw = Flaw {
            at: 0..0,
            message: String::from("a rewritten path must start with `/`"),
            help: match value.split_once("://") {
                Some((_, rest)) => {
                    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
                    format!(
                        "write only the path, `\"{path}\"`: the backend has the address of the upstream"
                    )
                }
                None => format!("write `\"/{value}\"`"),
            },
        };
        diag.flaw(text, flaw);
    }
    if let Some(at) = value.find(['?', '#']) {
        let flaw = Flaw {
            at: at..value.len(),
            message: String::from(
                "unexpected query in a rewrite: the query of the request is kept",
            ),
            help: format!("write `\"{}\"`", value.get(..at).unwrap_or_default()),
        };
        diag.flaw(text, flaw);
    }
    if let Some(flaw) = characters(value, "a rewritten path") {
        diag.flaw(text, flaw);
    }
    let mut at = 0;
    for segment in value.split('/') {
        if matches!(segment, "." | "..") {
            let flaw = Flaw {
                at: at..at + segment.len(),
                message: format!("`{segment}` is not allowed as a segment of a rewritten path"),
                help: String::from("write the resolved path"),
            };
            diag.flaw(text, flaw);
        }
        at += segment.len() + 1;
    }
    if let Some(flaw) = unclosed(value) {
        diag.flaw(text, flaw);
    }
}
