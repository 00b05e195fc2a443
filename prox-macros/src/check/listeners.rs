//! Listeners that are named twice.

use std::collections::BTreeMap;

use crate::{
    diag::{Diagnostics, location},
    model::Model,
    syntax::ast::Text,
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let mut first: BTreeMap<&str, &Text> = BTreeMap::new();
    for on in &model.ons {
        let name = &on.name.value;
        let Some(earlier) = first.get(name.as_str()) else {
            first.insert(name, &on.name);
            continue;
        };
        let there = location(earlier.span);
        let here = location(on.name.span);
        diag.error(
            on.name.span,
            format!("duplicate `on \"{name}\"`; the first is above{there}"),
        )
        .help("write all routes of a listener in one block");
        diag.error(
            earlier.span,
            format!("`on \"{name}\"` is repeated below{here}"),
        );
    }
}
