//! Guards in the forms that are usual elsewhere: Rust's operators, and the methods of other routers.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::Expr,
    cursor::{text_of, tokens_of},
    expr::list,
    source::source,
    target::is,
    words::{KEYS, nearest},
};
use crate::diag::Place;

/// What a key of a request has.
const TESTS: [&str; 5] = ["is", "exists", "absent", "starts_with", "one_of"];
/// What the address of the client has.
const OF_ADDRESSES: [&str; 1] = ["within"];
/// What a whole guard has.
const JOINS: [&str; 3] = ["and", "or", "not"];

impl Parser<'_> {
    /// The guard as it was meant: with the methods of the language in place of Rust's operators.
    ///
    /// None for what no guard says, so that it is not known what the route takes.
    pub(super) fn guard_form(&mut self, expr: Expr) -> Option<Expr> {
        if self.is_wrong_guard(&expr.tokens) {
            return None;
        }
        if !starts(&expr.tokens) {
            return self.no_comparison(expr);
        }
        if let Some(tilde) = expr.tokens.iter().find(|token| is(token, '~')) {
            let key = source(expr.tokens.get(..2).unwrap_or_default());
            self.diag
                .error(tilde.span(), "unexpected `~` in a guard")
                .help(format!(
                    "write `{key}.starts_with(\"..\")`, or a closure: `|req: &prox::Parts| ..`"
                ));
            return None;
        }
        let expr = self.value_in_key(expr);
        if !self.only_known_tests(&expr.tokens) {
            return None;
        }
        let tokens = self.joined(&expr.tokens, "or");
        Some(Expr { tokens })
    }

    /// The guard with methods in place of `||`, then of `&&`, then of `!` and `==`.
    fn joined(&mut self, tokens: &[TokenTree], method: &'static str) -> Vec<TokenTree> {
        let operator = if method == "or" { '|' } else { '&' };
        let parts = split_at(tokens, operator);
        // What else is joined is for rustc.
        if !parts.iter().all(|part| starts(part)) {
            return tokens.to_vec();
        }
        let mut parts = parts.into_iter();
        let part = |parser: &mut Self, part: &[TokenTree]| match method {
            "or" => parser.joined(part, "and"),
            _ => parser.negated(part),
        };
        let Some(first) = parts.next() else {
            return tokens.to_vec();
        };
        let mut meant = part(self, first);
        for next in parts {
            let place = tokens
                .iter()
                .position(|token| std::ptr::eq(token, next.as_ptr()));
            let place = place.and_then(|place| tokens.get(place.checked_sub(2)?));
            let place =
                place.map_or_else(|| Place::of(tokens, Span::call_site()), |t| t.span().into());
            let second = part(self, next);
            self.diag
                .error(place, format!("guards are joined by `.{method}(..)`"))
                .help(format!(
                    "write `{}.{method}({})`",
                    source(&meant),
                    source(&second)
                ))
                .untyped();
            let second = Group::new(Delimiter::Parenthesis, second.into_iter().collect());
            let method = Ident::new(method, Span::mixed_site());
            meant.extend(quote_spanned!(Span::mixed_site()=> .#method #second));
        }
        meant
    }

    /// `!guard`, a guard in parentheses, or a comparison.
    fn negated(&mut self, tokens: &[TokenTree]) -> Vec<TokenTree> {
        match tokens {
            [not, guard @ ..] if is(not, '!') => {
                let mut meant = self.negated(guard);
                self.diag
                    .error(not.span(), "a guard is negated by `.not()`")
                    .help(format!("write `{}.not()`", source(&meant)))
                    .untyped();
                meant.extend(quote_spanned!(Span::mixed_site()=> .not()));
                meant
            }
            [TokenTree::Group(group), rest @ ..] => {
                let inner = self.joined(&tokens_of(group.stream()), "or");
                let mut copy = Group::new(group.delimiter(), inner.into_iter().collect());
                copy.set_span(group.span());
                let guard = std::iter::once(TokenTree::Group(copy));
                guard.chain(rest.iter().cloned()).collect()
            }
            tokens => self.comparison(tokens),
        }
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
            format!("a method comes before the path: `{method} \"/users\" => target,`")
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
            .error(place, "expected a guard, found a comparison")
            .help(help)
            .untyped();
        None
    }

    /// Whether the guard has only the methods of the language, each where it can be; the first other is reported.
    fn only_known_tests(&mut self, tokens: &[TokenTree]) -> bool {
        // What comes first, and what of it is still to be tested.
        let mut head = 0;
        for (place, token) in tokens.iter().enumerate() {
            let before = tokens.get(..place).unwrap_or_default();
            match token {
                TokenTree::Punct(sign) if matches!(sign.as_char(), '|' | '&' | '!' | '=') => {
                    head = place + 1;
                }
                TokenTree::Group(group) if place == head => {
                    let inner = tokens_of(group.stream());
                    if starts(&inner) && !self.only_known_tests(&inner) {
                        return false;
                    }
                }
                TokenTree::Ident(method) if before.last().is_some_and(|dot| is(dot, '.')) => {
                    let guard = before.get(head..place - 1).unwrap_or_default();
                    let Some(TokenTree::Group(group)) = tokens.get(place + 1) else {
                        return self.is_begun_test(guard, method);
                    };
                    let inner = tokens_of(group.stream());
                    if !self.is_known_test(guard, method, &inner) {
                        return false;
                    }
                    let joins = method == "and" || method == "or";
                    if joins && starts(&inner) && !self.only_known_tests(&inner) {
                        return false;
                    }
                }
                _ => {}
            }
        }
        true
    }

    /// Reports a method whose arguments are missing, as while it is typed; there is no test then.
    fn is_begun_test(&mut self, guard: &[TokenTree], method: &Ident) -> bool {
        let (key, address) = kind(guard);
        let known = known(key, address);
        let name = method.to_string();
        let begun = known.iter().find(|known| known.starts_with(&name));
        let (message, help) = match begun
            .copied()
            .or_else(|| nearest(&name, known.iter().copied()))
        {
            Some(meant) if meant == name => {
                let arguments = if ["exists", "absent", "not"].contains(&meant) {
                    "()"
                } else {
                    "(..)"
                };
                (
                    format!("expected `{arguments}` after `{name}`"),
                    format!("write `.{name}{arguments}`"),
                )
            }
            Some(meant) => (
                format!("unknown guard method `{name}`"),
                format!("write `.{meant}(..)`"),
            ),
            // An editor puts a name of its own where a name can be completed.
            None => return true,
        };
        let error = self.diag.error(method, message).help(help);
        // Of a name that is begun the type must be there, so that an editor completes it.
        if begun.is_none_or(|meant| *meant == name) {
            error.untyped();
        }
        false
    }

    /// Whether the method can follow these tokens of a guard; reports that it cannot.
    fn is_known_test(&mut self, guard: &[TokenTree], method: &Ident, inner: &[TokenTree]) -> bool {
        let (key, address) = kind(guard);
        let name = method.to_string();
        let known = known(key, address);
        if known.contains(&name.as_str()) {
            return true;
        }
        let shown = source(guard);
        let argument = source(inner);
        let help = match (key, address) {
            (false, _) => help_of_guard(&shown, &name, &argument),
            (true, true) => help_of_address(&name, &argument),
            (true, false) => help_of_key(&shown, &name, &argument),
        };
        let help = help.unwrap_or_else(|| match nearest(&name, known.iter().copied()) {
            Some(near) => format!("write `.{near}(..)`"),
            None => format!(
                "it has `.{}(..)`; for anything else write a closure: `|req: &prox::Parts| ..`",
                known.join("(..)`, `.")
            ),
        });
        let tests = TESTS.iter().chain(&OF_ADDRESSES);
        let message = if key && JOINS.contains(&name.as_str()) {
            format!("`{shown}` needs a test before `.{name}(..)`")
        } else if !key && tests.chain(&["within"]).any(|test| *test == name) {
            format!("`.{name}(..)` cannot follow a whole guard")
        } else {
            format!("unknown guard method `{name}`")
        };
        self.diag.error(method, message).help(help).untyped();
        false
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
                format!("`{key}` expects only a name; its value is tested by a method"),
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
                "unexpected `==` in a guard",
            )
            .help(help)
            .untyped();
        key.extend(quote_spanned!(Span::mixed_site()=> .#method(#(#value)*)));
        key
    }
}

/// Whether the tokens start with a word for guards, perhaps negated or in parentheses.
fn starts(tokens: &[TokenTree]) -> bool {
    match tokens {
        [TokenTree::Ident(word), ..] => KEYS.iter().any(|key| word == key),
        [TokenTree::Group(group), ..] => {
            group.delimiter() == Delimiter::Parenthesis && starts(&tokens_of(group.stream()))
        }
        [not, rest @ ..] => is(not, '!') && starts(rest),
        [] => false,
    }
}

/// Whether the tokens are a key alone, without a test, and whether they are about the address of the client.
fn kind(guard: &[TokenTree]) -> (bool, bool) {
    match guard {
        [TokenTree::Ident(word), TokenTree::Group(_)] => (true, word == "client_ip"),
        [TokenTree::Ident(word), ..] => (false, word == "client_ip"),
        _ => (false, false),
    }
}

/// The methods of such tokens.
fn known(key: bool, address: bool) -> &'static [&'static str] {
    match (key, address) {
        (false, _) => &JOINS,
        (true, true) => &OF_ADDRESSES,
        (true, false) => &TESTS,
    }
}

/// The methods that can follow these tokens of a guard, if they are known.
pub(super) fn methods_after(guard: &[TokenTree]) -> Option<&'static [&'static str]> {
    let after = guard.iter().rposition(
        |token| matches!(token, TokenTree::Punct(sign) if "|&!=".contains(sign.as_char())),
    );
    let guard = guard.get(after.map_or(0, |at| at + 1)..)?;
    starts(guard).then(|| {
        let (key, address) = kind(guard);
        known(key, address)
    })
}

/// What to write instead of a method that a key of a request does not have.
fn help_of_key(key: &str, name: &str, argument: &str) -> Option<String> {
    const CLOSURE: &str = "a closure: `|req: &prox::Parts| ..`";
    let none = argument.is_empty();
    Some(match name {
        "and" | "or" => format!("write `{key}.exists().{name}({argument})`"),
        "not" if none => format!("write `{key}.absent()`"),
        "missing" | "is_absent" | "is_missing" | "not_exists" | "is_none" | "not_present"
        | "is_not_present" | "not_found" | "lacks" | "does_not_exist" | "doesnt_exist" => {
            format!("write `{key}.absent()`")
        }
        "present" | "is_present" | "is_some" | "exist" | "any_value" | "is_set" | "is_there"
        | "any" => {
            format!("write `{key}.exists()`")
        }
        _ if none => return None,
        "in" | "is_in" | "any_of" | "is_any" | "is_any_of" | "oneof" | "is_one_of" | "among" => {
            format!("write `{key}.one_of([\"a\", \"b\"])`")
        }
        "not" | "is_not" | "ne" | "neq" | "not_eq" | "not_equals" | "isnt" => {
            format!("write `{key}.is({argument}).not()`")
        }
        "not_in" | "none_of" | "not_one_of" => format!("write `{key}.one_of({argument}).not()`"),
        "eq" | "equals" | "equal" | "exact" | "exactly" | "value" | "matches_exact"
        | "equal_to" => {
            format!("write `{key}.is({argument})`")
        }
        "prefix" | "begins_with" | "startsWith" | "starts" | "has_prefix" => {
            format!("write `{key}.starts_with({argument})`")
        }
        "contains" | "includes" | "has" | "ends_with" | "suffix" | "endsWith" => format!(
            "a guard compares whole values and prefixes: use `.is(..)`, `.one_of([..])`, `.starts_with(..)`, or {CLOSURE}"
        ),
        "matches" | "regex" | "regexp" | "matches_regex" | "is_match" | "pattern" | "glob"
        | "like" => format!(
            "regular expressions are not supported in guards: use `.is(..)`, `.one_of([..])`, `.starts_with(..)`, or {CLOSURE}"
        ),
        "eq_ignore_ascii_case" | "is_ignore_case" | "equals_ignore_case" => format!(
            "values are compared exactly: write `.one_of([..])` with each form, or {CLOSURE}"
        ),
        _ => return None,
    })
}

/// What to write instead of a method that the address of a client does not have.
fn help_of_address(name: &str, argument: &str) -> Option<String> {
    Some(match name {
        "and" | "or" | "not" | "exists" | "absent" => {
            String::from("write `client_ip().within(\"10.0.0.0/8\")`")
        }
        "not_in" | "is_not" | "not_within" | "outside" | "ne" => {
            format!("write `client_ip().within({argument}).not()`")
        }
        "one_of" | "any_of" | "in_any" | "within_any" => String::from(
            "write `client_ip().within(\"10.0.0.0/8\").or(client_ip().within(\"192.168.0.0/16\"))`",
        ),
        "in" | "is_in" | "contains" | "is" | "eq" | "equals" | "in_range" | "in_network"
        | "in_subnet" | "matches" | "from" | "cidr" | "net" | "starts_with" => {
            format!("write `client_ip().within({argument})`")
        }
        "is_loopback" => String::from(
            "write `client_ip().within(\"127.0.0.0/8\").or(client_ip().within(\"::1\"))`",
        ),
        _ => return None,
    })
}

/// What to write instead of a method that a whole guard does not have.
fn help_of_guard(guard: &str, name: &str, argument: &str) -> Option<String> {
    Some(match name {
        "or_else" | "any" | "or_if" | "either" | "union" | "bitor" => {
            format!("write `{guard}.or({argument})`")
        }
        "and_then" | "also" | "all" | "with" | "and_if" | "both" | "filter" | "bitand" => {
            format!("write `{guard}.and({argument})`")
        }
        "and_not" | "but_not" | "unless" | "except" => {
            format!("write `{guard}.and({argument}.not())`")
        }
        "or_not" => format!("write `{guard}.or({argument}.not())`"),
        "negate" | "negated" | "invert" | "inverted" | "inverse" | "is_false" | "reverse" => {
            format!("write `{guard}.not()`")
        }
        _ if TESTS.contains(&name) || OF_ADDRESSES.contains(&name) => {
            String::from("join another guard with `.and(..)` or `.or(..)`")
        }
        _ => return None,
    })
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
