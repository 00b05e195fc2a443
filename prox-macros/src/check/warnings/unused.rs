//! Backends and variables that nothing uses. Of a `let` rustc says it.

use std::collections::HashSet;

use proc_macro2::Ident;

use super::Warning;
use crate::{
    model::Model,
    syntax::{
        ast::{Attr, Expr, Setup, Target},
        calls::{each_expr, each_name, plain},
        lints::allow_unused,
    },
};

pub(super) fn check(model: &Model, found: &mut Vec<Warning>) {
    let used = used(model);
    let is_unused = |name: &Ident, attrs: &[Attr]| {
        let text = name.to_string();
        !text.starts_with('_') && !used.contains(plain(&text)) && !allow_unused(attrs)
    };
    for variable in &model.env {
        let name = &variable.name;
        if is_unused(name, &variable.attrs) {
            let read = if variable.default.is_some() {
                "it is read when the gateway starts, for nothing"
            } else {
                "the gateway does not start without it, for nothing"
            };
            found.push(Warning {
                at: name.span(),
                lint: "unused_env",
                text: format!(
                    "the variable `{name}` is never used\nnote: {read}\n\
                     help: take the line away, or write `#[allow(unused)]` above it"
                ),
            });
        }
    }
    for setup in &model.setup {
        if let Setup::Backend(backend) = setup
            && is_unused(&backend.name, &backend.attrs)
        {
            let name = &backend.name;
            found.push(Warning {
                at: name.span(),
                lint: "unused_backend",
                text: format!(
                    "backend `{name}` is never used by a route\n\
                     help: name it behind the `=>` of a route, or write `#[allow(unused)]` above its line"
                ),
            });
        }
    }
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
    used
}
