//! Hosts that are named twice.

use std::collections::BTreeMap;

use crate::{
    diag::{Diagnostics, location},
    model::Model,
    syntax::{ast::Text, host::HostName},
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let mut first: BTreeMap<&HostName, &Text> = BTreeMap::new();
    for (name, text) in model.hosts.iter().flat_map(|host| &host.names) {
        let Some(earlier) = first.get(name) else {
            first.insert(name, text);
            continue;
        };
        let host = &text.value;
        let there = location(earlier.span);
        let here = location(text.span);
        diag.error(
            text.span,
            format!("the host `{host}` is there twice; the first is above{there}"),
        )
        .help("write all routes of a host in one block");
        diag.error(
            earlier.span,
            format!("the host `{host}` is there again below{here}"),
        );
    }
}
