//! Options: units, and numbers that lack one.

use proc_macro2::{Ident, Literal, TokenTree};

use crate::{
    diag::{Diagnostics, Place},
    model::Model,
    syntax::{
        calls::{Call, each_expr, each_literal, each_option},
        cursor::{is_string, text_of, tokens_of},
        units::{Unit, unit},
    },
};

/// The options that take durations, and the places of these among their arguments.
const DURATIONS: [(&str, &[usize]); 16] = [
    ("timeout", &[0]),
    ("connect_timeout", &[0]),
    ("response_timeout", &[0]),
    ("idle_timeout", &[0]),
    ("per_try_timeout", &[0]),
    ("patience", &[0]),
    ("back_off", &[0, 1]),
    ("every", &[0]),
    ("every_while_changing", &[0]),
    ("lifetime", &[0]),
    ("open_for", &[0]),
    ("eject_for", &[0, 1]),
    ("share", &[2]),
    ("over", &[0]),
    ("after", &[0]),
    ("hedge", &[0]),
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
    let option = call.name;
    let inner = tokens_of(call.group.stream());
    for (place, argument) in arguments(&inner).enumerate() {
        if !lacks_unit(option, place, argument) {
            continue;
        }
        match argument {
            [sign, literal] => {
                diag.error(
                    Place::of(argument, sign.span()),
                    format!("`-{literal}` is less than nothing, and has no unit"),
                )
                .help(format!(
                    "write `{literal}s` for seconds, or `{literal}ms` for milliseconds"
                ));
            }
            [literal] => {
                let (lacks, help) = match text_of(literal) {
                    Some(text) => ("is a text", in_units(&text.value)),
                    None => (
                        "has no unit",
                        format!(
                            "write `{literal}s` for seconds, or `{literal}ms` for milliseconds"
                        ),
                    ),
                };
                diag.error(
                    literal.span(),
                    format!("`{option}` takes a duration, and `{literal}` {lacks}"),
                )
                .help(help);
            }
            _ => {}
        }
    }
}

/// What stands between the commas.
pub(crate) fn arguments(inner: &[TokenTree]) -> impl Iterator<Item = &[TokenTree]> {
    inner.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','))
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

/// Whether one of the arguments of the option does.
pub(crate) fn lacks_units(option: &Ident, inner: &[TokenTree]) -> bool {
    arguments(inner)
        .enumerate()
        .any(|(place, argument)| lacks_unit(option, place, argument))
}

/// Whether the option takes a duration there, and what is there is a number alone, with a sign or without, or a text.
pub(crate) fn lacks_unit(option: &Ident, place: usize, argument: &[TokenTree]) -> bool {
    let literal = match argument {
        [TokenTree::Literal(literal)] => literal,
        [sign, TokenTree::Literal(literal)] if is_minus(sign) && is_plain_number(literal) => {
            literal
        }
        _ => return false,
    };
    let mut durations = DURATIONS.iter();
    let takes = durations.any(|(name, places)| option == name && places.contains(&place));
    takes && (is_plain_number(literal) || is_string(&TokenTree::Literal(literal.clone())))
}

fn is_plain_number(literal: &Literal) -> bool {
    let text = literal.to_string();
    text.bytes()
        .all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
}
