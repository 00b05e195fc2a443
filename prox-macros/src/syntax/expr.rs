//! Where an expression of the user ends. What is inside is for rustc.

use proc_macro2::{Delimiter, Span, TokenTree};

use super::{
    Parser,
    ast::{Arm, Expr, Split, Target, Text},
    cursor::{Cursor, text_of, tokens_of},
    marks::{Mark, Slot},
    words::starts_line,
};
use crate::diag::Place;

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

/// Where a guard begins that was written behind the target: an `if` that follows a whole operand is no Rust.
fn late_guard(expr: &Expr) -> Option<usize> {
    expr.tokens
        .windows(2)
        .position(|pair| match pair {
            [before, TokenTree::Ident(word)] => *word == "if" && ends_operand(before),
            _ => false,
        })
        .map(|at| at + 1)
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

    /// A target, with a report if it is missing.
    pub(super) fn target(&mut self, c: &mut Cursor<'_>, stop: Stop) -> Option<Target> {
        let place = c.span_before();
        if c.is_word(0, "split") && c.group(1, Delimiter::Brace).is_some() || is_shares(c) {
            self.mark_word(Slot::Target, c);
            return Some(Target::Split(self.split(c)));
        }
        let Some(mut expr) = Self::expr(c, stop) else {
            self.diag.error(place, "the target is missing").help(
                "write a URL in quotes, a backend, `cluster(..)`, `handler(..)`, `service(..)`, `redirect(..)` or \
                 `respond(..)`",
            );
            self.mark_value(Slot::Target, None);
            return None;
        };
        if let Some(at) = late_guard(&expr) {
            if let Some(word) = expr.tokens.get(at) {
                self.diag
                    .error(word.span(), "a guard stands before `=>`, behind the path")
                    .help("write `\"/path\" if header(\"x-beta\").is(\"1\") => users`");
            }
            let tokens: Vec<TokenTree> = expr.tokens.split_off(at).into_iter().skip(1).collect();
            self.late_guard = (!tokens.is_empty()).then_some(Expr { tokens });
        }
        let url = match expr.tokens.as_slice() {
            [only] => text_of(only),
            _ => None,
        };
        if url.is_none() {
            self.mark_value(Slot::Target, Some(&expr));
        }
        Some(url.map_or(Target::Expr(expr), Target::Url))
    }

    fn split(&mut self, c: &mut Cursor<'_>) -> Split {
        const FORM: &str = "write `split { 95 => users, 5 => canary }`";
        let span = c.span();
        if let Some(word) = c.ident(0).filter(|word| *word != "split") {
            self.diag
                .error(
                    word,
                    format!("unknown word `{word}` before the shares of targets"),
                )
                .help("write `split`");
        } else if c.group(1, Delimiter::Brace).is_none() {
            self.diag
                .error(span, "the arms of a split stand in braces")
                .help(FORM);
        }
        c.bump();
        let mut arms = Vec::new();
        if let Some(TokenTree::Group(group)) = c.bump() {
            let tokens = tokens_of(group.stream());
            if tokens.is_empty() {
                self.diag
                    .error(span, "a split without arms can answer nothing")
                    .help(FORM);
            }
            let mut inner = Cursor::new(&tokens, group.span_close());
            while !inner.is_end() {
                let left = inner.rest().len();
                arms.extend(self.arm(&mut inner));
                if inner.rest().len() == left {
                    inner.bump();
                }
            }
        }
        Split { span, arms }
    }

    fn arm(&mut self, c: &mut Cursor<'_>) -> Option<Arm> {
        if c.eat_punct(',') {
            return None;
        }
        let weight = match c.peek(0) {
            Some(TokenTree::Literal(literal)) if !c.is_string(0) && c.is_arrow(1) => {
                literal.clone()
            }
            _ => {
                self.diag
                    .error(c.span(), "expected a weight and `=>`")
                    .help("write `split { 95 => users, 5 => canary }`");
                while !c.is_end() && !c.eat_punct(',') {
                    c.bump();
                }
                return None;
            }
        };
        c.skip(3);
        let target = self.target(c, Stop::Comma)?;
        if !c.is_end() && !c.eat_punct(',') {
            self.diag
                .error(c.span_before(), "expected `,` between the arms of a split")
                .help("put a `,` behind this target");
        }
        Some(Arm { weight, target })
    }

    /// `with [..]`, from the word on.
    pub(super) fn with(&mut self, c: &mut Cursor<'_>) -> Vec<Expr> {
        let word = c.span();
        c.bump();
        if let Some(group) = c.group(0, Delimiter::Bracket) {
            c.bump();
            let layers = list(&tokens_of(group.stream()), group.span_close());
            for layer in &layers {
                self.mark(Mark::Expr(layer.clone()));
            }
            return layers;
        }
        let mut tokens = Vec::new();
        while let Some(token) = c.peek(0) {
            let ends = c.is_punct(0, ';')
                || c.is_punct(0, ',')
                || c.is_arrow(0)
                || c.group(0, Delimiter::Brace).is_some()
                || starts_line(c);
            if ends {
                break;
            }
            tokens.push(token.clone());
            c.bump();
        }
        let error = self.diag.error(
            Place::of(&tokens, word),
            "expected a list of layers in `[..]` after `with`",
        );
        match tokens.as_slice() {
            [] => error.help("write `with [auth, RateLimit::per_second(100)]`"),
            tokens => error.help(format!(
                "write `with [{}]`",
                crate::expand::text::source(tokens)
            )),
        };
        if tokens.is_empty() {
            Vec::new()
        } else {
            let layer = Expr { tokens };
            self.mark(Mark::Expr(layer.clone()));
            vec![layer]
        }
    }
}

/// Whether what follows is a word and `{ 95 => target, .. }`, or the same in other brackets.
fn is_shares(c: &Cursor<'_>) -> bool {
    let Some(TokenTree::Group(group)) = c.ident(0).and(c.peek(1)) else {
        return false;
    };
    let tokens = tokens_of(group.stream());
    let inner = Cursor::new(&tokens, group.span_close());
    matches!(inner.peek(0), Some(TokenTree::Literal(_))) && !inner.is_string(0) && inner.is_arrow(1)
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
    let with = c.is_word(0, "with") && stop == Stop::Comma;
    // Two operands side by side are never Rust, so a new line has begun.
    with || starts_line(c) || (!first && c.is_string(0))
}

/// Whether a token can be the end of an operand, so that what follows has to be an operator.
fn ends_operand(token: &TokenTree) -> bool {
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
