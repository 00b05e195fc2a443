//! Options: units, and numbers that lack one.

use proc_macro2::{Ident, Literal, TokenTree};

use crate::{
    diag::{Diagnostics, Place},
    model::Model,
    syntax::{
        calls::{Call, each_expr, each_literal, each_option},
        cursor::{text_of, tokens_of},
        units::{Unit, unit},
    },
};

/// The options of targets that take a duration.
const DURATIONS: [&str; 11] = [
    "timeout",
    "connect_timeout",
    "response_timeout",
    "idle_timeout",
    "per_try_timeout",
    "first_byte_timeout",
    "every",
    "slow_start",
    "keep_alive",
    "eject_for",
    "hedge",
];

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
    // Elsewhere the same words may be those of another crate.
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            let is_backend = |name: &Ident| model.is_backend(name);
            each_option(&expr.tokens, &is_backend, &mut |call| duration(call, diag));
        });
    }
}

fn duration(call: &Call<'_>, diag: &mut Diagnostics) {
    if let [sign, TokenTree::Literal(literal)] = tokens_of(call.group.stream()).as_slice()
        && is_minus(sign)
        && lacks_unit(call.name, literal)
    {
        let both = [sign.clone(), TokenTree::Literal(literal.clone())];
        diag.error(
            Place::of(&both, sign.span()),
            format!("`-{literal}` is less than nothing, and has no unit"),
        )
        .help(format!(
            "write `{literal}s` for seconds, or `{literal}ms` for milliseconds"
        ));
    }
    let literal = call
        .only_literal()
        .filter(|literal| lacks_unit(call.name, literal));
    if let Some(literal) = literal {
        let option = call.name;
        if let Some(text) = text_of(&TokenTree::Literal(literal.clone())) {
            diag.error(
                literal.span(),
                format!("`{option}` takes a duration, and `{literal}` is a text"),
            )
            .help(in_units(&text.value));
            return;
        }
        diag.error(
            literal.span(),
            format!("`{option}` takes a duration, and `{literal}` has no unit"),
        )
        .help(format!(
            "write `{literal}s` for seconds, or `{literal}ms` for milliseconds"
        ));
    }
}

pub(crate) fn is_minus(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '-')
}

/// Numbers with a unit that a sign stands before.
fn negatives(tokens: &[TokenTree], diag: &mut Diagnostics) {
    for (place, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            negatives(&tokens_of(group.stream()), diag);
        }
        if let (true, Some(literal)) = (is_sign(tokens, place), tokens.get(place + 1)) {
            let both = [token.clone(), literal.clone()];
            diag.error(
                Place::of(&both, token.span()),
                format!("`-{literal}` is less than nothing"),
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

/// What to write for a duration in quotes.
fn in_units(text: &str) -> String {
    let plain = text.trim();
    let good = plain
        .parse::<Literal>()
        .is_ok_and(|literal| matches!(unit(&literal), Some(Ok(Unit::Millis(_)))));
    if good {
        format!("write `{plain}`, without quotes")
    } else {
        String::from("write a number and its unit: `250ms`, `5s`, `2m` or `1h`")
    }
}

/// Whether the option takes a duration, and the literal is a number alone, or a text.
pub(crate) fn lacks_unit(option: &Ident, literal: &Literal) -> bool {
    let text = literal.to_string().starts_with('"');
    (text || is_plain_number(literal)) && DURATIONS.iter().any(|name| option == name)
}

fn is_plain_number(literal: &Literal) -> bool {
    let text = literal.to_string();
    text.bytes()
        .all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
}
