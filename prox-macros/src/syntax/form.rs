//! Targets and guards that are none whatever their names mean, in the forms that are usual elsewhere.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::Expr,
    cursor::{is_string, text_of, tokens_of},
    expr::list,
    source::source,
    target::{cluster, is},
};
use crate::diag::Place;

impl Parser<'_> {
    /// The target as it was meant, or none if nobody knows; what is no target whatever its names mean is reported.
    #[expect(clippy::too_many_lines, reason = "one form after the other")]
    pub(super) fn target_form(&mut self, expr: Expr) -> Option<Expr> {
        let shown = source(&expr.tokens);
        match expr.tokens.as_slice() {
            [TokenTree::Group(list), rest @ ..]
                if list.delimiter() == Delimiter::Bracket && is_option(rest) =>
            {
                self.diag
                    .error(list.span(), "a list of URLs is no target")
                    .help(format!("write `cluster(rr, {shown})`"));
                let mut meant = cluster(&TokenTree::Group(list.clone()).into());
                meant.tokens.extend(rest.iter().cloned());
                Some(meant)
            }
            [first, dot, TokenTree::Ident(option), rest @ ..]
                if is_url_with_option(&expr.tokens) =>
            {
                let url = first.to_string();
                let options = shown.strip_prefix(&url).unwrap_or_default();
                self.diag
                    .error(option, format!("a URL has no `{option}`; a cluster has"))
                    .help(format!("write `cluster(rr, [{url}]){options}`"));
                let mut meant = cluster(&quote_spanned!(Span::mixed_site()=> [#first]));
                meant.tokens.extend([dot.clone(), option.clone().into()]);
                meant.tokens.extend(rest.iter().cloned());
                Some(meant)
            }
            [TokenTree::Ident(word), TokenTree::Group(group)] if word == "handler" => {
                let inner = tokens_of(group.stream());
                let [TokenTree::Literal(literal)] = inner.as_slice() else {
                    return Some(expr);
                };
                self.diag
                    .error(literal.span(), format!("`{literal}` is no function"))
                    .help(format!(
                        "write `respond(200, {literal})`, or the name of an `async fn`"
                    ));
                None
            }
            [TokenTree::Ident(word), TokenTree::Group(group)]
                if word == "redirect" || word == "respond" =>
            {
                let args = list(&tokens_of(group.stream()), group.span_close());
                let Some(meant) = answer(word, &args) else {
                    return Some(expr);
                };
                let parts = if word == "redirect" {
                    "a location"
                } else {
                    "a text"
                };
                self.diag
                    .error(word, format!("`{word}` takes a status and {parts}"))
                    .help(format!("write `{meant}`"));
                None
            }
            [TokenTree::Ident(word)] if word == "None" => {
                self.diag
                    .error(word, "`None` is no target")
                    .help("write `respond(404, \"\")`, or take the route away: what no route takes is answered with 404");
                None
            }
            [TokenTree::Ident(word), rest @ ..] if word == "return" && rest.len() < 2 => {
                let status = source(rest);
                let known = matches!(status.parse(), Ok(200..=599_u16));
                if !known && !rest.is_empty() {
                    return Some(expr);
                }
                let status = if known { &*status } else { "404" };
                self.diag
                    .error(word, "`return` is no target")
                    .help(format!("write `respond({status}, \"\")`"));
                None
            }
            tokens @ [TokenTree::Literal(first), ..]
                if !is_string(expr.tokens.first()?) && tokens.iter().all(is_part_of_host) =>
            {
                let status = matches!(shown.parse(), Ok(100..=599_u16));
                let port = shown.parse::<u16>().is_ok();
                let all: String = expr.tokens.iter().map(ToString::to_string).collect();
                if status {
                    self.diag
                        .error(first.span(), format!("`{first}` is no target"))
                        .help(format!("write `respond({first}, \"\")`"));
                } else if port {
                    self.diag
                        .error(first.span(), format!("`{first}` is no target"))
                        .help(format!("write `\"http://127.0.0.1:{first}\"`"));
                } else {
                    self.diag
                        .error(
                            Place::of(&expr.tokens, first.span()),
                            "an upstream is a URL in quotes",
                        )
                        .help(format!("write `\"http://{all}\"`"));
                }
                None
            }
            tokens @ [TokenTree::Ident(host), .., colon, TokenTree::Literal(_)]
                if is(colon, ':') && tokens.iter().all(is_part_of_host) =>
            {
                let all: String = tokens.iter().map(ToString::to_string).collect();
                self.diag
                    .error(
                        Place::of(tokens, host.span()),
                        "an upstream is a URL in quotes",
                    )
                    .help(format!("write `\"http://{all}\"`"));
                None
            }
            _ => Some(expr),
        }
    }

    /// The guard as it was meant: with the methods of the language in place of Rust's operators.
    ///
    /// None for what no guard says, so that nobody knows what the route takes.
    pub(super) fn guard_form(&mut self, expr: Expr) -> Option<Expr> {
        const KEYS: [&str; 4] = ["header", "query", "cookie", "client_ip"];
        let starts = |tokens: &[TokenTree]| matches!(tokens.first(), Some(TokenTree::Ident(word)) if KEYS.iter().any(|key| word == key));
        if let Some((not, guard)) = expr.tokens.split_first()
            && is(not, '!')
            && starts(guard)
        {
            self.diag
                .error(not.span(), "a guard is not turned round by `!`")
                .help("write the route for the rest without a guard: the guarded one with the same path comes first");
            return None;
        }
        if !starts(&expr.tokens) {
            return Some(expr);
        }
        let either = split_at(&expr.tokens, '|');
        if let [_, second, ..] = either.as_slice()
            && either.iter().all(|part| starts(part))
        {
            let place = expr
                .tokens
                .iter()
                .position(|token| std::ptr::eq(token, second.as_ptr()));
            let place = place.and_then(|place| expr.tokens.get(place.checked_sub(2)?));
            let routes = either.iter().map(|part| format!("`if {}`", source(part)));
            let routes: Vec<String> = routes.collect();
            self.diag
                .error(
                    place.map_or_else(|| expr.span(), TokenTree::span),
                    "guards are not joined by `||`",
                )
                .help(format!("write a route with each: {}", routes.join(" and ")));
            return None;
        }
        let mut parts = split_at(&expr.tokens, '&').into_iter();
        let Some(first) = parts.next() else {
            return Some(expr);
        };
        let mut meant = self.comparison(first);
        for (operator, part) in parts.map(|part| (part.as_ptr(), part)) {
            // Anything else behind `&&` is for rustc.
            if !starts(part) {
                return Some(expr);
            }
            let place = expr
                .tokens
                .iter()
                .position(|token| std::ptr::eq(token, operator));
            let place = place.and_then(|place| expr.tokens.get(place.checked_sub(2)?));
            let second = self.comparison(part);
            let all = format!("{}.and({})", source(&meant), source(&second));
            self.diag
                .error(
                    place.map_or_else(|| expr.span(), TokenTree::span),
                    "guards are joined by `.and(..)`",
                )
                .help(format!("write `{all}`"));
            let second = Group::new(Delimiter::Parenthesis, second.into_iter().collect());
            meant.extend(quote_spanned!(Span::mixed_site()=> .and #second));
        }
        Some(Expr { tokens: meant })
    }

    /// `header("x") == "1"`, in the words of the language.
    fn comparison(&mut self, tokens: &[TokenTree]) -> Vec<TokenTree> {
        let parts = split_at(tokens, '=');
        let ([key, value], Some(TokenTree::Ident(word))) = (parts.as_slice(), tokens.first())
        else {
            return tokens.to_vec();
        };
        let mut key = key.to_vec();
        let address = word == "client_ip";
        if address && key.len() == 1 {
            key.extend(quote_spanned!(Span::mixed_site()=> ()));
        }
        let method = Ident::new(if address { "within" } else { "is" }, Span::mixed_site());
        let help = format!("write `{}.{method}({})`", source(&key), source(value));
        let place = tokens.get(tokens.len() - value.len() - 2);
        self.diag
            .error(
                place.map_or_else(|| word.span(), TokenTree::span),
                "a guard has no `==`",
            )
            .help(help);
        key.extend(quote_spanned!(Span::mixed_site()=> .#method(#(#value)*)));
        key
    }
}

/// The parts between operators of two of this character.
fn split_at(tokens: &[TokenTree], character: char) -> Vec<&[TokenTree]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at + 1 < tokens.len() {
        let both = tokens
            .get(at..at + 2)
            .is_some_and(|pair| pair.iter().all(|token| is(token, character)));
        if both {
            parts.push(tokens.get(start..at).unwrap_or_default());
            start = at + 2;
            at += 1;
        }
        at += 1;
    }
    parts.push(tokens.get(start..).unwrap_or_default());
    parts
}

/// An answer with its status and its text, if one of them is missing, or they are turned round.
fn answer(word: &Ident, args: &[Expr]) -> Option<String> {
    let text = |arg: &Expr| match arg.tokens.as_slice() {
        [only] => text_of(only).map(|text| text.token.to_string()),
        _ => None,
    };
    let number = |arg: &Expr| source(&arg.tokens).parse::<u16>().ok();
    let usual = if word == "redirect" { 308 } else { 200 };
    let (status, shown) = match args {
        [only] => match (text(only), number(only)) {
            (Some(text), _) => (usual, text),
            (_, Some(status)) if word == "redirect" => (status, String::from("\"/new\"")),
            (_, Some(status)) => (status, String::from("\"\"")),
            _ => return None,
        },
        [first, second] => (number(second)?, text(first)?),
        _ => return None,
    };
    Some(format!("{word}({status}, {shown})"))
}

/// Whether this is `"http://a".option`.
fn is_url_with_option(tokens: &[TokenTree]) -> bool {
    let Some((url, rest)) = tokens.split_first() else {
        return false;
    };
    text_of(url).is_some_and(|url| url.value.contains("://")) && !rest.is_empty() && is_option(rest)
}

/// Whether this is nothing, or `.option`.
fn is_option(tokens: &[TokenTree]) -> bool {
    const OPTIONS: [&str; 6] = [
        "timeout",
        "connect_timeout",
        "rewrite",
        "retry",
        "health",
        "max_body",
    ];
    match tokens {
        [] => true,
        [dot, TokenTree::Ident(option), ..] => {
            is(dot, '.') && OPTIONS.iter().any(|known| option == known)
        }
        _ => false,
    }
}

fn is_part_of_host(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => matches!(punct.as_char(), '.' | '-' | ':'),
        TokenTree::Ident(_) | TokenTree::Literal(_) => true,
        TokenTree::Group(_) => false,
    }
}
