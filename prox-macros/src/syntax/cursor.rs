//! Walks over the tokens of one group.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use super::{ast::Text, words::is_keyword};

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

/// The tokens of a stream. What another macro put into a group without delimiters stands there by itself where that means the
/// same: `$vis`, `#[$meta]`, a type, and an expression that no operator beside it could take apart.
pub(crate) fn tokens_of(stream: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    if !tokens.iter().any(|token| undelimited(token).is_some()) {
        return tokens;
    }
    let mut flat = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(group) = undelimited(token) else {
            flat.push(token.clone());
            continue;
        };
        let inner = tokens_of(group.stream());
        let before = tokens.get(..at).unwrap_or_default();
        let alone = ends_place(before) && starts_place(tokens.get(at + 1));
        if inner.len() < 2 || alone || is_visibility(&inner) || is_operand(&inner) {
            flat.extend(inner);
        } else {
            flat.push(token.clone());
        }
    }
    flat
}

fn undelimited(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => Some(group),
        _ => None,
    }
}

/// Whether what follows these tokens is a whole expression, type or pattern, as far as they tell.
fn ends_place(before: &[TokenTree]) -> bool {
    match before.last() {
        None => true,
        Some(TokenTree::Punct(punct)) => {
            matches!(punct.as_char(), ',' | ';' | '=' | ':' | '<' | '>')
        }
        Some(TokenTree::Ident(word)) => ["if", "let", "as", "in"].iter().any(|w| word == w),
        Some(TokenTree::Group(_) | TokenTree::Literal(_)) => false,
    }
}

/// Whether a whole expression, type or pattern may stand before this token.
fn starts_place(after: Option<&TokenTree>) -> bool {
    match after {
        None => true,
        Some(TokenTree::Punct(punct)) => matches!(punct.as_char(), ',' | ';' | '=' | ':' | '>'),
        Some(TokenTree::Ident(word)) => word == "with" || word == "if",
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(TokenTree::Literal(_)) => false,
    }
}

fn is_visibility(tokens: &[TokenTree]) -> bool {
    matches!(tokens.first(), Some(TokenTree::Ident(word)) if *word == "pub")
}

/// Whether the tokens are names, calls and fields alone, which bind closer than any operator.
fn is_operand(tokens: &[TokenTree]) -> bool {
    let single = |pair: &[TokenTree]| {
        let word = |token: &TokenTree| matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        let dot = |token: &TokenTree| is_character(token, '.');
        match pair {
            [one, other] => !(word(one) && word(other) || dot(one) && dot(other)),
            _ => true,
        }
    };
    let plain = tokens.iter().all(|token| match token {
        TokenTree::Ident(word) => !is_keyword(word) || *word == "self" || *word == "await",
        TokenTree::Punct(punct) => matches!(punct.as_char(), '.' | ':' | '?'),
        TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
        TokenTree::Literal(_) => true,
    });
    plain && tokens.windows(2).all(single)
}

fn is_character(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::source::source;

    /// The tokens with each `$(..)` as a group without delimiters.
    fn made(text: &str) -> TokenStream {
        let mut out = Vec::new();
        let mut tokens = text.parse::<TokenStream>().unwrap().into_iter().peekable();
        while let Some(token) = tokens.next() {
            let dollar = is_character(&token, '$');
            match (token, tokens.peek().cloned()) {
                (_, Some(TokenTree::Group(group))) if dollar => {
                    tokens.next();
                    let inner = made(&group.stream().to_string());
                    out.push(TokenTree::Group(Group::new(Delimiter::None, inner)));
                }
                (TokenTree::Group(group), _) => {
                    let inner = made(&group.stream().to_string());
                    out.push(TokenTree::Group(Group::new(group.delimiter(), inner)));
                }
                (token, _) => out.push(token),
            }
        }
        out.into_iter().collect()
    }

    fn groups(tokens: &[TokenTree]) -> usize {
        let deeper = |token: &TokenTree| match token {
            TokenTree::Group(group) => {
                usize::from(group.delimiter() == Delimiter::None)
                    + groups(&tokens_of(group.stream()))
            }
            _ => 0,
        };
        tokens.iter().map(deeper).sum()
    }

    #[test]
    fn groups_without_delimiters_are_what_is_in_them() {
        for text in [
            "$() struct A;",
            "$(pub(crate)) struct A;",
            "#[$(allow(dead_code))] $(pub) struct A;",
            "env A: $(Vec<Endpoint>) = $([\"http://a\"]);",
            "\"/a\" => $(users.timeout(5s)) with [$(a::b), $(|x| x + 1)],",
            "\"/a\" if $(header(\"x\").is(\"1\")) => $(|| x),",
            "$(a.b(c)).d()",
            "f($(1 + 2), $(x as u8))",
            "$($(a))",
            "Vec<$(A<B>)>",
        ] {
            assert_eq!(groups(&tokens_of(made(text))), 0, "{text}");
        }
    }

    #[test]
    fn what_an_operator_would_take_apart_stays_together() {
        for text in [
            "$(1 + 2) * 3",
            "-$(a + b)",
            "$(a..b).len()",
            "$(a as b).c",
            "!$(a == b)",
        ] {
            let tokens = tokens_of(made(text));
            assert_eq!(groups(&tokens), 1, "{text}: {}", source(&tokens));
        }
    }
}
