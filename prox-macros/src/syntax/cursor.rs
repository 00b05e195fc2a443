//! Walks over the tokens of one group.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use super::ast::Text;

/// The tokens of one group, looked at from the left. Asking never fails: behind the end there is nothing.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [TokenTree],
    previous: Option<&'a TokenTree>,
    end: Span,
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `tokens`; `end` is where a message about the end points.
    pub(crate) fn new(tokens: &'a [TokenTree], end: Span) -> Self {
        Self {
            rest: tokens,
            previous: None,
            end,
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [TokenTree] {
        self.rest
    }

    /// The token `ahead` of the next.
    pub(crate) fn peek(&self, ahead: usize) -> Option<&'a TokenTree> {
        self.rest.get(ahead)
    }

    pub(crate) fn previous(&self) -> Option<&'a TokenTree> {
        self.previous
    }

    /// Takes the next token.
    pub(crate) fn bump(&mut self) -> Option<&'a TokenTree> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.previous = Some(first);
        Some(first)
    }

    /// Takes `count` tokens.
    pub(crate) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }

    /// Where the next token is, or the end.
    pub(crate) fn span(&self) -> Span {
        self.rest.first().map_or(self.end, TokenTree::span)
    }

    /// Where the token before is, or else the next one: the place to say that something is missing.
    pub(crate) fn span_before(&self) -> Span {
        self.previous.map_or_else(|| self.span(), TokenTree::span)
    }

    pub(crate) fn ident(&self, ahead: usize) -> Option<&'a Ident> {
        match self.peek(ahead)? {
            TokenTree::Ident(ident) => Some(ident),
            _ => None,
        }
    }

    pub(crate) fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.ident(ahead).is_some_and(|ident| ident == word)
    }

    pub(crate) fn is_punct(&self, ahead: usize, character: char) -> bool {
        matches!(self.peek(ahead), Some(TokenTree::Punct(punct)) if punct.as_char() == character)
    }

    /// Whether `=>` stands there.
    pub(crate) fn is_arrow(&self, ahead: usize) -> bool {
        self.is_punct(ahead, '=') && self.is_punct(ahead + 1, '>')
    }

    pub(crate) fn group(&self, ahead: usize, delimiter: Delimiter) -> Option<&'a Group> {
        match self.peek(ahead)? {
            TokenTree::Group(group) if group.delimiter() == delimiter => Some(group),
            _ => None,
        }
    }

    pub(crate) fn is_string(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(is_string)
    }

    pub(crate) fn text(&self, ahead: usize) -> Option<Text> {
        text_of(self.peek(ahead)?)
    }

    /// Takes the character if it stands next.
    pub(crate) fn eat_punct(&mut self, character: char) -> bool {
        let found = self.is_punct(0, character);
        if found {
            self.bump();
        }
        found
    }
}

/// The tokens of a stream; a group without delimiters around one token, which another macro made, is that token.
pub(crate) fn tokens_of(stream: TokenStream) -> Vec<TokenTree> {
    stream
        .into_iter()
        .map(|token| match &token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                let mut inner = group.stream().into_iter();
                match (inner.next(), inner.next()) {
                    (Some(only), None) => only,
                    _ => token,
                }
            }
            _ => token,
        })
        .collect()
}

/// Whether a token is a string literal, without a look at its value.
pub(crate) fn is_string(token: &TokenTree) -> bool {
    match token {
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            text.starts_with('"') || text.starts_with("r\"") || text.starts_with("r#")
        }
        _ => false,
    }
}

/// A string literal and its value.
pub(crate) fn text_of(token: &TokenTree) -> Option<Text> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    if !is_string(token) {
        return None;
    }
    match syn::Lit::new(literal.clone()) {
        syn::Lit::Str(text) => Some(Text {
            value: text.value(),
            span: literal.span(),
            token: literal.clone(),
        }),
        _ => None,
    }
}
