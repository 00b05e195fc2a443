//! The lines that are no routes: `struct`, `env`, `let`, `backend`, `host`, `on` and `expect`.

pub(crate) mod default;
mod env;
mod expect;
mod host;
mod named;
mod on;
mod setup;

use proc_macro2::{Group, Ident, Punct, Spacing, Span, TokenTree};

use super::{
    Parser,
    calls::plain,
    cursor::{Cursor, tokens_of},
    skip_line,
    source::source,
    words::{ITEMS, is_keyword, is_method, starts_line},
};
use crate::diag::Place;

impl Parser<'_> {
    /// Reports a name that rustc would not take as one.
    pub(super) fn refuses_keyword(&mut self, name: Option<&Ident>, form: &str) -> bool {
        let Some(keyword) = name.filter(|name| is_keyword(name)) else {
            return false;
        };
        self.diag
            .error(
                keyword.span(),
                format!("expected a name, found the keyword `{keyword}`"),
            )
            .help(format!("write `{form}`"));
        true
    }

    /// The name after the first word of a line; words of the language are none.
    pub(super) fn name(&mut self, c: &mut Cursor<'_>, form: &str) -> Option<Ident> {
        let word = c.span();
        c.bump();
        if self.refuses_keyword(c.ident(0), form) {
            skip_line(c);
            return None;
        }
        let declared = c.is_punct(1, '=') || c.is_punct(1, ':');
        let name = c.ident(0).filter(|ident| {
            let text = ident.to_string();
            let word = ITEMS.contains(&text.as_str()) || is_method(&text);
            // Behind a target it starts the layers.
            if declared && text == "with" {
                self.diag
                    .error(*ident, "expected a name, found the word `with`")
                    .help(format!("choose another name: `{form}`"));
            }
            declared || !word
        });
        let quoted = c.text(0).filter(|_| name.is_none());
        if let Some(text) = quoted.filter(|text| is_name(&text.value)) {
            let meant = ident(&text.value, text.span);
            self.diag
                .error(
                    text.span,
                    format!("unexpected quotes around the name `{}`", text.value),
                )
                .help(format!("write `{meant}`"));
            c.bump();
            return Some(meant);
        }
        if let Some(first) = name.filter(|_| c.is_punct(1, '-')) {
            return Some(self.dashed(c, first));
        }
        if name.is_some() {
            c.bump();
        } else {
            self.diag
                .error(word, "expected a name after this word")
                .help(format!("write `{form}`"));
            if !c.is_end() && !c.is_punct(0, ';') && !starts_line(c) {
                skip_line(c);
            }
        }
        name.cloned()
    }

    /// `users-api`, as many names are written elsewhere.
    fn dashed(&mut self, c: &mut Cursor<'_>, first: &Ident) -> Ident {
        // Raw names lose their `r#`, which may only be at the start.
        let text = |name: &Ident| plain(&name.to_string()).to_owned();
        let mut parts = vec![text(first)];
        let mut tokens = Vec::from(c.rest().get(..1).unwrap_or_default());
        c.bump();
        while c.is_punct(0, '-') && c.ident(1).is_some() {
            parts.extend(c.ident(1).map(text));
            tokens.extend(c.rest().iter().take(2).cloned());
            c.skip(2);
        }
        let meant = ident(&parts.join("_"), first.span());
        self.diag
            .error(
                Place::of(&tokens, first.span()),
                "`-` is not allowed in a name",
            )
            .help(format!("write `{meant}`"));
        meant
    }
}

/// A text as a name: a keyword gets the `r#` that makes it one, and the few that cannot have it an underscore.
fn ident(text: &str, span: Span) -> Ident {
    let name = Ident::new(text, span);
    match text {
        "self" | "Self" | "super" | "crate" | "_" => Ident::new(&format!("{text}_"), span),
        _ if is_keyword(&name) => Ident::new_raw(text, span),
        _ => name,
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}

impl Parser<'_> {
    /// A type as it was meant: with all its `>`, and without lifetimes that nothing declares.
    pub(super) fn sound_type(&mut self, mut ty: Vec<TokenTree>) -> Vec<TokenTree> {
        let is = |token: Option<&TokenTree>, sign| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
        let mut missing = 0_usize;
        for (place, token) in ty.iter().enumerate() {
            let arrow = place
                .checked_sub(1)
                .is_some_and(|before| is(ty.get(before), '-'));
            missing += usize::from(is(Some(token), '<'));
            if is(Some(token), '>') && !arrow {
                missing = missing.saturating_sub(1);
            }
        }
        if let Some(last) = ty.last().map(TokenTree::span).filter(|_| missing > 0) {
            let closed = format!("{}{}", source(&ty), ">".repeat(missing));
            self.diag
                .error(last, "expected `>` at the end of this type")
                .help(format!("write `{closed}`"));
            for _ in 0..missing {
                let mut end = Punct::new('>', Spacing::Alone);
                end.set_span(Span::mixed_site().located_at(last));
                ty.push(TokenTree::Punct(end));
            }
        }
        self.without_lifetimes(&ty)
    }

    fn without_lifetimes(&mut self, ty: &[TokenTree]) -> Vec<TokenTree> {
        let own = ty
            .iter()
            .any(|token| matches!(token, TokenTree::Ident(word) if word == "for"));
        let mut out = Vec::new();
        let mut behind_quote = false;
        for token in ty {
            let quote = matches!(token, TokenTree::Punct(punct) if punct.as_char() == '\'');
            out.push(match token {
                TokenTree::Ident(name)
                    if behind_quote && !own && name != "static" && name != "_" =>
                {
                    if !self.generic {
                        self.diag
                            .error(
                                name,
                                format!("unknown lifetime `'{name}`: a gateway is not generic"),
                            )
                            .help(
                                "write `'static`, or a type that owns its value, such as `String`",
                            );
                    }
                    self.generic = true;
                    TokenTree::Ident(Ident::new("static", name.span()))
                }
                TokenTree::Group(group) => {
                    let inner = self.without_lifetimes(&tokens_of(group.stream()));
                    let mut copy = Group::new(group.delimiter(), inner.into_iter().collect());
                    copy.set_span(group.span());
                    TokenTree::Group(copy)
                }
                token => token.clone(),
            });
            behind_quote = quote;
        }
        out
    }
}

/// Takes tokens until `ends`, which is not asked inside of angle brackets.
pub(super) fn type_until(c: &mut Cursor<'_>, ends: impl Fn(&Cursor<'_>) -> bool) -> Vec<TokenTree> {
    let mut tokens = Vec::new();
    let mut angles = 0_usize;
    while let Some(token) = c.peek(0) {
        if c.is_punct(0, ';') || (angles == 0 && ends(c)) {
            break;
        }
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => angles += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => {
                angles = angles.saturating_sub(1);
            }
            _ => {}
        }
        tokens.push(token.clone());
        c.bump();
    }
    tokens
}
