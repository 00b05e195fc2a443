//! Times that can never run out, since another one runs out before.

use std::collections::HashMap;

use proc_macro2::{Delimiter, Ident, Literal, TokenTree};

use crate::{
    diag::Diagnostics,
    model::Model,
    syntax::{
        ast::{Expr, Setup, Target},
        calls::{Call, each_expr, each_option, has_options, is_health_check},
        cursor::tokens_of,
        units::{Unit, unit},
    },
};

/// What has to be under the time of a request as a whole, and what it bounds. `idle_timeout` is none: it bounds tunnels, too,
/// which outlast their requests.
const PARTS: [(&str, &str); 5] = [
    ("connect_timeout", "the time to connect"),
    ("response_timeout", "the wait for the response"),
    (OF_RETRIES[0], "the time of one try"),
    (
        OF_RETRIES[1],
        "the wait before another try that an upstream asks for",
    ),
    ("hedge", "the time of the first try alone"),
];

/// The times of `RetryOptions`, inside of `.retry(..)`.
const OF_RETRIES: [&str; 2] = ["per_try_timeout", "patience"];

/// The options of a chain that are literal durations, the last of each name.
type Times = HashMap<String, Time>;

#[derive(Clone)]
struct Time {
    name: Ident,
    literal: Literal,
    millis: u64,
    /// Whether it stands on the backend, and not on the route that uses it.
    inherited: bool,
}

pub(super) fn check(model: &Model, diag: &mut Diagnostics) {
    let mut backends: HashMap<String, Times> = HashMap::new();
    for setup in &model.setup {
        if let Setup::Backend(backend) = setup
            && let Some(Target::Expr(expr)) = &backend.target
        {
            let times = target(model, expr, &backends, diag);
            backends.entry(backend.name.to_string()).or_insert(times);
        }
    }
    for route in &model.routes {
        if let Some(route) = &route.target {
            each_expr(route, &mut |expr| {
                target(model, expr, &backends, diag);
            });
        }
    }
}

/// Checks one target, with what it takes over from a backend; gives its times.
fn target(
    model: &Model,
    expr: &Expr,
    backends: &HashMap<String, Times>,
    diag: &mut Diagnostics,
) -> Times {
    let is_backend = |name: &Ident| model.takes_options(name);
    if !has_options(&expr.tokens, &is_backend) {
        return Times::new();
    }
    let mut times = match expr.tokens.first() {
        Some(TokenTree::Ident(name)) => {
            backends.get(&name.to_string()).cloned().unwrap_or_default()
        }
        _ => Times::new(),
    };
    for time in times.values_mut() {
        time.inherited = true;
    }
    times.extend(chain(&expr.tokens).filter(|(name, _)| !OF_RETRIES.contains(&name.as_str())));
    each_option(&expr.tokens, &is_backend, &mut |call| {
        // The last `.retry(..)` counts, with all that stands in it.
        if call.name == "retry" {
            times.retain(|name, _| !OF_RETRIES.contains(&name.as_str()));
            let inner = tokens_of(call.group.stream());
            times.extend(chain(&inner).filter(|(name, _)| OF_RETRIES.contains(&name.as_str())));
        }
    });
    // A time of zero has been reported.
    if let Some(total) = times.get("timeout").filter(|total| total.millis > 0) {
        for (part, bounds) in PARTS {
            // What a backend has is for all of its routes, and may be more than one of them needs.
            let part = times.get(part).filter(|part| !part.inherited);
            if let Some(part) = part.filter(|part| part.millis >= total.millis) {
                under(part, total, bounds, diag);
            }
        }
    }
    each_option(&expr.tokens, &is_backend, &mut |call| health(call, diag));
    times
}

fn under(part: &Time, total: &Time, bounds: &str, diag: &mut Diagnostics) {
    let where_from = if total.inherited {
        " of its backend"
    } else {
        ""
    };
    diag.error(
        part.literal.span(),
        format!(
            "`.{}({})` has no effect: `.timeout({})`{where_from} ends the request first",
            part.name, part.literal, total.literal
        ),
    )
    .note(format!(
        "`{}` bounds {bounds}, `timeout` the whole request",
        part.name
    ))
    .help(format!("write less than {}, or remove it", total.literal));
}

/// `.health(http("/healthz").every(10s).timeout(3s))`, where the check is ours.
fn health(call: &Call<'_>, diag: &mut Diagnostics) {
    let check = tokens_of(call.group.stream());
    if call.name != "health" || !is_health_check(&check) {
        return;
    }
    let times: Times = chain(&check).collect();
    if let (Some(timeout), Some(every)) = (times.get("timeout"), times.get("every"))
        && timeout.millis >= every.millis
        && every.millis > 0
    {
        diag.error(
            timeout.literal.span(),
            format!(
                "a health check with a timeout of {} cannot run every {}",
                timeout.literal, every.literal
            ),
        )
        .help(format!(
            "write a `timeout` below {}, or a longer `every`",
            every.literal
        ));
    }
}

/// The methods of a chain, those of its arguments excepted, with a duration in them.
fn chain(tokens: &[TokenTree]) -> impl Iterator<Item = (String, Time)> {
    tokens.windows(3).filter_map(|part| match part {
        [
            TokenTree::Punct(dot),
            TokenTree::Ident(name),
            TokenTree::Group(group),
        ] if dot.as_char() == '.' && group.delimiter() == Delimiter::Parenthesis => {
            let mut inner = group.stream().into_iter();
            let (Some(TokenTree::Literal(literal)), None) = (inner.next(), inner.next()) else {
                return None;
            };
            let Some(Ok(Unit::Millis(millis))) = unit(&literal) else {
                return None;
            };
            let time = Time {
                name: name.clone(),
                literal,
                millis,
                inherited: false,
            };
            Some((name.to_string(), time))
        }
        _ => None,
    })
}
