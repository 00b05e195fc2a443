//! Hosts that are named twice.

use std::collections::BTreeMap;

use crate::{
    diag::{Diagnostics, location},
    model::Model,
    syntax::{ast::Text, host::HostName},
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
}
