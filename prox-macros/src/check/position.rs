//! Expressions that cannot stand where the macro puts them: a gateway with a name is made in its constructor.

use proc_macro2::{Delimiter, TokenTree};

use crate::{diag::Diagnostics, model::Model, syntax::cursor::tokens_of};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let Some(named) = &model.named else {
        return;
    };
    for expr in model.exprs() {
        leaves(&expr.tokens, &mut |token, word| {
            let name = &named.name;
            let error = diag.error(
                token.span(),
                format!("`{word}` cannot be used here: this is evaluated in `{name}::new`"),
            );
            error.untyped();
            if word == "return" {
                error.help("write the value without leaving the constructor");
            } else {
                error.help("await it before, and hand the result to the gateway as a field of its `struct` line");
            }
        });
    }
}

/// Whether an expression waits for something where nothing can.
pub(crate) fn awaits(tokens: &[TokenTree]) -> bool {
    let mut found = false;
    leaves(tokens, &mut |_, word| found |= word == ".await");
    found
}

/// Shows every `return` and `.await` that is not inside of a closure or an async block.
fn leaves(tokens: &[TokenTree], seen: &mut dyn FnMut(&TokenTree, &str)) {
    let mut deferred = false;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "async" => deferred = true,
            TokenTree::Punct(punct) if punct.as_char() == '|' => deferred = true,
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => {
                // Behind a closure's parameters its body goes on until the end of the argument.
                deferred &= has_bar_behind(tokens, place);
            }
            TokenTree::Ident(word) if !deferred => {
                let dot = matches!(
                    place.checked_sub(1).and_then(|before| tokens.get(before)),
                    Some(TokenTree::Punct(punct)) if punct.as_char() == '.'
                );
                if word == "return" {
                    seen(token, "return");
                } else if word == "await" && dot {
                    seen(token, ".await");
                }
            }
            TokenTree::Group(group) if !deferred => {
                leaves(&tokens_of(group.stream()), seen);
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => deferred = false,
            _ => {}
        }
    }
}

/// Whether the parameters of a closure are not at their end yet: an odd number of bars stands before.
fn has_bar_behind(tokens: &[TokenTree], place: usize) -> bool {
    let bars = tokens
        .iter()
        .take(place)
        .filter(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '|'))
        .count();
    bars % 2 == 1
}
