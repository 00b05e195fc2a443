//! What only an editor is told, since the compiler finds it by types, with a message of its own: options that are misspelled
//! or half typed.

use proc_macro2::TokenTree;

use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        ast::{Expr, Setup},
        calls::each_expr,
        words::{OF_CLUSTERS, OPTIONS, nearest},
    },
};

/// Reports names in the place of options that are nearly options.
pub(crate) fn check(model: &Model, diag: &mut Diagnostics) {
    for target in model.targets() {
        each_expr(target, &mut |expr| options(model, expr, diag));
    }
}

fn options(model: &Model, expr: &Expr, diag: &mut Diagnostics) {
    let (cluster, chain) = match expr.tokens.as_slice() {
        [TokenTree::Ident(word), TokenTree::Group(_), chain @ ..] if word == "cluster" => {
            (true, chain)
        }
        [TokenTree::Ident(name), chain @ ..] if is_backend(model, &name.to_string()) => {
            (false, chain)
        }
        _ => return,
    };
    let known = |option: &str| OPTIONS.contains(&option) || OF_CLUSTERS.contains(&option);
    let names = || OPTIONS.iter().chain(OF_CLUSTERS.iter().filter(|_| cluster));
    for pair in chain.windows(2) {
        let [TokenTree::Punct(dot), TokenTree::Ident(option)] = pair else {
            continue;
        };
        let text = option.to_string();
        if dot.as_char() != '.' || known(&text) {
            continue;
        }
        let begun = names().find(|name| name.starts_with(&text));
        let near = begun.copied().or_else(|| nearest(&text, names().copied()));
        // Another name may be a method of the user's own.
        let Some(near) = near else {
            continue;
        };
        let error = diag.error(option, format!("unknown option `{text}`"));
        error.help(format!("write `.{near}(..)`"));
        // Of a name that is begun the type must be there, so that an editor completes it.
        if begun.is_none() {
            error.untyped();
        }
        return;
    }
}

fn is_backend(model: &Model, name: &str) -> bool {
    model.setup.iter().any(|setup| match setup {
        Setup::Backend(backend) => backend.name == name,
        Setup::Let(_) => false,
    })
}
