//! Where an expression of the user ends. What is inside is for rustc.

use proc_macro2::{Span, TokenTree};

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
            if let TokenTree::Punct(punct) = token {
                let before = tokens.last().and_then(character);
                lists.see(punct.as_char(), before, operand_before);
            }
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

/// Lists without brackets, in which a `,` ends nothing: `::<A, B>` and `|a, b|`.
#[derive(Default)]
struct Lists {
    angles: usize,
    closure: bool,
}

impl Lists {
    fn see(&mut self, character: char, before: Option<char>, operand_before: bool) {
        match character {
            '|' if self.closure => self.closure = false,
            '|' => self.closure = !operand_before && before != Some('|'),
            '<' if self.angles > 0 || before == Some(':') => self.angles += 1,
            '>' if before != Some('-') && before != Some('=') => {
                self.angles = self.angles.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn is_inside(&self) -> bool {
        self.closure || self.angles > 0
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
    const PREFIXES: [&str; 19] = [
        "as", "async", "await", "box", "break", "const", "dyn", "else", "if", "in", "let", "loop",
        "match", "move", "mut", "ref", "return", "unsafe", "while",
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
