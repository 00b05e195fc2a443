//! Options that are there twice in one chain: the later one would silently replace the earlier one.

use proc_macro2::{Delimiter, Ident, TokenTree};

use super::mirrors;
use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        calls::{Call, each_expr, has_options, is_method, is_settings},
        cursor::tokens_of,
        words::{OF_CLUSTERS, OPTIONS},
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let is_backend = |name: &Ident| model.takes_options(name);
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            if has_options(&expr.tokens, &is_backend) {
                chain(&expr.tokens, false, diag);
            }
        });
    }
}

/// Looks at the methods of one value. All methods of `settings` set something; a cluster may have some of another crate.
fn chain(tokens: &[TokenTree], settings: bool, diag: &mut Diagnostics) {
    let mut seen = Vec::new();
    for (place, pair) in tokens.windows(2).enumerate() {
        let [TokenTree::Ident(name), TokenTree::Group(group)] = pair else {
            continue;
        };
        if group.delimiter() != Delimiter::Parenthesis || name == "new" {
            continue;
        }
        let inner = tokens_of(group.stream());
        if is_settings(&inner) {
            chain(&inner, true, diag);
        }
        let before = tokens.get(..place).unwrap_or_default();
        let text = name.to_string();
        let is_known = settings || [&OF_CLUSTERS[..], &OPTIONS[..]].concat().contains(&&*text);
        if !is_method(before) || !is_known {
            continue;
        }
        let what = what(
            &text,
            &Call {
                name,
                method: true,
                group,
            },
        );
        if seen.contains(&what) {
            let subject = match &what {
                (option, Some(to)) => format!("`.{option}({to}, ..)`"),
                _ if inner.is_empty() => format!("`.{text}()`"),
                _ => format!("`.{text}(..)`"),
            };
            diag.error(
                name,
                format!("duplicate {subject}: it replaces the one before"),
            )
            .help("remove one of them");
        }
        seen.push(what);
    }
}

/// What a call sets. Each mirror is another one, unless it is the same backend.
fn what(option: &str, call: &Call<'_>) -> (String, Option<String>) {
    match option {
        "mirror" => (option.to_owned(), mirrors::to(&call.args())),
        "without_passive" => (String::from("passive"), None),
        "host_header" => (String::from("preserve_host"), None),
        // A condition sets the same field.
        _ => (
            option.strip_suffix("_if").unwrap_or(option).to_owned(),
            None,
        ),
    }
}
