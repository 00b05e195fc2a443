//! Where an expression of the user ends. What is inside is for rustc.

use proc_macro2::{Delimiter, Spacing, Span, TokenTree};

use super::{
    Parser,
    ast::{Expr, Text},
    cursor::Cursor,
    words::starts_line,
};

/// What ends an expression, besides the end of the group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A route's target or an element of a list: `,` or `with`.
    Comma,
    /// The right side of a statement: `;`.
    Semicolon,
    /// A guard: `=>`.
    Arrow,
}

impl Parser<'_> {
    /// An expression, or none if there is none; that is for the caller to report.
    pub(super) fn expr(c: &mut Cursor<'_>, stop: Stop) -> Option<Expr> {
        let mut tokens: Vec<TokenTree> = Vec::new();
        let mut lists = Lists::default();
        while let Some(token) = c.peek(0) {
            let operand_before = tokens.last().is_some_and(ends_operand);
            if is_end(c, stop, &lists, operand_before, tokens.is_empty()) {
                break;
            }
            lists.see(token, tokens.last());
            tokens.push(token.clone());
            c.bump();
        }
        (!tokens.is_empty()).then_some(Expr { tokens })
    }
}

/// The expressions of a list with commas; empty places are left out.
pub(crate) fn list(tokens: &[TokenTree], end: Span) -> Vec<Expr> {
    let mut c = Cursor::new(tokens, end);
    let mut exprs = Vec::new();
    while !c.is_end() {
        let left = c.rest().len();
        exprs.extend(Parser::expr(&mut c, Stop::Comma));
        if !c.eat_punct(',') && c.rest().len() == left {
            c.bump();
        }
    }
    exprs
}

/// What stands between the commas, as Rust cuts arguments; a comma at the end cuts nothing off.
pub(crate) fn arguments(tokens: &[TokenTree]) -> Vec<&[TokenTree]> {
    let mut all = Vec::new();
    let (mut start, mut lists) = (0, Lists::default());
    for (at, token) in tokens.iter().enumerate() {
        if character(token) == Some(',') && !lists.is_inside() {
            all.push(tokens.get(start..at).unwrap_or_default());
            (start, lists) = (at + 1, Lists::default());
        } else {
            lists.see(
                token,
                at.checked_sub(1).and_then(|before| tokens.get(before)),
            );
        }
    }
    if start < tokens.len() {
        all.push(tokens.get(start..).unwrap_or_default());
    }
    all
}

/// Where the first closure outside of all brackets begins, if there is one: at the bar before its parameters.
pub(crate) fn closure(tokens: &[TokenTree]) -> Option<usize> {
    let mut lists = Lists::default();
    tokens.iter().enumerate().find_map(|(at, token)| {
        lists.see(
            token,
            at.checked_sub(1).and_then(|before| tokens.get(before)),
        );
        lists.parameters.then_some(at)
    })
}

/// Lists without brackets, in which a `,` ends nothing: the parameters of types and of closures.
///
/// A `<` is the start of such a list where Rust reads a type or a path, and else it compares.
#[derive(Default)]
struct Lists {
    angles: usize,
    /// Whether the parameters of a closure are not at their end.
    parameters: bool,
    /// Whether a type is read: behind `as`, and behind the `->` of a closure.
    in_type: bool,
}

impl Lists {
    /// Takes the next token; `before` is the one that stands before it in the same group.
    fn see(&mut self, token: &TokenTree, before: Option<&TokenTree>) {
        let punct = match token {
            TokenTree::Ident(word) => {
                self.in_type |= *word == "as" && self.angles == 0;
                return;
            }
            TokenTree::Punct(punct) => punct.as_char(),
            TokenTree::Group(group) => {
                self.in_type &= group.delimiter() != Delimiter::Brace;
                return;
            }
            TokenTree::Literal(_) => return,
        };
        let operand = before.is_some_and(ends_operand);
        let is = |wanted| before.and_then(character) == Some(wanted);
        // The second half of `||` and of `<<`.
        let half = matches!(
            before,
            Some(TokenTree::Punct(first)) if first.as_char() == punct && first.spacing() == Spacing::Joint
        );
        match punct {
            '|' if self.parameters => {
                self.parameters = self.angles > 0;
                self.in_type = false;
            }
            '|' => self.parameters = !operand && !half,
            '<' if half && self.angles == 0 => {}
            '<' => {
                let of_lifetimes = matches!(before, Some(TokenTree::Ident(word)) if *word == "for");
                let starts = self.angles > 0 || self.in_type || self.parameters || is(':');
                self.angles += usize::from(starts || of_lifetimes || !operand);
            }
            '>' if is('-') => self.in_type = true,
            '>' if is('=') => {}
            '>' => {
                self.in_type &= self.angles > 0;
                self.angles = self.angles.saturating_sub(1);
            }
            // An operator behind a type ends it.
            _ if operand && self.angles == 0 && punct != ':' => self.in_type = false,
            _ => {}
        }
    }

    fn is_inside(&self) -> bool {
        self.parameters || self.angles > 0
    }
}

fn is_end(c: &Cursor<'_>, stop: Stop, lists: &Lists, operand_before: bool, first: bool) -> bool {
    if c.is_punct(0, ';') {
        return true;
    }
    if c.is_punct(0, ',') {
        return match stop {
            Stop::Comma => !lists.is_inside(),
            // A `,` in place of the `;`, or a guard without its target.
            Stop::Semicolon | Stop::Arrow => {
                let mut next = c.clone();
                next.bump();
                next.is_end() || starts_line(&next)
            }
        };
    }
    if c.is_arrow(0) && stop != Stop::Semicolon {
        return true;
    }
    if !operand_before && !first {
        return false;
    }
    // Behind an `if`, a text that is no path was meant as the guard; rustc says what a guard is.
    let path = |text: Text| text.value.starts_with('/');
    if stop == Stop::Arrow && first && c.is_string(0) && !c.text(0).is_some_and(path) {
        return false;
    }
    // A variable may be called so.
    let layers = c.group(1, proc_macro2::Delimiter::Bracket).is_some();
    let with = c.is_word(0, "with") && stop == Stop::Comma && (layers || !first);
    // Two operands side by side are never Rust, so a new line has begun.
    let arm = matches!(c.peek(0), Some(TokenTree::Literal(_))) && c.is_arrow(1);
    with || starts_line(c) || (!first && (c.is_string(0) || arm))
}

/// Whether a token can be the end of an operand, so that what follows has to be an operator.
pub(super) fn ends_operand(token: &TokenTree) -> bool {
    const PREFIXES: [&str; 21] = [
        "as", "async", "await", "box", "break", "const", "dyn", "else", "for", "if", "in", "let",
        "loop", "match", "move", "mut", "ref", "return", "static", "unsafe", "while",
    ];
    match token {
        TokenTree::Ident(ident) => {
            let word = ident.to_string();
            word == "await" || !PREFIXES.contains(&word.as_str())
        }
        TokenTree::Group(_) | TokenTree::Literal(_) => true,
        TokenTree::Punct(_) => false,
    }
}

fn character(token: &TokenTree) -> Option<char> {
    match token {
        TokenTree::Punct(punct) => Some(punct.as_char()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{cursor::tokens_of, source::source};

    #[test]
    fn arguments_are_cut_where_rust_cuts_them() {
        let cases: [(&str, &[&str]); 21] = [
            ("a, b", &["a", "b"]),
            ("a,", &["a"]),
            ("", &[]),
            ("make::<A, B>(x), y", &["make::<A, B>(x)", "y"]),
            ("|a, b| a + b, c", &["|a, b| a + b", "c"]),
            ("|a: A<B, C>, d| a, c", &["|a: A<B, C>, d| a", "c"]),
            (
                "async |r: Request| -> Result<String, E> { x }, y",
                &["async |r: Request| -> Result<String, E> { x }", "y"],
            ),
            (
                "|| -> A<B, C<D, E>> { x }, y",
                &["|| -> A<B, C<D, E>> { x }", "y"],
            ),
            ("a < b, c > d", &["a < b", "c > d"]),
            ("a << b, c >> d", &["a << b", "c >> d"]),
            ("x as A<B, C>, d", &["x as A<B, C>", "d"]),
            ("x as u8 + 1 < 2, 3 > y", &["x as u8 + 1 < 2", "3 > y"]),
            (
                "<A<B, C> as D<E, F>>::g(), h",
                &["<A<B, C> as D<E, F>>::g()", "h"],
            ),
            ("a || b, c || d", &["a || b", "c || d"]),
            ("|| |x, y| z, w", &["|| |x, y| z", "w"]),
            ("a | b, c", &["a | b", "c"]),
            (
                "|f: fn(A, B) -> C<D, E>, g| h, i",
                &["|f: fn(A, B) -> C<D, E>, g| h", "i"],
            ),
            (
                "for<'a, 'b> |x: &'a A, y: &'b B| x, z",
                &["for<'a, 'b> |x: &'a A, y: &'b B| x", "z"],
            ),
            ("|x: A| x < y, z > w", &["|x: A| x < y", "z > w"]),
            (
                "|f: fn(A) -> B| f < y, z > w",
                &["|f: fn(A) -> B| f < y", "z > w"],
            ),
            (
                "if a < b { c } else { d }, e",
                &["if a < b { c } else { d }", "e"],
            ),
        ];
        for (text, wanted) in cases {
            let tokens = tokens_of(text.parse().unwrap());
            let found: Vec<String> = arguments(&tokens).into_iter().map(source).collect();
            let wanted: Vec<String> = wanted
                .iter()
                .map(|text| source(&tokens_of(text.parse().unwrap())))
                .collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
