//! Hosts that are named twice, and the variables whose values are hosts.

use std::collections::BTreeMap;

use proc_macro2::Ident;

use crate::{
    diag::{Diagnostics, location},
    model::{Model, is_named},
    syntax::{ast::Text, host::HostName, source::source},
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let mut first: BTreeMap<(Option<usize>, &HostName), &Text> = BTreeMap::new();
    let names = model.hosts.iter().flat_map(|host| {
        let names = host.names.iter();
        names.map(|(name, text)| ((host.on, name), text))
    });
    for (name, text) in names {
        let Some(earlier) = first.get(&name) else {
            first.insert(name, text);
            continue;
        };
        let host = &text.value;
        let there = location(earlier.span);
        let here = location(text.span);
        diag.error(
            text.span,
            format!("duplicate host `{host}`; the first is above{there}"),
        )
        .help("put all routes of a host in one block");
        diag.error(
            earlier.span,
            format!("the host `{host}` is repeated below{here}"),
        );
    }
    variables(model, diag);
    defaults(model, first, diag);
}

/// The default of a variable is not the host of another block.
fn defaults<'m>(
    model: &'m Model,
    mut first: BTreeMap<(Option<usize>, &'m HostName), &'m Text>,
    diag: &mut Diagnostics,
) {
    for host in &model.hosts {
        for (name, text) in &host.defaults {
            let Some(earlier) = first.insert((host.on, name), text) else {
                continue;
            };
            let there = location(earlier.span);
            diag.error(
                text.span,
                format!("duplicate host `{}`: it is also here{there}", text.value),
            )
            .help("write another default, or put all routes of the host in one block");
        }
    }
}

/// A variable in the place of a host has the type `Host`, and one block.
fn variables(model: &Model, diag: &mut Diagnostics) {
    let mut first: Vec<(Option<usize>, &Ident)> = Vec::new();
    for (host, name) in model
        .hosts
        .iter()
        .flat_map(|host| host.variables.iter().map(move |name| (host, name)))
    {
        let earlier = first
            .iter()
            .find(|(on, other)| *on == host.on && *other == name);
        if let Some((_, earlier)) = earlier {
            let there = location(earlier.span());
            diag.error(
                name,
                format!("duplicate host `{name}`; the first is above{there}"),
            )
            .help("put all routes of a host in one block");
            continue;
        }
        let is_known = first.iter().any(|(_, other)| *other == name);
        first.push((host.on, name));
        if is_known {
            continue;
        }
        let Some(variable) = model.variable(name) else {
            diag.error(name, format!("no `env {name}` in this gateway"))
                .help(format!(
                    "write `env {name}: Host = \"api.example.com\";` above, or the host in quotes"
                ));
            continue;
        };
        if !is_named(&variable.ty, "Host") {
            diag.error(
                name,
                format!("expected a `Host`, found a `{}`", source(&variable.ty)),
            )
            .help(format!("write `env {name}: Host;`"));
        }
    }
}
