//! Targets of several: `split { 95 => users, 5 => canary }`, and what may stand behind it.

use proc_macro2::{Delimiter, Span, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::{Arm, Expr, Split, Target, Weight},
    cursor::{Cursor, tokens_of},
    expr::Stop,
    marks::Mark,
    sound::Use,
    target::is,
};

const FORM: &str = "write `split { 95 => users, 5 => canary }`";

impl Parser<'_> {
    /// A split, with a report of what is missing or is no part of one; `stop` is where its target ends.
    pub(super) fn split(&mut self, c: &mut Cursor<'_>, stop: Stop) -> Split {
        let span = c.span();
        if let Some(word) = c.ident(0).filter(|word| *word != "split") {
            self.diag
                .error(
                    word,
                    format!("unknown word `{word}` before the arms of a split"),
                )
                .help("write `split`");
        } else if c.group(1, Delimiter::Brace).is_none() {
            self.diag
                .error(span, "expected braces around the arms of a split")
                .help(FORM);
        }
        c.bump();
        let mut arms = Vec::new();
        if let Some(TokenTree::Group(group)) = c.bump() {
            let tokens = tokens_of(group.stream());
            if tokens.is_empty() {
                self.diag
                    .error(span, "a split needs at least one arm")
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
        let options = self.split_options(c, stop);
        Split {
            span,
            arms,
            options,
        }
    }

    /// What stands behind the braces: `.sticky(cookie("variant"))`, if anything does.
    fn split_options(&mut self, c: &mut Cursor<'_>, stop: Stop) -> Option<Expr> {
        if !c.is_punct(0, '.') {
            return None;
        }
        let written = Self::expr(c, stop)?;
        let mut tokens = head();
        let length = tokens.len();
        tokens.extend(written.tokens);
        let whole = Expr { tokens };
        // An editor completes behind what stands for the split.
        self.mark(Mark::Expr(whole.clone()));
        let tokens = self.sound(whole, Use::Target)?.tokens.split_off(length);
        for part in tokens.chunks(3) {
            let name = match part {
                [_, TokenTree::Ident(name), TokenTree::Group(_)] if name == "sticky" => continue,
                [_, TokenTree::Ident(name), ..] => name,
                _ => return None,
            };
            let sticky = name == "sticky";
            let problem = if sticky {
                String::from("`sticky` expects a cookie")
            } else {
                format!("unknown option `{name}` of a split")
            };
            let error = self.diag.error(name, problem);
            if sticky || part.len() < 3 {
                error.help("write `split { .. }.sticky(cookie(\"variant\"))`");
            } else {
                error.help(format!("write `.{name}(..)` after each of its targets"));
            }
            return None;
        }
        (!tokens.is_empty()).then_some(Expr { tokens })
    }

    fn arm(&mut self, c: &mut Cursor<'_>) -> Option<Arm> {
        if c.is_punct(0, ',') || c.is_punct(0, ';') {
            self.separator(c);
            return None;
        }
        if let Some(arm) = self.arm_turned_round(c) {
            return Some(arm);
        }
        let weight = match c.peek(0) {
            Some(TokenTree::Literal(literal)) if !c.is_string(0) && c.is_arrow(1) => {
                Weight::Number(literal.clone())
            }
            Some(name @ TokenTree::Ident(_)) if c.is_arrow(1) => {
                let value = Expr {
                    tokens: vec![name.clone()],
                };
                self.mark(Mark::Expr(value.clone()));
                Weight::Value(value)
            }
            Some(TokenTree::Literal(literal)) if c.is_punct(1, '%') && c.is_arrow(2) => {
                let literal = literal.clone();
                c.bump();
                self.diag
                    .error(
                        c.span(),
                        "unexpected `%`: weights are relative to each other",
                    )
                    .help(format!("write `{literal} =>`"));
                Weight::Number(literal)
            }
            _ => {
                self.diag
                    .error(c.span(), "expected a weight and `=>`")
                    .help(FORM);
                while !c.is_end() && !c.eat_punct(',') {
                    c.bump();
                }
                return None;
            }
        };
        c.skip(3);
        let target = self.target(c, Stop::Comma)?;
        if !c.is_end() && !c.eat_punct(',') {
            let found = if c.is_punct(0, ';') {
                ", found `;`"
            } else {
                ""
            };
            let place = if found.is_empty() {
                c.span_before()
            } else {
                c.span()
            };
            self.diag
                .error(
                    place,
                    format!("expected `,` between the arms of a split{found}"),
                )
                .help(FORM);
        }
        Some(Arm { weight, target })
    }
}

impl Parser<'_> {
    /// `users: 90`, or `users => 90`.
    fn arm_turned_round(&mut self, c: &mut Cursor<'_>) -> Option<Arm> {
        let target = c.peek(0)?;
        let signs = if c.is_arrow(1) {
            2
        } else {
            usize::from(c.is_punct(1, ':') || c.is_punct(1, '='))
        };
        let Some(TokenTree::Literal(weight)) = c.peek(1 + signs) else {
            return None;
        };
        let percent = usize::from(c.is_punct(2 + signs, '%'));
        let behind = 2 + signs + percent;
        let ends = c
            .peek(behind)
            .is_none_or(|token| is(token, ',') || is(token, ';'));
        let named = c.ident(0).is_some() || c.is_string(0);
        if signs == 0 || !named || !ends || c.is_string(1 + signs) {
            return None;
        }
        self.diag
            .error(
                target.span(),
                "the weight of an arm must come before its target",
            )
            .help(format!("write `{weight} => {target}`"));
        let weight = Weight::Number(weight.clone());
        let target = match c.text(0) {
            Some(url) => Target::Url(url),
            None => Target::Expr(Expr {
                tokens: vec![target.clone()],
            }),
        };
        c.skip(behind);
        c.eat_punct(',');
        Some(Arm { weight, target })
    }
}

/// What stands for a split in the mirror.
fn head() -> Vec<TokenTree> {
    tokens_of(quote_spanned!(Span::mixed_site()=> __prox::shares()))
}

/// Whether what follows is a word and `{ 95 => target, .. }`, or the same in other brackets.
pub(super) fn is_shares(c: &Cursor<'_>) -> bool {
    let Some(TokenTree::Group(group)) = c.ident(0).and(c.peek(1)) else {
        return false;
    };
    let tokens = tokens_of(group.stream());
    let inner = Cursor::new(&tokens, group.span_close());
    matches!(inner.peek(0), Some(TokenTree::Literal(_))) && !inner.is_string(0) && inner.is_arrow(1)
}
