//! Limits that let nothing through, that nothing ever reaches, or that are turned round.

use proc_macro2::{Ident, Literal, TokenTree};

use super::options::arguments;
use crate::{
    diag::{Diagnostics, Place},
    model::Model,
    syntax::{
        calls::{Call, each_expr, each_option},
        cursor::tokens_of,
        units::{Unit, unit},
    },
};

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            let is_backend = |name: &Ident| model.is_backend(name);
            // Only of a cluster that begins here is known what it has.
            let whole =
                matches!(expr.tokens.first(), Some(TokenTree::Ident(word)) if word == "cluster");
            let mut limited = false;
            let mut queue = None;
            each_option(&expr.tokens, &is_backend, &mut |call| {
                limited |= call.name == "max_connections";
                if call.name == "queue" {
                    queue = Some(call.name.clone());
                }
                nothing_through(call, diag);
                turned_round(call, diag);
                percent(call, diag);
            });
            if let Some(queue) = queue.filter(|_| whole && !limited) {
                diag.error(
                    &queue,
                    "nothing ever waits in this queue: there is no limit",
                )
                .help("write `.max_connections(100)` beside it, or take it away");
            }
        });
    }
}

fn nothing_through(call: &Call<'_>, diag: &mut Diagnostics) {
    let passing = match call.name.to_string().as_str() {
        "max_connections" => "request",
        "max_response_headers" | "max_response_header_size" => "response",
        _ => return,
    };
    if let Some(literal) = call
        .only_literal()
        .filter(|literal| literal.to_string() == "0")
    {
        let message = format!("a limit of 0 lets no {passing} through");
        diag.error(literal.span(), message)
            .help("write a number from 1 on, or take the limit away");
    }
}

/// `.back_off(first, longest)` and `.eject_for(first, longest)`.
fn turned_round(call: &Call<'_>, diag: &mut Diagnostics) {
    if call.name != "back_off" && call.name != "eject_for" {
        return;
    }
    let inner = tokens_of(call.group.stream());
    let times: Vec<&Literal> = arguments(&inner).filter_map(only_literal).collect();
    if let [first, longest] = times.as_slice()
        && let (Some(Ok(Unit::Millis(short))), Some(Ok(Unit::Millis(long)))) =
            (unit(first), unit(longest))
        && short > long
    {
        let (name, both) = (call.name, Place::of(&inner, call.group.span()));
        diag.error(
            both,
            format!("`{name}` takes the first time, then the longest, which is shorter here"),
        )
        .help(format!("write `.{name}({longest}, {first})`"));
    }
}

/// The share of tries at which a breaker opens.
fn percent(call: &Call<'_>, diag: &mut Diagnostics) {
    if call.name != "breaker" {
        return;
    }
    let inner = tokens_of(call.group.stream());
    for part in inner.windows(2) {
        let [TokenTree::Ident(share), TokenTree::Group(group)] = part else {
            continue;
        };
        let inner = tokens_of(group.stream());
        let Some(percent) = arguments(&inner).next().and_then(only_literal) else {
            continue;
        };
        let number: Option<u32> = percent.to_string().parse().ok();
        if share == "share" && number.is_some_and(|number| number > 100) {
            diag.error(
                percent.span(),
                format!(
                    "more than {percent} % of the tries never fail, so the breaker never opens"
                ),
            )
            .help("write a number of percent from 1 to 100");
        }
    }
}

fn only_literal(argument: &[TokenTree]) -> Option<&Literal> {
    match argument {
        [TokenTree::Literal(literal)] => Some(literal),
        _ => None,
    }
}
