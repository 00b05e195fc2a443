//! Rust's text as a flat list of tokens with their places, as far as names and brackets need it.

use std::borrow::Cow;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token; brackets are tokens of their own.
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: Cow<'a, str>,
    /// The byte where it starts.
    pub(super) at: usize,
    /// Of a bracket, the place of the other one in the list; the end of the list if there is none.
    pub(super) mate: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ident,
    Punct(u8),
    Open(u8),
    Close(u8),
    Literal,
    Lifetime,
}

impl Token<'_> {
    pub(super) fn is(&self, character: u8) -> bool {
        self.kind == Kind::Punct(character)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Ident && self.text == word
    }

    pub(super) fn is_open(&self, bracket: u8) -> bool {
        self.kind == Kind::Open(bracket)
    }
}

/// The tokens of a source file.
pub(super) fn of_text(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (kind, end) = match byte {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if matches!(bytes.get(at + 1), Some(b'/' | b'*')) => {
                at = comment(bytes, at);
                continue;
            }
            b'"' => (Kind::Literal, string(bytes, at + 1)),
            b'\'' => quote(bytes, at),
            b'0'..=b'9' => (Kind::Literal, word(bytes, at)),
            b'(' | b'[' | b'{' => (Kind::Open(*byte), at + 1),
            b')' | b']' | b'}' => (Kind::Close(*byte), at + 1),
            byte if is_part(*byte) => {
                let end = word(bytes, at);
                match prefixed(bytes, at, end) {
                    Some(end) => (Kind::Literal, end),
                    // The `r#` of a name is no part of it.
                    None if bytes.get(at..end) == Some(b"r") && bytes.get(end) == Some(&b'#') => {
                        at = end + 1;
                        (Kind::Ident, word(bytes, at))
                    }
                    None => (Kind::Ident, end),
                }
            }
            byte => (Kind::Punct(*byte), at + 1),
        };
        // A step at least, and never into a character.
        let mut end = end.clamp(at + 1, text.len().max(at + 1));
        while !text.is_char_boundary(end) && end < text.len() {
            end += 1;
        }
        tokens.push(Token {
            kind,
            text: Cow::Borrowed(text.get(at..end).unwrap_or_default()),
            at,
            mate: 0,
        });
        at = end;
    }
    pair(&mut tokens);
    tokens
}

/// The tokens of an expression, flat; their places are their numbers.
pub(super) fn of_stream(stream: TokenStream) -> Vec<Token<'static>> {
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    pair(&mut tokens);
    tokens
}

fn flatten(stream: TokenStream, out: &mut Vec<Token<'static>>) {
    let push = |out: &mut Vec<Token<'static>>, kind, text: String| {
        out.push(Token {
            kind,
            text: Cow::Owned(text),
            at: out.len(),
            mate: 0,
        });
    };
    for token in stream {
        match token {
            TokenTree::Group(group) => {
                let brackets = match group.delimiter() {
                    Delimiter::Parenthesis => Some((b'(', b')')),
                    Delimiter::Bracket => Some((b'[', b']')),
                    Delimiter::Brace => Some((b'{', b'}')),
                    Delimiter::None => None,
                };
                if let Some((open, _)) = brackets {
                    push(out, Kind::Open(open), String::new());
                }
                flatten(group.stream(), out);
                if let Some((_, close)) = brackets {
                    push(out, Kind::Close(close), String::new());
                }
            }
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                let text = text.strip_prefix("r#").map(str::to_owned).unwrap_or(text);
                push(out, Kind::Ident, text);
            }
            TokenTree::Punct(punct) => {
                let byte = u8::try_from(punct.as_char()).unwrap_or(b'?');
                push(out, Kind::Punct(byte), String::new());
            }
            TokenTree::Literal(literal) => push(out, Kind::Literal, literal.to_string()),
        }
    }
}

/// Notes at each bracket where the other one is.
fn pair(tokens: &mut [Token<'_>]) {
    let mut open: Vec<usize> = Vec::new();
    let end = tokens.len();
    for place in 0..end {
        match tokens[place].kind {
            Kind::Open(_) => {
                tokens[place].mate = end;
                open.push(place);
            }
            Kind::Close(_) => {
                let start = open.pop().unwrap_or(end);
                tokens[place].mate = start;
                if let Some(start) = tokens.get_mut(start) {
                    start.mate = place;
                }
            }
            _ => {}
        }
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The end of a word or a number.
fn word(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| is_part(**byte)).count()
}

/// The end of a comment, to which another may belong.
fn comment(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.starts_with(b"//") {
        let line = rest.iter().position(|byte| *byte == b'\n');
        return line.map_or(bytes.len(), |line| at + line);
    }
    let (mut depth, mut at) = (0_usize, at);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// The end of a text, from behind its first quote.
fn string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// A character, or a lifetime.
fn quote(bytes: &[u8], at: usize) -> (Kind, usize) {
    match bytes.get(at + 1) {
        Some(b'\\') => {
            // What is escaped may be a quote.
            let mut end = at + 3;
            while bytes
                .get(end)
                .is_some_and(|byte| !matches!(byte, b'\'' | b'\n'))
            {
                end += 1;
            }
            (Kind::Literal, end + 1)
        }
        Some(byte) if is_part(*byte) => {
            let end = word(bytes, at + 1);
            if bytes.get(end) == Some(&b'\'') {
                (Kind::Literal, end + 1)
            } else {
                (Kind::Lifetime, end)
            }
        }
        _ if bytes.get(at + 2) == Some(&b'\'') => (Kind::Literal, at + 3),
        _ => (Kind::Punct(b'\''), at + 1),
    }
}

/// The end of a literal that starts with this word: `r"..`, `br#"..`, `b'x'`, `c"..`.
fn prefixed(bytes: &[u8], at: usize, end: usize) -> Option<usize> {
    let prefix = bytes.get(at..end)?;
    let raw = matches!(prefix, b"r" | b"br" | b"cr");
    match bytes.get(end)? {
        b'\'' if prefix == b"b" => Some(quote(bytes, end).1),
        b'"' if matches!(prefix, b"b" | b"c") => Some(string(bytes, end + 1)),
        b'"' | b'#' if raw => {
            let rest = bytes.get(end..)?;
            let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
            if rest.get(hashes) != Some(&b'"') {
                return None;
            }
            let mut close = vec![b'"'];
            close.resize(hashes + 1, b'#');
            let inside = rest.get(hashes + 1..)?;
            let length = inside
                .windows(close.len())
                .position(|part| part == close)
                .map_or(inside.len(), |length| length + close.len());
            Some(end + hashes + 1 + length)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        of_text(text)
            .iter()
            .map(|token| token.text.to_string())
            .collect()
    }

    #[test]
    fn texts_and_comments_hide_what_looks_like_code() {
        assert_eq!(
            texts(
                "a \"b { \\\" c\" // d {\n /* e /* f */ { */ g r#\"h \" {\"# 'i' 'j b'\\'' r#fn 1.5s '{' é"
            ),
            [
                "a",
                "\"b { \\\" c\"",
                "g",
                "r#\"h \" {\"#",
                "'i'",
                "'j",
                "b'\\''",
                "fn",
                "1",
                ".",
                "5s",
                "'{'",
                "é"
            ]
        );
    }

    #[test]
    fn brackets_know_each_other() {
        let tokens = of_text("a { b ( c ) } d ( e");
        let mates: Vec<usize> = tokens.iter().map(|token| token.mate).collect();
        assert_eq!(mates, [0, 6, 0, 5, 0, 3, 1, 0, 10, 0]);
    }

    #[test]
    fn any_text_is_survived() {
        for text in [
            "'", "\"", "r#\"", "/*", "b'", "'\\", "}}}", "((", "é'é", "r#", "\\",
        ] {
            of_text(text);
        }
    }
}
