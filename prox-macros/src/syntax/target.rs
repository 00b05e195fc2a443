//! Targets: what stands behind `=>`, or behind the `=` of a backend.

use proc_macro2::{Delimiter, Literal, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::{
    Parser,
    ast::{Expr, Target, Text},
    cursor::{Cursor, text_of, tokens_of},
    expr::{Stop, ends_operand, list},
    marks,
    methods::quoted,
    sound::Use,
    split::is_shares,
    words::{nearest, starts_line},
};
use crate::vocab::{self, Slot};

impl Parser<'_> {
    /// A target, with a report if it is missing.
    pub(super) fn target(&mut self, c: &mut Cursor<'_>, stop: Stop) -> Option<Target> {
        let place = c.span_before();
        if c.is_word(0, "split") && c.group(1, Delimiter::Brace).is_some() || is_shares(c) {
            self.mark_word(marks::Slot::Target, c);
            return Some(Target::Split(self.split(c, stop)));
        }
        if let Some(scheme) = commented(c) {
            self.diag
                .error(c.span(), "expected a URL in quotes")
                .note("without quotes, `//` starts a comment")
                .help(format!("write `\"{scheme}://127.0.0.1:8080\"`"));
            c.skip(2);
            self.commented = true;
            self.mark_value(marks::Slot::Target, None);
            return None;
        }
        let Some(mut expr) = Self::expr(c, stop) else {
            if !self.is_cut_off(c) {
                self.diag.error(place, "expected a target after `=>`").help(
                    "write a URL in quotes, a backend, `cluster(..)`, `handler(..)`, `service(..)`, `redirect(..)` or \
                     `respond(..)`",
                );
            }
            self.mark_value(marks::Slot::Target, None);
            return None;
        };
        if let Some(at) = late_guard(&expr) {
            if let Some(word) = expr.tokens.get(at) {
                self.diag
                    .error(word.span(), "a guard must come after the path, before `=>`")
                    .help("write `\"/path\" if header(\"x-beta\").is(\"1\") => users`");
            }
            let tokens: Vec<TokenTree> = expr.tokens.split_off(at).into_iter().skip(1).collect();
            self.late_guard = (!tokens.is_empty()).then_some(Expr { tokens });
        }
        self.late_layers(&mut expr);
        let url = match expr.tokens.as_slice() {
            [only] => text_of(only),
            _ => None,
        };
        if let (Some(status), Some(location)) = (status_alone(&expr), c.text(0))
            && location.value.starts_with('/')
            && !starts_line(c)
        {
            self.diag
                .error(
                    status.span(),
                    format!("expected a target, found `{status}`"),
                )
                .help(format!("write `redirect({status}, {})`", location.token));
            c.bump();
            return None;
        }
        let Some(url) = url else {
            self.mark_value(marks::Slot::Target, Some(&expr));
            let expr = self.target_form(expr)?;
            let what = match stop {
                Stop::Semicolon => Use::Backend,
                Stop::Comma | Stop::Arrow => Use::Target,
            };
            return self.sound(expr, what).map(Target::Expr);
        };
        Some(self.several(c, url))
    }

    /// Takes layers off that stand behind a target without the right word before them.
    fn late_layers(&mut self, expr: &mut Expr) {
        let at = expr.tokens.windows(3).position(|part| match part {
            [before, TokenTree::Ident(word), TokenTree::Group(list)] => {
                ends_operand(before)
                    && list.delimiter() == Delimiter::Bracket
                    && is_like_with(&word.to_string())
            }
            _ => false,
        });
        let Some(at) = at else { return };
        let rest = expr.tokens.split_off(at + 1);
        if let [TokenTree::Ident(word), TokenTree::Group(group), ..] = rest.as_slice() {
            self.diag
                .error(word, format!("unknown word `{word}` after a target"))
                .help("write `with`");
            let layers = list(&tokens_of(group.stream()), group.span_close());
            let layers = self.layers(layers);
            self.late_layers.extend(layers);
        }
    }

    /// More URLs behind the first.
    fn several(&mut self, c: &mut Cursor<'_>, first: Text) -> Target {
        let mut urls = vec![TokenTree::Literal(first.token.clone())];
        let mut second = None;
        while let Some(text) = c.text(1).filter(|_| c.is_punct(0, ',') && is_url_alone(c)) {
            second = second.or(Some(text.span));
            urls.push(TokenTree::Literal(text.token));
            c.skip(2);
        }
        let Some(second) = second else {
            return Target::Url(first);
        };
        let shown: Vec<String> = urls.iter().map(ToString::to_string).collect();
        let list = shown.join(", ");
        self.diag
            .error(
                second,
                "unexpected second URL: several endpoints are a cluster",
            )
            .help(format!("write `cluster(rr, [{list}])`"));
        let urls = urls.iter();
        Target::Expr(cluster(&quote_spanned!(Span::mixed_site()=> [#(#urls),*])))
    }
}

/// Whether `with` was meant by the word.
fn is_like_with(word: &str) -> bool {
    let elsewhere = vocab::find(Slot::Item, "with").map_or(&[][..], |with| with.elsewhere);
    nearest(word, ["with"]).is_some() || elsewhere.contains(&word) || word == "use"
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

/// `301`, before a location.
fn status_alone(expr: &Expr) -> Option<&Literal> {
    match expr.tokens.as_slice() {
        [TokenTree::Literal(status)] => {
            let number = status.to_string().parse();
            Some(status).filter(|_| matches!(number, Ok(300..=399_u16)))
        }
        _ => None,
    }
}

/// A URL that no quotes keep from being a comment.
fn commented(c: &Cursor<'_>) -> Option<&'static str> {
    let scheme = ["http", "https"]
        .into_iter()
        .find(|scheme| c.is_word(0, scheme))?;
    (c.is_punct(1, ':') && !c.is_punct(2, ':')).then_some(scheme)
}

/// Whether behind the next token stands a text that starts no line.
fn is_url_alone(c: &Cursor<'_>) -> bool {
    let mut next = c.clone();
    next.bump();
    let path = next.text(0).is_none_or(|text| text.value.starts_with('/'));
    let ends = next
        .peek(1)
        .is_none_or(|token| is(token, ',') || is(token, ';'));
    !path && quoted(&next).is_none() && (ends || starts_line_behind(&next))
}

fn starts_line_behind(c: &Cursor<'_>) -> bool {
    let mut next = c.clone();
    next.bump();
    starts_line(&next)
}

pub(super) fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// `cluster(rr, list)`, for what was most likely meant.
pub(super) fn cluster(list: &TokenStream) -> Expr {
    let tokens = quote_spanned!(Span::mixed_site()=> cluster(rr, #list));
    Expr {
        tokens: tokens.into_iter().collect(),
    }
}
