//! Targets and guards that are none whatever their names mean, in the forms that are usual elsewhere.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::{Expr, Setup},
    calls::mentions,
    cursor::{is_string, text_of, tokens_of},
    expr::list,
    source::source,
    target::{cluster, is},
    words::{KEYS, OF_CLUSTERS, OPTIONS, nearest},
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
                    .help(format!("write `cluster(rr, {shown})`"))
                    .untyped();
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
                    .help(format!("write `cluster(rr, [{url}]){options}`"))
                    .untyped();
                let mut meant = cluster(&quote_spanned!(Span::mixed_site()=> [#first]));
                meant.tokens.extend([dot.clone(), option.clone().into()]);
                meant.tokens.extend(rest.iter().cloned());
                Some(meant)
            }
            [TokenTree::Ident(word), TokenTree::Group(group)] if word == "handler" => {
                let inner = tokens_of(group.stream());
                if let Some((function, request)) = called_with_request(&inner)
                    && !self.may_be_variable(&request)
                {
                    self.diag
                        .error(
                            &request,
                            format!(
                                "there is no request yet: the gateway calls `{function}` for each"
                            ),
                        )
                        .help(format!("write `handler({function})`"));
                    return None;
                }
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
            [TokenTree::Ident(word), TokenTree::Group(group), rest @ ..]
                if word == "redirect" || word == "respond" =>
            {
                let args = list(&tokens_of(group.stream()), group.span_close());
                let temporary = rest
                    .iter()
                    .any(|token| matches!(token, TokenTree::Ident(kind) if kind == "temporary"));
                let Some(meant) = answer(word, &args, temporary) else {
                    return Some(expr);
                };
                let parts = if word == "redirect" {
                    "a location"
                } else {
                    "a text"
                };
                self.diag
                    .error(word, format!("`{word}` takes a status and {parts}"))
                    .help(format!("write `{meant}`"))
                    .untyped();
                None
            }
            [TokenTree::Ident(word), TokenTree::Group(group), ..]
                if word == "cluster" && group.delimiter() != Delimiter::Parenthesis =>
            {
                let fields = in_fields(group);
                self.diag
                    .error(word, "a cluster stands in round brackets")
                    .help(format!("write `cluster({fields})`"))
                    .untyped();
                None
            }
            tokens if is_closure(tokens) => {
                let block =
                    matches!(tokens.last(), Some(TokenTree::Group(_))) && !shown.contains('|');
                let (what, start) = if block {
                    ("an `async` block", "|_| ")
                } else {
                    ("a closure", "")
                };
                self.diag
                    .error(expr.span(), format!("{what} is no target by itself"))
                    .help(format!("write `handler({start}{shown})`"));
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
                    .help(format!("write `respond({status}, \"\")`"))
                    .untyped();
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

    /// Whether a variable may have the name: around a gateway without a name, or in the lines so far.
    fn may_be_variable(&self, name: &Ident) -> bool {
        let Some(named) = &self.gateway.named else {
            return true;
        };
        named.fields.iter().any(|field| field.name == *name)
            || self.gateway.setup.iter().any(|setup| match setup {
                Setup::Let(binding) => mentions(&binding.pattern, name),
                Setup::Backend(backend) => backend.name == *name,
            })
    }

    /// The guard as it was meant: with the methods of the language in place of Rust's operators.
    ///
    /// None for what no guard says, so that nobody knows what the route takes.
    pub(super) fn guard_form(&mut self, expr: Expr) -> Option<Expr> {
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
            return self.no_comparison(expr);
        }
        if let Some(tilde) = expr.tokens.iter().find(|token| is(token, '~')) {
            let key = source(expr.tokens.get(..2).unwrap_or_default());
            self.diag
                .error(tilde.span(), "a guard has no `~`")
                .help(format!(
                    "write `{key}.starts_with(\"..\")`, or a closure: `|req: &prox::Parts| ..`"
                ));
            return None;
        }
        let expr = self.value_in_key(expr);
        if !self.only_known_tests(&expr) {
            return None;
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
                .help(format!("write a route with each: {}", routes.join(" and ")))
                .untyped();
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
                .help(format!("write `{all}`"))
                .untyped();
            let second = Group::new(Delimiter::Parenthesis, second.into_iter().collect());
            meant.extend(quote_spanned!(Span::mixed_site()=> .and #second));
        }
        Some(Expr { tokens: meant })
    }

    /// Any other guard. A comparison of Rust is a `bool`, whatever its sides are, and so never one.
    fn no_comparison(&mut self, expr: Expr) -> Option<Expr> {
        let closure = expr.tokens.iter().position(|token| is(token, '|'));
        let Some(at) = comparing(&expr.tokens).filter(|at| closure.is_none_or(|bar| *at < bar))
        else {
            return Some(expr);
        };
        let about = |words: &[&str]| {
            expr.tokens
                .iter()
                .any(|token| matches!(token, TokenTree::Ident(word) if words.iter().any(|known| word == known)))
        };
        let value = expr.tokens.iter().skip(at).find_map(text_of);
        let value = value.map(|text| text.value).unwrap_or_default();
        let help = if about(&["method"]) {
            let method = if crate::syntax::words::is_method(&value) {
                &value
            } else {
                "GET"
            };
            format!("a method stands before the path: `{method} \"/users\" => target,`")
        } else if about(&["host", "hostname", "authority"]) {
            let host = if value.is_empty() {
                "api.example.com"
            } else {
                &value
            };
            format!("a host has a block: `host \"{host}\" {{ \"/\" => target }}`")
        } else if about(&["path", "uri"]) && value.starts_with('/') {
            format!("a path starts the line: `\"{value}\" => target,`")
        } else {
            String::from(
                "write `header(\"x-beta\").is(\"1\")`, or a closure: `|req: &prox::Parts| ..`",
            )
        };
        let place = expr
            .tokens
            .get(at)
            .map_or_else(|| expr.span(), TokenTree::span);
        self.diag
            .error(place, "a comparison is no guard")
            .help(help)
            .untyped();
        None
    }

    /// Whether the guard has only the tests of the language; the first other is reported.
    fn only_known_tests(&mut self, expr: &Expr) -> bool {
        const OF_KEYS: [&str; 6] = ["is", "exists", "absent", "starts_with", "one_of", "and"];
        const OF_ADDRESSES: [&str; 2] = ["within", "and"];
        let address =
            matches!(expr.tokens.first(), Some(TokenTree::Ident(key)) if key == "client_ip");
        let known = if address {
            &OF_ADDRESSES[..]
        } else {
            &OF_KEYS[..]
        };
        for (place, part) in expr.tokens.windows(3).enumerate() {
            let [dot, TokenTree::Ident(test), TokenTree::Group(group)] = part else {
                continue;
            };
            let name = test.to_string();
            if !is(dot, '.') || known.contains(&name.as_str()) {
                continue;
            }
            let key = source(expr.tokens.get(..place).unwrap_or_default());
            let argument = source(&tokens_of(group.stream()));
            let help = match name.as_str() {
                "or" | "or_else" | "any" => {
                    format!("write a route with each: `if {key}` and `if {argument}`")
                }
                "missing" | "is_absent" | "is_missing" | "not_exists"
                    if argument.is_empty() && !address =>
                {
                    format!("write `{key}.absent()`")
                }
                "in" | "is_in" | "any_of" | "is_any" | "is_any_of" | "oneof" | "is_one_of"
                    if !address =>
                {
                    format!("write `{key}.one_of([\"a\", \"b\"])`")
                }
                "not" | "negate" | "is_not" | "ne" | "absent" | "missing" | "is_absent"
                | "is_missing" | "not_exists" => String::from(
                    "write the route for the rest without a guard: the guarded one with the same path comes first",
                ),
                "eq" | "equals" | "exact" | "value" | "matches_exact" if !argument.is_empty() => {
                    format!("write `{key}.is({argument})`")
                }
                "prefix" | "begins_with" | "startsWith" | "starts" => {
                    format!("write `{key}.starts_with({argument})`")
                }
                "present" | "is_present" | "is_some" | "exist" | "any_value" => {
                    format!("write `{key}.exists()`")
                }
                "in" | "within_any" | "contains" | "is" if address => {
                    format!("write `{key}.within({argument})`")
                }
                _ => match nearest(&name, known.iter().copied()) {
                    Some(near) => format!("write `.{near}(..)`"),
                    None => format!(
                        "it has `.{}(..)`; for anything else write a closure: `|req: &prox::Parts| ..`",
                        known.join("(..)`, `.")
                    ),
                },
            };
            self.diag
                .error(test, format!("a guard has no `{name}`"))
                .help(help)
                .untyped();
            return false;
        }
        true
    }

    /// `header("x", "1")`, in the words of the language.
    fn value_in_key(&mut self, mut expr: Expr) -> Expr {
        let [TokenTree::Ident(key), TokenTree::Group(group), rest @ ..] = expr.tokens.as_slice()
        else {
            return expr;
        };
        let args = list(&tokens_of(group.stream()), group.span_close());
        let ([name, value], true) = (args.as_slice(), rest.is_empty()) else {
            return expr;
        };
        let (name, value) = (&name.tokens, &value.tokens);
        self.diag
            .error(
                key,
                format!("`{key}` takes a name, and its value stands behind it"),
            )
            .help(format!(
                "write `{key}({}).is({})`",
                source(name),
                source(value)
            ))
            .untyped();
        let method = Ident::new("is", Span::mixed_site());
        let key = key.clone();
        expr.tokens = quote_spanned!(Span::mixed_site()=> #key(#(#name)*).#method(#(#value)*))
            .into_iter()
            .collect();
        expr
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
            .help(help)
            .untyped();
        key.extend(quote_spanned!(Span::mixed_site()=> .#method(#(#value)*)));
        key
    }
}

/// Where a comparison stands that is no part of a type or a closure.
fn comparing(tokens: &[TokenTree]) -> Option<usize> {
    let pair = |at: usize, first, second| {
        tokens.get(at).is_some_and(|token| is(token, first))
            && tokens.get(at + 1).is_some_and(|token| is(token, second))
    };
    (1..tokens.len()).find(|at| {
        ["==", "!=", "<=", ">="].iter().any(|operator| {
            let mut characters = operator.chars();
            let (first, second) = (characters.next(), characters.next());
            first
                .zip(second)
                .is_some_and(|(first, second)| pair(*at, first, second))
        })
    })
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

/// The arguments of `cluster { policy: rr, endpoints: [..] }`, without their names.
fn in_fields(group: &Group) -> String {
    let tokens = tokens_of(group.stream());
    let fields = tokens.split(|token| is(token, ','));
    let values = fields
        .filter(|field| !field.is_empty())
        .map(|field| match field {
            [TokenTree::Ident(_), sign, value @ ..] if is(sign, ':') || is(sign, '=') => {
                source(value)
            }
            value => source(value),
        });
    values.collect::<Vec<_>>().join(", ")
}

/// Whether the tokens are a closure or an `async` block.
fn is_closure(tokens: &[TokenTree]) -> bool {
    let word = |at: usize, word: &str| matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if ident == word);
    let mut at = usize::from(word(0, "async"));
    let is_async = at > 0;
    at += usize::from(word(at, "move"));
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => {
            is_async && group.delimiter() == Delimiter::Brace && at + 1 == tokens.len()
        }
        Some(bar) => is(bar, '|'),
        None => false,
    }
}

/// The function and the argument of `hello(req)`, where the argument is called like a request.
fn called_with_request(inner: &[TokenTree]) -> Option<(String, Ident)> {
    let (TokenTree::Group(group), function) = inner.split_last()? else {
        return None;
    };
    let path = function
        .iter()
        .all(|token| matches!(token, TokenTree::Ident(_)) || is(token, ':'));
    match tokens_of(group.stream()).as_slice() {
        [TokenTree::Ident(request)]
            if path
                && matches!(function.last(), Some(TokenTree::Ident(_)))
                && ["req", "request", "_"].iter().any(|name| request == name) =>
        {
            Some((source(function), request.clone()))
        }
        _ => None,
    }
}

/// An answer with its status and its text, if one of them is missing, or they are turned round.
fn answer(word: &Ident, args: &[Expr], temporary: bool) -> Option<String> {
    let text = |arg: &Expr| match arg.tokens.as_slice() {
        [only] => text_of(only).map(|text| text.token.to_string()),
        _ => None,
    };
    let number = |arg: &Expr| source(&arg.tokens).parse::<u16>().ok();
    let usual = match (word == "redirect", temporary) {
        (true, true) => 307,
        (true, false) => 308,
        (false, _) => 200,
    };
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
    match tokens {
        [] => true,
        [dot, TokenTree::Ident(option), ..] => {
            let mut options = OPTIONS.iter().chain(&OF_CLUSTERS);
            is(dot, '.') && options.any(|known| option == known)
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
