//! Expressions that end where more has to follow, as they do while somebody types them: `users.`, `f(a +)`.
//!
//! rustc would give up the whole expansion at such a place, and point to a token that is not in the source.

use proc_macro2::{Delimiter, TokenTree};

use super::{
    Parser,
    ast::Expr,
    cursor::tokens_of,
    guard_form::methods_after,
    sound::Use,
    target::is,
    words::{OF_CLUSTERS, OPTIONS},
};

impl Parser<'_> {
    /// The expression up to where it is finished, if anything is; where it is not is reported.
    pub(super) fn finished(&mut self, mut expr: Expr, what: Use) -> Option<Expr> {
        if let Some(at) = inside(&expr.tokens) {
            self.report_unfinished(&at, None);
            return None;
        }
        let mut said = false;
        while let Some(last) = expr.tokens.last()
            && (is_unfinished(&expr.tokens) || said && is(last, ':'))
        {
            if !said {
                let shown = shown(&expr.tokens);
                let names = names_after(&expr.tokens, what);
                self.report_unfinished(&(last.clone(), shown), names);
                said = true;
            }
            expr.tokens.pop();
        }
        (!expr.tokens.is_empty()).then_some(expr)
    }

    fn report_unfinished(&mut self, (token, shown): &(TokenTree, String), names: Option<String>) {
        let message = match shown.as_str() {
            "." | "::" => format!("expected a name after `{shown}`"),
            "|" => String::from("expected the body of the closure after `|`"),
            _ => format!("expected a value after `{shown}`"),
        };
        self.diag
            .error(token.span(), message)
            .help(names.unwrap_or_else(|| format!("write it, or remove `{shown}`")));
    }
}

/// What can follow the `.` at the end, if it is known.
fn names_after(tokens: &[TokenTree], what: Use) -> Option<String> {
    let (dot, before) = tokens.split_last()?;
    if !is(dot, '.') {
        return None;
    }
    let calls = |names: &[&str]| format!("write one of `{}`", names.join("`, `"));
    match (what, before) {
        (Use::Guard, _) => methods_after(before).map(calls),
        (Use::Target | Use::Backend, [TokenTree::Ident(word), TokenTree::Group(_), ..])
            if word == "cluster" =>
        {
            let all: Vec<&str> = OPTIONS.iter().chain(&OF_CLUSTERS).copied().collect();
            Some(calls(&all))
        }
        (Use::Target | Use::Backend, [TokenTree::Ident(_)]) => Some(calls(&OPTIONS)),
        _ => None,
    }
}

/// The first place in brackets, however deep, where something is missing. Macros, attributes and blocks have rules of their own.
fn inside(tokens: &[TokenTree]) -> Option<(TokenTree, String)> {
    tokens.iter().enumerate().find_map(|(place, token)| {
        let TokenTree::Group(group) = token else {
            return None;
        };
        let sign = place.checked_sub(1).and_then(|before| tokens.get(before));
        let other = sign.is_some_and(|sign| is(sign, '!') || is(sign, '#'));
        if other
            || !matches!(
                group.delimiter(),
                Delimiter::Parenthesis | Delimiter::Bracket
            )
        {
            return None;
        }
        let is_called = matches!(sign, Some(TokenTree::Ident(_)))
            && matches!(
                place.checked_sub(2).and_then(|at| tokens.get(at)),
                Some(TokenTree::Punct(_))
            );
        let inner = tokens_of(group.stream());
        let mut start = 0;
        let ends = inner.iter().enumerate().filter(|(_, token)| is(token, ','));
        for end in ends.map(|(at, _)| at).chain([inner.len()]) {
            let part = inner.get(start..end).unwrap_or_default();
            // Between the bars of a closure.
            let bars = part.iter().filter(|token| is(token, '|')).count();
            if bars % 2 == 1 && end < inner.len() {
                continue;
            }
            // The table of literals speaks of a `5%`.
            let percent = is_percent(part) && is_called;
            let ends_type = part.last().is_some_and(|last| is(last, '>'))
                && inner.iter().any(|token| is(token, '<'));
            let whole = percent || ends_type || !is_unfinished(part);
            if let Some(last) = part.last().filter(|_| !whole) {
                return Some((last.clone(), self::shown(part)));
            }
            start = end + 1;
        }
        inside(&inner)
    })
}

/// Whether the tokens are a percentage as it is written elsewhere.
fn is_percent(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Literal(_), sign] if is(sign, '%'))
}

/// Whether an operator or a word at the end waits for more.
pub(crate) fn is_unfinished(tokens: &[TokenTree]) -> bool {
    const WORDS: [&str; 12] = [
        "as", "async", "const", "dyn", "else", "if", "in", "let", "match", "move", "mut", "ref",
    ];
    let character = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => Some(punct.as_char()),
        _ => None,
    };
    match tokens {
        [TokenTree::Punct(bar)] if bar.as_char() == '|' => true,
        [.., before, last] if character(last) == Some('.') => character(before) != Some('.'),
        // The second bar of a closure, or an operator.
        [.., last] if character(last) == Some('|') => true,
        // The end of a type.
        [.., last] if character(last) == Some('>') => {
            tokens.iter().filter(|token| is(token, '<')).count() == 0
        }
        // What is no operator is reported elsewhere.
        [before @ .., last] if character(last) == Some(':') => {
            before.last().is_some_and(|before| is(before, ':'))
        }
        [.., TokenTree::Punct(last)] => !"?~$#@".contains(last.as_char()),
        [.., before, TokenTree::Ident(word)] if !is(before, '.') => {
            WORDS.iter().any(|unfinished| word == unfinished)
        }
        _ => false,
    }
}

/// The operator or the word at the end.
fn shown(tokens: &[TokenTree]) -> String {
    match tokens {
        [.., first, second] if is(first, ':') && is(second, ':') => String::from("::"),
        [.., last] => last.to_string(),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<TokenTree> {
        tokens_of(text.parse().unwrap())
    }

    #[test]
    fn what_waits_for_more_is_seen_at_its_end_and_in_brackets() {
        for text in [
            "users.",
            "a +",
            "m::",
            "|x|",
            "move |x, y|",
            "a &&",
            "x as",
            "!",
            "&mut",
            "f =",
            "a ..=",
            "x -",
            "async move",
        ] {
            assert!(is_unfinished(&tokens(text)), "{text}");
        }
        for text in [
            "f(a.)",
            "f(a, b +, c)",
            "[a, m::]",
            "f(|x|)",
            "f(g(h.))",
            "x.y(5s.)",
            "cluster(rr, [a.])",
        ] {
            assert!(inside(&tokens(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_whole_is_left_alone() {
        for text in [
            "users",
            "a..",
            "f?",
            "x.await",
            "|| x",
            "|a, b| x",
            "f::<A, B>",
            "a.r#as",
            "5.",
            "Vec::<u8>::new",
            "x.0",
            "return",
            "..",
            "Box::<dyn Fn() -> u8>",
            "_",
        ] {
            assert!(!is_unfinished(&tokens(text)), "{text}");
        }
        for text in [
            "f(|a, b| x)",
            "f(a..)",
            "matches!(x, A |)",
            "f(|a: A, b| c, d)",
            "f()",
            "f(,)",
            "x[..]",
            "f({ a. })",
            "f(|| x, |y| z)",
            "f(a || b, c)",
            "f(x?)",
            "f::<A<B>>(c)",
            "f(_)",
            "f(a, )",
            "|| -> Vec<(u8, A<u8, (u8, u8)>)> { x }",
            "x.m(a, 5%)",
        ] {
            assert!(inside(&tokens(text)).is_none(), "{text}");
        }
    }
}
