//! What the gateway answers by itself, and how it splits.

use proc_macro2::{Literal, TokenTree};

use super::redirects;
use crate::{
    diag::Diagnostics,
    model::{Model, tree::Forest},
    syntax::{
        ast::{Setup, Split, Target, Weight},
        calls::{Call, each_call, each_expr},
        cursor::text_of,
        default::Type,
        source::{source, target_text},
    },
};

pub(super) fn check(model: &Model, forest: &Forest, diag: &mut Diagnostics) {
    redirects::check(model, forest, diag);
    for target in model.targets() {
        each_expr(target, &mut |expr| {
            each_call(&expr.tokens, &mut |call| {
                code(call, diag);
                content(call, diag);
            });
        });
        splits(model, target, diag);
    }
    for setup in &model.setup {
        if let Setup::Backend(backend) = setup
            && let Some(Target::Split(split)) = &backend.target
        {
            diag.error(split.span, "a backend cannot be a split")
                .help("declare a backend for each arm, and use the split as the target of a route");
        }
    }
}

/// The first argument of `redirect(..)` or `respond(..)`, if it is a literal.
pub(super) fn status(call: &Call<'_>) -> Option<Literal> {
    if call.method || !(call.name == "redirect" || call.name == "respond") {
        return None;
    }
    match call.args().first()?.tokens.as_slice() {
        // What is no number is of the wrong type, which is for rustc to say.
        [TokenTree::Literal(literal)] => Some(literal.clone()).filter(|literal| {
            literal
                .to_string()
                .starts_with(|c: char| c.is_ascii_digit())
        }),
        _ => None,
    }
}

fn code(call: &Call<'_>, diag: &mut Diagnostics) {
    let Some(literal) = status(call) else {
        return;
    };
    let number: Option<u32> = literal.to_string().parse().ok();
    if call.name == "redirect" {
        if !matches!(number, Some(301 | 302 | 303 | 307 | 308)) {
            diag.error(
                literal.span(),
                format!("`{literal}` is not a redirect status"),
            )
            .help(
                "write 308 for a permanent redirect or 307 for a temporary one; after 301, 302 and 303 a client may send `GET` instead of `POST`",
            );
        }
    } else if let Some(100..=199) = number {
        diag.error(literal.span(), format!("`{literal}` is not a final status"))
            .help("write a status from 200 to 599");
    } else if !matches!(number, Some(200..=599)) {
        diag.error(
            literal.span(),
            format!("`{literal}` is not a response status"),
        )
        .help("write a status from 200 to 599");
    }
}

/// A text where the status allows none (RFC 9110, 15.3.5, 15.3.6 and 15.4.5).
fn content(call: &Call<'_>, diag: &mut Diagnostics) {
    if call.name != "respond" {
        return;
    }
    let status = status(call).map(|status| status.to_string());
    let Some(status) = status.filter(|status| matches!(&**status, "204" | "205" | "304")) else {
        return;
    };
    let text = call.args().into_iter().nth(1);
    let Some([token]) = text.as_ref().map(|text| text.tokens.as_slice()) else {
        return;
    };
    if text_of(token).is_some_and(|text| !text.value.is_empty()) {
        diag.error(
            token.span(),
            format!("a {status} response cannot have a body"),
        )
        .help(format!(
            "write `respond({status}, \"\")`, or use status 200"
        ));
    }
}

/// 90 for 0.9.
fn hundredths(weight: &Literal) -> Option<u32> {
    let text = weight.to_string();
    let digits = text.strip_prefix("0.").filter(|digits| digits.len() < 3)?;
    let share: u32 = digits.parse().ok()?;
    Some(if digits.len() == 1 { share * 10 } else { share }).filter(|share| *share > 0)
}

fn splits(model: &Model, target: &Target, diag: &mut Diagnostics) {
    let Target::Split(Split { arms, .. }) = target else {
        return;
    };
    for arm in arms {
        let weight = match &arm.weight {
            Weight::Number(weight) => weight,
            Weight::Value(value) => {
                // Its type is for rustc to check, and its value for the start of the gateway.
                if let Some(name) = value.only_ident()
                    && model.takes_options(name)
                {
                    diag.error(
                        name,
                        format!("expected a weight, found the target `{name}`"),
                    )
                    .help("write `split { 95 => users, 5 => canary }`");
                }
                let variable = value.only_ident().and_then(|name| model.variable(name));
                if let Some(variable) = variable
                    && !matches!(Type::of(&variable.ty), Type::Other | Type::Endpoint)
                    && source(&variable.ty) != "u32"
                {
                    let name = &variable.name;
                    diag.error(
                        value.span(),
                        format!("expected a `u32`, found a `{}`", source(&variable.ty)),
                    )
                    .help(format!("write `env {name}: u32`"));
                }
                splits(model, &arm.target, diag);
                continue;
            }
        };
        match arm.share() {
            None => {
                let error = diag.error(weight.span(), format!("`{weight}` is not a weight"));
                match hundredths(weight) {
                    Some(share) => error.help(format!("write `{share}`, of 100 for all arms")),
                    None => error.help(
                        "a weight is a whole number of 1 or more, relative to the other weights",
                    ),
                };
            }
            Some(0) => {
                diag.error(weight.span(), "an arm with weight 0 never gets a request")
                    .help("remove the arm, or write a weight of 1 or more");
            }
            Some(_) => {}
        }
        splits(model, &arm.target, diag);
    }
    for (place, arm) in arms.iter().enumerate() {
        let text = target_text(&arm.target);
        let mut earlier = arms.iter().take(place);
        if let Some(earlier) = earlier.find(|earlier| target_text(&earlier.target) == text) {
            let error = diag.error(
                arm.target.span(),
                format!("duplicate arm `{text}` in this split"),
            );
            match (earlier.share(), arm.share()) {
                (Some(one), Some(other)) => error.help(format!(
                    "write `{} => {text}` once",
                    one.saturating_add(other)
                )),
                _ => error.help("remove one of them"),
            };
        }
    }
}
