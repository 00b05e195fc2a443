//! Options: units, and numbers that lack one.

use proc_macro2::{Ident, Literal};

use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        calls::{Call, each_call, each_expr, each_literal},
        units::unit,
    },
};

/// The options of targets that take a duration.
const DURATIONS: [&str; 10] = [
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
];

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    for expr in model.exprs() {
        each_literal(&expr.tokens, &mut |literal| {
            if let Some(Err(problem)) = unit(literal) {
                diag.error(literal.span(), problem)
                    .help("the units are `ms`, `s`, `m`, `h`, `KiB`, `MiB` and `GiB`");
            }
        });
    }
    // Only in targets: elsewhere the same words may be those of another crate.
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            each_call(&expr.tokens, &mut |call| duration(call, diag));
        });
    }
}

fn duration(call: &Call<'_>, diag: &mut Diagnostics) {
    let literal = call
        .only_literal()
        .filter(|literal| lacks_unit(call.name, literal));
    if let Some(literal) = literal.filter(|_| call.method) {
        let option = call.name;
        diag.error(
            literal.span(),
            format!("`{option}` takes a duration, and `{literal}` has no unit"),
        )
        .help(format!(
            "write `{literal}s` for seconds, or `{literal}ms` for milliseconds"
        ));
    }
}

/// Whether the option takes a duration, and the literal is a number alone.
pub(crate) fn lacks_unit(option: &Ident, literal: &Literal) -> bool {
    is_plain_number(literal) && DURATIONS.iter().any(|name| option == name)
}

fn is_plain_number(literal: &Literal) -> bool {
    let text = literal.to_string();
    text.bytes()
        .all(|b| b.is_ascii_digit() || b == b'_' || b == b'.')
}
