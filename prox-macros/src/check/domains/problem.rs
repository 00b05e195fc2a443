//! What is wrong with a literal that is not in the domain of its slot, and what to write.

use proc_macro2::{Literal, Spacing, TokenTree};

use super::{
    StandIn,
    literal::{Value, Written},
    table::Domain,
};
use crate::{
    diag::Flaw,
    syntax::{
        ast::Text,
        cursor::text_of,
        source::source,
        units::{Unit, unit},
    },
};

/// A year in milliseconds; what is longer the runtime cuts to that.
const YEAR: u64 = 365 * 24 * 3_600_000;

/// What is reported of an argument.
pub(super) struct Problem {
    pub(super) what: What,
    pub(super) help: String,
    /// Set if the argument is not of the type of its slot.
    pub(super) stand_in: Option<StandIn>,
}

pub(super) enum What {
    /// About the argument as a whole.
    Whole(String),
    /// About a part of a string.
    Flaw(Text, Flaw),
}

/// None if the argument is in the domain, or is not a literal.
pub(super) fn problem(domain: &Domain, option: &str, argument: &[TokenTree]) -> Option<Problem> {
    if let Domain::Statuses = domain {
        return statuses(option, argument);
    }
    let written = Written::of(argument)?;
    if written.percent {
        return percent(domain, &written);
    }
    match domain {
        Domain::Time {
            least,
            zero,
            instead,
        } => time(option, &written, *least, zero, instead),
        Domain::Count {
            least,
            most,
            less,
            instead,
        } => count(option, &written, (*least, *most), less, instead),
        Domain::Size { zero, instead } => {
            let value = match written.value {
                Value::Size(bytes) => Value::Whole(bytes.into()),
                value => value,
            };
            let written = Written { value, ..written };
            count(option, &written, (1, usize::MAX as u128), zero, instead)
        }
        Domain::Percent { least, less, more } => {
            let problem = count(
                option,
                &written,
                (*least, u128::from(u32::MAX)),
                less,
                "write a percentage from 1 to 100",
            );
            problem.or_else(|| match written.value {
                Value::Whole(percent @ 101..) => whole(
                    format!("`{option}` of {percent} % {more}"),
                    format!("write a percentage from {least} to 100"),
                ),
                _ => None,
            })
        }
        Domain::Share => share(&written),
        Domain::Factor(least) => factor(option, &written, *least),
        Domain::Text(form) => text(option, &written, *form),
        Domain::Flag => flag(option, &written),
        Domain::Statuses => None,
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every caller gives it back as an option"
)]
fn whole(message: String, help: impl Into<String>) -> Option<Problem> {
    Some(Problem {
        what: What::Whole(message),
        help: help.into(),
        stand_in: None,
    })
}

/// Of an argument that rustc would refuse as well.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every caller gives it back as an option"
)]
fn untyped(stand_in: StandIn, message: String, help: impl Into<String>) -> Option<Problem> {
    Some(Problem {
        what: What::Whole(message),
        help: help.into(),
        stand_in: Some(stand_in),
    })
}

/// `10%`, which is not an expression of Rust.
fn percent(domain: &Domain, written: &Written<'_>) -> Option<Problem> {
    let literal = written.literal;
    let number: Option<f64> = literal.to_string().parse().ok();
    let help = match (domain, number) {
        (Domain::Share, Some(number)) => format!("write `{:?}` for {literal} %", number / 100.0),
        (Domain::Count { .. } | Domain::Percent { .. } | Domain::Size { .. }, Some(_)) => {
            format!("write `{literal}`")
        }
        _ => String::from("remove the `%`"),
    };
    untyped(
        domain.stand_in(),
        format!("unexpected `%` after `{literal}`"),
        help,
    )
}

fn time(
    option: &str,
    written: &Written<'_>,
    least: u64,
    zero: &str,
    instead: &str,
) -> Option<Problem> {
    let literal = written.literal;
    let units = |literal: &Literal| {
        format!("write `{literal}s` for seconds, or `{literal}ms` for milliseconds")
    };
    let unlike = |what: &str, help: String| {
        untyped(
            StandIn::Duration,
            format!("`{option}` expects a duration, but `{literal}` {what}"),
            help,
        )
    };
    match &written.value {
        Value::Millis(_) if written.negative => None,
        Value::Millis(0) if least > 0 => {
            whole(format!("`{option}` of `{literal}` {zero}"), instead)
        }
        Value::Millis(millis) if *millis < least => whole(
            format!("`{option}` of `{literal}` is less than the minimum of {least} ms"),
            format!("write `{least}ms` or more"),
        ),
        Value::Millis(millis) if *millis > YEAR => whole(
            format!("`{option}` of `{literal}` is longer than a year"),
            "write `8760h` or less",
        ),
        // A malformed unit is reported for any expression.
        Value::Malformed | Value::Millis(_) => None,
        Value::Text(text) => unlike("is a string", in_units(text)),
        Value::Size(_) => unlike("is a size", in_units("")),
        Value::Whole(_) | Value::Fraction(_) if written.negative => untyped(
            StandIn::Duration,
            format!("`-{literal}` is negative, and has no unit"),
            units(literal),
        ),
        Value::Whole(_) | Value::Fraction(_) => unlike("has no unit", units(literal)),
    }
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

fn count(
    option: &str,
    written: &Written<'_>,
    (least, most): (u128, u128),
    less: &str,
    instead: &str,
) -> Option<Problem> {
    let literal = written.literal;
    let unlike = |what: &str, help: String| {
        untyped(
            StandIn::Whole,
            format!("`{option}` expects a whole number, but `{literal}` {what}"),
            help,
        )
    };
    let range = || format!("write a whole number, {least} or more");
    match &written.value {
        Value::Millis(_) if written.negative => None,
        Value::Whole(_) if written.negative => untyped(
            StandIn::Whole,
            format!("`{option}` expects a whole number, but `-{literal}` is negative"),
            range(),
        ),
        Value::Whole(number) if *number < least => {
            whole(format!("`{option}` of {number} {less}"), instead)
        }
        Value::Whole(number) if *number > most => untyped(
            StandIn::Whole,
            format!("`{option}` of {number} is more than {most}"),
            format!("write a number from {least} to {most}"),
        ),
        Value::Malformed | Value::Whole(_) => None,
        Value::Fraction(_) => unlike("is a fraction", range()),
        Value::Millis(_) => unlike("is a duration", range()),
        Value::Size(_) => unlike("is a size", range()),
        Value::Text(text) => {
            let number = text.trim();
            let help = if number.parse::<u32>().is_ok() {
                format!("write `{number}`, without quotes")
            } else {
                range()
            };
            unlike("is a string", help)
        }
    }
}

fn share(written: &Written<'_>) -> Option<Problem> {
    let literal = written.literal;
    let minus = if written.negative { "-" } else { "" };
    let message = format!("`{minus}{literal}` is not a share of the requests");
    let help = match &written.value {
        Value::Malformed => return None,
        Value::Millis(_) if written.negative => return None,
        Value::Fraction(0.0..=1.0) if !written.negative => return None,
        Value::Whole(1) if !written.negative => {
            String::from("write `1.0` for all of them, or `0.01` for 1 %")
        }
        Value::Whole(percent @ 2..=100) if !written.negative => {
            let share = f64::from(u32::try_from(*percent).unwrap_or(100)) / 100.0;
            format!("write `{share:?}` for {percent} %")
        }
        _ => String::from("write a number from 0.0 to 1.0: `0.1` copies every tenth request"),
    };
    match written.value {
        Value::Fraction(_) => whole(message, help),
        _ => untyped(StandIn::Fraction, message, help),
    }
}

fn factor(option: &str, written: &Written<'_>, least: f64) -> Option<Problem> {
    let literal = written.literal;
    match &written.value {
        Value::Malformed => None,
        Value::Fraction(number) if *number >= least && !written.negative => None,
        Value::Fraction(_) => whole(
            format!("`{option}` of {literal} is less than the minimum of {least}"),
            format!("write {least} or more"),
        ),
        Value::Whole(number) if *number > 1 && !written.negative => untyped(
            StandIn::Fraction,
            format!("`{option}` expects a number with a decimal point, but `{literal}` has none"),
            format!("write `{number}.0`"),
        ),
        Value::Millis(_) if written.negative => None,
        _ => untyped(
            StandIn::Fraction,
            format!("`{option}` expects a number of {least} or more, found `{literal}`"),
            "write a number such as `1.25`",
        ),
    }
}

fn text(option: &str, written: &Written<'_>, form: fn(&str) -> Option<Flaw>) -> Option<Problem> {
    if let Value::Text(value) = &written.value {
        let flaw = form(value)?;
        let text = text_of(&TokenTree::Literal(written.literal.clone()))?;
        return Some(Problem {
            what: What::Flaw(text, flaw),
            help: String::new(),
            stand_in: None,
        });
    }
    let what = what(written)?;
    let literal = written.literal;
    untyped(
        StandIn::Text,
        format!("`{option}` expects a string, but `{literal}` is {what}"),
        format!("write `{option}(\"..\")`"),
    )
}

/// `.secure(true)`, of which no literal is one.
fn flag(option: &str, written: &Written<'_>) -> Option<Problem> {
    let what = what(written)?;
    let literal = written.literal;
    untyped(
        StandIn::Flag,
        format!("`{option}` expects `true` or `false`, but `{literal}` is {what}"),
        format!("write `{option}(true)`, or a variable of the type `bool`"),
    )
}

/// What a literal is, for people; none if something was reported of it already.
fn what(written: &Written<'_>) -> Option<&'static str> {
    match &written.value {
        Value::Malformed => None,
        Value::Millis(_) if written.negative => None,
        Value::Text(_) => Some("a string"),
        Value::Millis(_) => Some("a duration"),
        Value::Size(_) => Some("a size"),
        Value::Whole(_) | Value::Fraction(_) => Some("a number"),
    }
}

/// `.expect(200..300)`: some status of a response.
fn statuses(option: &str, argument: &[TokenTree]) -> Option<Problem> {
    let shown = source(argument);
    if let [TokenTree::Literal(literal)] = argument
        && let Some(Written {
            value: Value::Whole(number),
            ..
        }) = Written::of(argument)
    {
        return untyped(
            StandIn::Range,
            format!("`{option}` expects a range of statuses, but `{literal}` is a number"),
            format!("write `.{option}({number}..={number})` for this status alone"),
        );
    }
    if let [TokenTree::Group(_)] = argument {
        return untyped(
            StandIn::Range,
            format!("`{option}` expects a range of statuses, found a list"),
            "write a range such as `200..300`, or `200..=204`",
        );
    }
    let (first, inclusive, last) = range(argument)?;
    let behind = if inclusive { last + 1 } else { last };
    if first >= behind {
        let dots = if inclusive { "..=" } else { ".." };
        let help = if first == last {
            format!("write `{first}..={first}` for this status alone")
        } else {
            format!("write `{last}{dots}{first}`")
        };
        return whole(format!("the range `{shown}` is empty"), help);
    }
    if first > 599 || behind <= 200 {
        return whole(
            format!("`{shown}` contains no response status"),
            "write a range from 200 to 599, such as `200..300`",
        );
    }
    None
}

/// The first and the last number of a range of literals, and whether the last is in it.
fn range(argument: &[TokenTree]) -> Option<(u128, bool, u128)> {
    let dot =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '.');
    let joint = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint);
    let at = argument.iter().position(dot)?;
    let second = argument.get(at + 1).filter(|token| dot(token))?;
    let equals = argument
        .get(at + 2)
        .is_some_and(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '='));
    let inclusive = equals && joint(second);
    let number = |tokens: &[TokenTree], missing: u128| match tokens {
        [] => Some(missing),
        tokens => match Written::of(tokens)? {
            Written {
                negative: false,
                value: Value::Whole(number),
                ..
            } => Some(number),
            _ => None,
        },
    };
    let first = number(argument.get(..at)?, 0)?;
    let behind = at + 2 + usize::from(inclusive);
    let last = number(argument.get(behind..)?, u128::from(u16::MAX))?;
    Some((first, inclusive, last))
}
