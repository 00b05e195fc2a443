//! Types of ours that are not imported. They are written out in the expansion, so that nothing else is said of them.

use std::collections::HashSet;

use proc_macro2::TokenTree;

use crate::{
    diag::Diagnostics,
    model::{
        Model,
        lacking::{import, unimported},
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
