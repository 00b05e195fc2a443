//! Types of ours that are not imported. They are written out in the expansion, so that nothing else is said of them.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenTree};

use crate::{
    diag::Diagnostics,
    features,
    model::{
        Model,
        lacking::{import, missing_feature, unimported},
        names::Names,
    },
    syntax::cursor::tokens_of,
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let mut seen = HashSet::new();
    for expr in model.exprs() {
        each(model, &expr.tokens, &mut seen, diag);
    }
}

fn each(model: &Model, tokens: &[TokenTree], seen: &mut HashSet<String>, diag: &mut Diagnostics) {
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => each(model, &tokens_of(group.stream()), seen, diag),
            TokenTree::Ident(name) => {
                if let Some(feature) = missing_feature(&model.names, tokens, place) {
                    if seen.insert(feature.to_owned()) {
                        needs_feature(&model.names, tokens, place, name, feature, diag);
                    }
                    continue;
                }
                let found = unimported(&model.names, tokens, place);
                if let Some(found) = found.filter(|_| seen.insert(name.to_string())) {
                    diag.error(name, format!("`{name}` is not in scope"))
                        .help(format!(
                            "write `use {};` above the gateway",
                            import(name, &found)
                        ));
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Reports the first use of what a feature brings that is off.
fn needs_feature(
    names: &Names,
    tokens: &[TokenTree],
    place: usize,
    name: &Ident,
    feature: &str,
    diag: &mut Diagnostics,
) {
    let found = unimported(names, tokens, place);
    let import = found.map(|found| import(name, &found));
    let what = match import {
        Some(_) => name.to_string(),
        None => format!(".{name}(..)"),
    };
    let mut help = features::help(feature);
    if let Some(import) = import {
        help = format!("{help}, and `use {import};` above the gateway");
    }
    diag.error(name, format!("`{what}` needs the feature `{feature}`"))
        .help(help)
        .untyped();
}
