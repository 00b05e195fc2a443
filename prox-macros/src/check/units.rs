//! Unknown units, and amounts below zero.

use proc_macro2::TokenTree;

use crate::{
    diag::{Diagnostics, Place},
    model::Model,
    syntax::{calls::each_literal, cursor::tokens_of, units::unit},
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    for expr in model.exprs() {
        each_literal(&expr.tokens, &mut |literal| {
            if let Some(Err(problem)) = unit(literal) {
                diag.error(literal.span(), problem)
                    .help("the units are `ms`, `s`, `m`, `h`, `KiB`, `MiB` and `GiB`");
            }
        });
        negatives(&expr.tokens, diag);
    }
}

/// Numbers with a unit behind a sign.
fn negatives(tokens: &[TokenTree], diag: &mut Diagnostics) {
    for (place, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            negatives(&tokens_of(group.stream()), diag);
        }
        if let (true, Some(TokenTree::Literal(literal))) =
            (is_sign(tokens, place), tokens.get(place + 1))
            && unit(literal).is_some_and(|unit| unit.is_ok())
        {
            let both = [token.clone(), TokenTree::Literal(literal.clone())];
            diag.error(
                Place::of(&both, token.span()),
                format!("`-{literal}` is negative"),
            )
            .help(format!("write `{literal}`"));
        }
    }
}

/// Whether the token is the sign of a number with a unit.
pub(crate) fn is_sign(tokens: &[TokenTree], place: usize) -> bool {
    let punct = |token: Option<&TokenTree>, sign| matches!(token, Some(TokenTree::Punct(punct)) if sign == punct.as_char());
    let before = place.checked_sub(1).and_then(|before| tokens.get(before));
    let operand = before.is_some_and(|before| !matches!(before, TokenTree::Punct(_)));
    let Some(TokenTree::Literal(literal)) = tokens.get(place + 1) else {
        return false;
    };
    punct(tokens.get(place), '-') && !operand && unit(literal).is_some()
}
