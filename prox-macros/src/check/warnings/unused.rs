//! Backends and variables that nothing uses. Of a `let` rustc says it.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenTree};

use super::Warning;
use crate::{
    model::Model,
    syntax::{
        ast::{Attr, Expr, Setup, Target},
        calls::{each_expr, each_name, plain},
        lints::allow_unused,
        words::nearest,
    },
};

pub(super) fn check(model: &Model, found: &mut Vec<Warning>) {
    let used = used(model);
    let known = model.declared();
    // Of a slip in a name rustc says enough.
    let unknown: Vec<&str> = used
        .iter()
        .map(String::as_str)
        .filter(|name| !known.contains(*name))
        .collect();
    let somewhere_else = model.targets().any(|target| is_unknown(target, &known));
    let is_unused = |name: &Ident, attrs: &[Attr]| {
        let text = name.to_string();
        !text.starts_with('_')
            && !used.contains(plain(&text))
            && !allow_unused(attrs)
            // Names of one or two letters are near to each other.
            && (text.len() < 3 || nearest(plain(&text), unknown.iter().copied()).is_none())
    };
    for variable in &model.env {
        let name = &variable.name;
        if is_unused(name, &variable.attrs) {
            let read = if variable.default.is_some() {
                "it is read at startup, but not used"
            } else {
                "it is required at startup, but not used"
            };
            found.push(Warning {
                at: name.span(),
                lint: "unused_env",
                text: format!(
                    "the variable `{name}` is never used\nnote: {read}\n\
                     help: remove the line, or write `#[allow(unused)]` above it"
                ),
            });
        }
    }
    for setup in &model.setup {
        if let Setup::Backend(backend) = setup
            && !somewhere_else
            && is_unused(&backend.name, &backend.attrs)
        {
            let name = &backend.name;
            found.push(Warning {
                at: name.span(),
                lint: "unused_backend",
                text: format!(
                    "backend `{name}` is never used\n\
                     help: use it after the `=>` of a route, or write `#[allow(unused)]` above its line"
                ),
            });
        }
    }
}

/// Whether a target is a name that may be a slip in that of a backend: one that the gateway does not declare.
fn is_unknown(target: &Target, known: &HashSet<String>) -> bool {
    let mut found = false;
    each_expr(target, &mut |expr| {
        let alone = match expr.tokens.get(1) {
            None => true,
            Some(TokenTree::Punct(punct)) => punct.as_char() == '.',
            Some(_) => false,
        };
        if let (true, Some(TokenTree::Ident(name))) = (alone, expr.tokens.first()) {
            let name = name.to_string();
            let like_a_backend = name.starts_with(|c: char| c.is_lowercase());
            found |= like_a_backend && !known.contains(plain(&name));
        }
    });
    found
}

/// Every name that stands in an expression, but that of a backend in its own.
fn used(model: &Model) -> HashSet<String> {
    let mut used = HashSet::new();
    let mut see = |expr: &Expr, own: Option<&Ident>| {
        each_name(&expr.tokens, &mut |name| {
            if own.is_none_or(|own| own != name) && !used.contains(plain(name)) {
                used.insert(plain(name).to_owned());
            }
        });
    };
    let mut see_target = |target: &Option<Target>, own: Option<&Ident>| {
        if let Some(target) = target {
            each_expr(target, &mut |expr| see(expr, own));
        }
    };
    for setup in &model.setup {
        if let Setup::Backend(backend) = setup {
            see_target(&backend.target, Some(&backend.name));
        }
    }
    for route in &model.routes {
        see_target(&route.target, None);
    }
    let values = model.setup.iter().filter_map(|setup| match setup {
        Setup::Let(binding) => Some(&binding.value),
        Setup::Backend(_) => None,
    });
    let guards = model.routes.iter().filter_map(|route| route.guard.as_ref());
    for expr in values.chain(&model.layers).chain(guards) {
        see(expr, None);
    }
    let hosts = model.hosts.iter().flat_map(|host| &host.variables);
    used.extend(hosts.map(|name| plain(&name.to_string()).to_owned()));
    used
}
