//! Expressions that cannot stand where the macro puts them: a gateway with a name is made in its constructor.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{arguments, closure, cursor::tokens_of},
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let Some(named) = &model.named else {
        return;
    };
    for expr in model.exprs() {
        leaves(&expr.tokens, &mut |token, word| {
            let name = &named.name;
            let error = diag.error(
                token.span(),
                format!(
                    "`{word}` is not allowed here: this expression is evaluated in `{name}::new`"
                ),
            );
            error.untyped();
            if word == "return" {
                error.help("write an expression that returns its value");
            } else {
                error.help("await it before, and pass the result as a field of the `struct` line");
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

/// Shows every `return` and `.await` that is not inside of a closure, a function or an async block.
fn leaves(tokens: &[TokenTree], seen: &mut dyn FnMut(&TokenTree, &str)) {
    let statements = tokens.split(|token| is(token, ';'));
    for argument in statements.flat_map(arguments) {
        // The body of a closure goes on until the end of the argument.
        let end = closure(argument).unwrap_or(argument.len());
        let mut deferred = false;
        for (place, token) in argument.iter().take(end).enumerate() {
            match token {
                TokenTree::Ident(word) if *word == "async" || *word == "fn" => deferred = true,
                TokenTree::Ident(word) if *word == "return" => seen(token, "return"),
                TokenTree::Ident(word) if *word == "await" => {
                    let before = place.checked_sub(1).and_then(|at| argument.get(at));
                    if before.is_some_and(|before| is(before, '.')) {
                        seen(token, ".await");
                    }
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && deferred => {
                    deferred = false;
                }
                TokenTree::Group(group) => leaves(&tokens_of(group.stream()), seen),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
