//! What can be no expression, whatever its names mean: rustc would give up the whole expansion at it, and say of every use
//! of the gateway that it is not there.

use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, Span, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::Expr,
    cursor::{is_string, tokens_of},
    marks::HOLE,
    source::source,
    words::{OF_CLUSTERS, OPTIONS, is_keyword},
};

/// What an expression is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Target,
    Backend,
    Layer,
    Guard,
    Value,
}

/// Where an expression breaks, as the place of a token, or of the group with the token.
struct Break {
    at: usize,
    token: TokenTree,
    /// What stands before, if it is an operand that nothing joins with the token.
    beside: Option<TokenTree>,
    /// The URL and the number around it, where a weight was meant.
    weighted: Option<(TokenTree, TokenTree)>,
    nested: bool,
}

impl Parser<'_> {
    /// What of the expression can be one, if anything; where it breaks is reported.
    pub(super) fn sound(&mut self, expr: Expr, what: Use) -> Option<Expr> {
        let mut expr = self.finished(expr, what)?;
        while let Some(found) = broken(&expr.tokens) {
            let (before, rest) = expr.tokens.split_at(found.at);
            let Some(beside) = &found.beside else {
                if let Some((url, weight)) = &found.weighted {
                    self.diag
                        .error(
                            found.token.span(),
                            "the weight of an endpoint comes after it",
                        )
                        .help(format!("write `{url}.weight({weight})`"));
                    return None;
                }
                if let TokenTree::Group(json) = &found.token {
                    let text = source(std::slice::from_ref(&found.token));
                    self.diag
                        .error(json.span(), "expected a value, found JSON")
                        .help(format!("write it as a string: `r#\"{text}\"#`"));
                    return None;
                }
                if found.nested && is(&found.token, '=') {
                    self.diag
                        .error(found.token.span(), "unexpected `=>` in an expression")
                        .help("`=>` comes between a path and its target, and in `split { .. }`");
                    return None;
                }
                if found.nested && is(&found.token, ':') {
                    self.diag
                        .error(found.token.span(), "unexpected argument name")
                        .help("write only the value");
                    return None;
                }
                self.diag
                    .error(found.token.span(), format!("unexpected `{}`", found.token))
                    .help("remove it");
                if found.nested || is(&found.token, ':') {
                    return None;
                }
                expr.tokens.remove(found.at);
                continue;
            };
            let option = match before {
                [target @ .., dot, TokenTree::Ident(option)] if is(dot, '.') => {
                    Some((target, option))
                }
                _ => None,
            };
            if let (Some((target, option)), TokenTree::Literal(value), false) =
                (option, &found.token, found.nested)
            {
                self.diag
                    .error(value.span(), format!("expected `(..)` after `{option}`"))
                    .help(format!("write `{}.{option}({value})`", source(target)));
                expr.tokens.truncate(target.len());
                continue;
            }
            let (message, help) = if let (TokenTree::Literal(number), TokenTree::Ident(unit)) =
                (beside, &found.token)
                && let Some(meant) = apart(number, unit)
            {
                (
                    "unexpected space between a number and its unit".to_owned(),
                    format!("write `{meant}`"),
                )
            } else if found.nested {
                (
                    format!("expected `,` or an operator before `{}`", found.token),
                    format!("write `{beside}, {}` for two values", found.token),
                )
            } else {
                beside_each_other(before, rest, what)
            };
            self.diag.error(found.token.span(), message).help(help);
            if found.nested {
                return None;
            }
            expr.tokens.truncate(found.at);
        }
        (!expr.tokens.is_empty()).then_some(expr)
    }

    /// A layer, or several where nothing stands between them.
    pub(super) fn sound_layers(&mut self, mut layer: Expr) -> Vec<Expr> {
        let mut layers = Vec::new();
        if self.is_wrong_layer(&layer.tokens) {
            return layers;
        }
        while let Some(found) = broken(&layer.tokens) {
            if found.nested || found.beside.is_none() {
                break;
            }
            let rest = layer.tokens.split_off(found.at);
            let both = format!("{}, {}", source(&layer.tokens), source(&rest));
            self.diag
                .error(found.token.span(), "expected `,` between two layers")
                .help(format!("write `with [{both}]`"));
            layers.push(std::mem::replace(&mut layer, Expr { tokens: rest }));
        }
        layers.extend(self.sound(layer, Use::Layer));
        layers
    }
}

/// `5s`, for `5 s` and `5 sec`.
fn apart(number: &Literal, word: &Ident) -> Option<String> {
    let word = match word.to_string().as_str() {
        "ms" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "minute" | "minutes" => "m",
        "h" | "hour" | "hours" => "h",
        "KB" | "KiB" | "kb" => "KiB",
        "MB" | "MiB" | "mb" => "MiB",
        "GB" | "GiB" | "gb" => "GiB",
        _ => return None,
    };
    let number = number.to_string();
    number
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| number + word)
}

/// What to say of an operand that nothing joins with what stands before it.
fn beside_each_other(before: &[TokenTree], rest: &[TokenTree], what: Use) -> (String, String) {
    let shown = rest.first().map_or_else(String::new, ToString::to_string);
    let call = matches!(
        rest.get(1),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis
    );
    let value = source(before);
    if call && matches!(rest.first(), Some(TokenTree::Ident(_))) {
        let call = source(rest.get(..2).unwrap_or_default());
        return (
            format!("expected `.` before `{shown}`"),
            format!("write `{value}.{call}`"),
        );
    }
    let option = OPTIONS.contains(&shown.as_str()) || OF_CLUSTERS.contains(&shown.as_str());
    if option && matches!(what, Use::Target | Use::Backend) {
        return (
            format!("expected `.` before `{shown}`"),
            format!("options come after a target: `{value}.{shown}(..)`"),
        );
    }
    let help = match what {
        Use::Target => "a route ends with `,`; its layers go in `with [..]`",
        Use::Guard => "guards are joined by `.and(..)` and `.or(..)`",
        Use::Layer => "add a `,` between two layers",
        Use::Backend | Use::Value => "a line that is not a route ends with `;`",
    };
    (
        format!("unexpected `{shown}` after `{value}`"),
        help.to_owned(),
    )
}

/// The tokens up to where they can be no expression; with `names`, a name behind a whole operand may stay.
pub(super) fn cut(tokens: &[TokenTree], names: bool) -> Vec<TokenTree> {
    cut_in(tokens, names, false)
}

fn cut_in(tokens: &[TokenTree], names: bool, inside: bool) -> Vec<TokenTree> {
    let mut sound = tokens.to_vec();
    policy_to_come(&mut sound);
    while let Some(found) = broken_in(&sound, inside) {
        let name = matches!(found.token, TokenTree::Ident(_)) && found.beside.is_some();
        if names && name && !found.nested {
            break;
        }
        match sound.get_mut(found.at) {
            Some(TokenTree::Group(group)) if found.nested => {
                let mut inner = cut_in(&tokens_of(group.stream()), false, true);
                // What was an argument stays one, so that an editor does not count them.
                if inner.last().is_none_or(|last| is(last, ',')) {
                    inner.extend(quote_spanned!(Span::mixed_site()=> loop {}));
                }
                let mut copy = Group::new(group.delimiter(), inner.into_iter().collect());
                copy.set_span(group.span());
                *group = copy;
            }
            _ => sound.truncate(found.at),
        }
    }
    sound
}

/// Puts a name before the `,` of `cluster(, [..])`. A policy is typed there, and the mirror has a hole for it.
fn policy_to_come(tokens: &mut [TokenTree]) {
    if let [TokenTree::Ident(cluster), TokenTree::Group(arguments), ..] = tokens
        && cluster == "cluster"
        && tokens_of(arguments.stream())
            .first()
            .is_some_and(|first| is(first, ','))
    {
        let policy = TokenTree::Ident(Ident::new(HOLE, Span::mixed_site()));
        let with_policy = std::iter::once(policy).chain(arguments.stream());
        let mut copy = Group::new(arguments.delimiter(), with_policy.collect());
        copy.set_span(arguments.span());
        *arguments = copy;
    }
}

/// The first place at which the tokens can be no expression. Macros, attributes and blocks have rules of their own.
fn broken(tokens: &[TokenTree]) -> Option<Break> {
    broken_in(tokens, false)
}

fn broken_in(tokens: &[TokenTree], inside: bool) -> Option<Break> {
    let punct = |at: Option<usize>, character| {
        at.and_then(|at| tokens.get(at))
            .is_some_and(|token| is(token, character))
    };
    let mut bars = 0;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1);
        let second = at.checked_sub(2);
        let found = |beside: Option<&TokenTree>| {
            Some(Break {
                at,
                token: token.clone(),
                beside: beside.cloned(),
                weighted: None,
                nested: false,
            })
        };
        match token {
            TokenTree::Punct(mark) => {
                bars += usize::from(mark.as_char() == '|');
                let joined = mark.spacing() == Spacing::Joint && punct(Some(at + 1), ':');
                let alone = !joined && !punct(before, ':') && !punct(second, '\'') && bars == 0;
                let attribute = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                let doubled = inside && before.is_none_or(|_| punct(before, ','));
                match mark.as_char() {
                    '~' | '$' => return found(None),
                    ',' if doubled => return found(None),
                    '#' if !attribute && !punct(Some(at + 1), '!') => return found(None),
                    ':' if alone => return found(None).map(|found| weighted(found, tokens, 1)),
                    // Braces, where the arms of a `match` stand, are not looked into.
                    '=' if inside
                        && mark.spacing() == Spacing::Joint
                        && punct(Some(at + 1), '>') =>
                    {
                        return found(None).map(|found| weighted(found, tokens, 2));
                    }
                    _ => {}
                }
            }
            // A block cannot begin so, nor can a struct.
            TokenTree::Group(group) if is_json(group) => return found(None),
            TokenTree::Group(group) => {
                let plain = matches!(
                    group.delimiter(),
                    Delimiter::Parenthesis | Delimiter::Bracket
                );
                // The type of a function may name its arguments.
                let types = before
                    .and_then(|before| tokens.get(before))
                    .is_some_and(|token| matches!(token, TokenTree::Ident(word) if word == "fn"));
                if plain && !types && !punct(before, '!') && !punct(before, '#') {
                    let inner = broken_in(&tokens_of(group.stream()), true);
                    if let Some(inner) = inner {
                        return Some(Break {
                            at,
                            nested: true,
                            ..inner
                        });
                    }
                }
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => {
                let operand = before.and_then(|before| tokens.get(before));
                let operand = operand.filter(|token| ends_value(token));
                // Lifetimes, and what stands behind an attribute.
                let part = punct(second, '\'') || punct(second, '#');
                if operand.is_some() && !part && starts_value(token) {
                    return found(operand);
                }
            }
        }
    }
    None
}

/// Whether the group is an object of JSON.
fn is_json(group: &Group) -> bool {
    let tokens = tokens_of(group.stream());
    let key = tokens.first().is_some_and(is_string);
    group.delimiter() == Delimiter::Brace
        && key
        && tokens.get(1).is_some_and(|colon| is(colon, ':'))
}

/// Notes that the sign stands between an endpoint and a number, if it does.
fn weighted(found: Break, tokens: &[TokenTree], length: usize) -> Break {
    let before = found.at.checked_sub(1).and_then(|at| tokens.get(at));
    let weighted = match (before, tokens.get(found.at + length)) {
        (Some(url), Some(TokenTree::Literal(weight)))
            if is_string(url) && weight.to_string().parse::<u32>().is_ok() =>
        {
            Some((url.clone(), TokenTree::Literal(weight.clone())))
        }
        _ => None,
    };
    Break { weighted, ..found }
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn starts_value(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => {
            !is_keyword(word) || ["self", "Self", "true", "false"].iter().any(|w| word == w)
        }
        token => matches!(token, TokenTree::Literal(_)) || is_string(token),
    }
}

fn ends_value(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => {
            matches!(
                group.delimiter(),
                Delimiter::Parenthesis | Delimiter::Bracket
            )
        }
        token => starts_value(token) || matches!(token, TokenTree::Ident(word) if word == "await"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks_at(text: &str) -> Option<String> {
        broken(&tokens_of(text.parse().unwrap())).map(|found| found.token.to_string())
    }

    #[test]
    fn what_rust_takes_is_left_alone() {
        for text in [
            "users.timeout(5s).rewrite(\"/a\")",
            "handler(|req: prox::Request| async move { x y })",
            "move |(a, b): (A, B), c: &'static str| -> u8 { 5 }",
            "f(&mut x, &raw const y, a as u8, *b, -1, !c)",
            "if let Some(x) = y { a } else { b }",
            "match x { 1 => 2, _ => 3 }",
            "for<'a> |x: &'a T, y: &'a mut T| x",
            "vec![a b; c]",
            "#[allow(x)] y",
            "<T as Into<X>>::into(y).await?",
            "'a: loop { break 'a x; }",
            "std::iter::once::<&'static str>(\"x\")",
            "return x",
            "|x: *const u8, y: fn(u8) -> u8, z: dyn A| x",
            "unsafe { x }(y)[0]",
            "a | b: c",
            "f(x as fn(a: u8) -> u8, |y: fn(b: &str)| y)",
            "(1..=2, ..3, x.0.1)",
            "f(match x { 1 => 2, _ => 3 }, a >= b, m!(a => b))",
        ] {
            assert_eq!(breaks_at(text), None, "{text}");
        }
    }

    #[test]
    fn what_no_rust_is_has_a_place() {
        for (text, token) in [
            ("users ~", "~"),
            ("f(a, ~b)", "~"),
            ("users timeout(5)", "timeout"),
            ("[\"a\" \"b\"]", "\"b\""),
            ("f(a b)", "b"),
            ("localhost:8080", ":"),
            ("users with [auth]", "with"),
            ("x.await y", "y"),
            ("f([\"a\" => 3])", "="),
            ("f({ x }, a => b)", "="),
        ] {
            assert_eq!(breaks_at(text).as_deref(), Some(token), "{text}");
        }
    }
}
