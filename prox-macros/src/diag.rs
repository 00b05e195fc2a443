//! Diagnostics: collected, never thrown, so that one run reports all of them.

use std::{collections::HashSet, ops::Range};

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

use crate::syntax::ast::Text;

/// All that was found wrong with a gateway.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Vec<Diagnostic>,
    /// What is missing at the end, which is said if the line has no other error.
    unfinished: Option<Diagnostic>,
}

/// One error: a message at a place, with what to write instead.
pub(crate) struct Diagnostic {
    place: Place,
    text: String,
    /// Whether what stands there is of no type that fits.
    untyped: bool,
}

/// From the first to the last token of what an error is about.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    first: Span,
    last: Span,
}

/// What is wrong inside a string literal: the bytes of its value, the message, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Diagnostics {
    /// Adds an error; more can be said about it on what is returned.
    pub(crate) fn error(
        &mut self,
        place: impl Into<Place>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let at = self.errors.len();
        self.errors.push(Diagnostic {
            place: place.into(),
            text: message.into(),
            untyped: false,
        });
        &mut self.errors[at]
    }

    /// Adds an error about an end that is missing, if nothing else is wrong with the line where the tokens end.
    pub(crate) fn unfinished(&mut self, place: Span, message: impl Into<String>, help: &str) {
        let mut error = Diagnostic {
            place: place.into(),
            text: message.into(),
            untyped: false,
        };
        error.help(help);
        self.unfinished = Some(error);
    }

    /// Adds what was only worth saying alone; to be called when everything has been checked.
    pub(crate) fn finish(&mut self) {
        let Some(unfinished) = self.unfinished.take() else {
            return;
        };
        let last = line(unfinished.place.first);
        let lines = |error: &Diagnostic| (line(error.place.first), line(error.place.last));
        let same = |error: &Diagnostic| lines(error).0 <= last && last <= lines(error).1;
        if !self.errors.iter().any(same) {
            self.errors.push(unfinished);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.errors.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.unfinished.is_none()
    }

    /// Adds an error about a part of a string literal, with the part underlined in the message.
    pub(crate) fn flaw(&mut self, text: &Text, flaw: Flaw) {
        let error = self.error(text.span, flaw.message);
        error.underline(&text.value, flaw.at);
        if !flaw.help.is_empty() {
            error.help(flaw.help);
        }
    }

    /// Where stands what an editor must not look at: it would say of its types what has been said in other words.
    ///
    /// Places are told apart by how they print, since stable Rust compares them in no other way.
    pub(crate) fn untyped(&self) -> HashSet<String> {
        let untyped = self
            .errors
            .iter()
            .filter(|error| error.untyped && proc_macro::is_available());
        untyped
            .flat_map(|error| [error.place.first, error.place.last])
            .map(|span| format!("{span:?}"))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<&str> {
        self.errors
            .iter()
            .map(|error| error.text.as_str())
            .collect()
    }

    /// One `compile_error!` for each error, in the order in which they were found.
    pub(crate) fn to_tokens(&self) -> TokenStream {
        self.errors.iter().map(Diagnostic::to_tokens).collect()
    }
}

impl Diagnostic {
    /// Says how to put it right.
    pub(crate) fn help(&mut self, help: impl AsRef<str>) -> &mut Self {
        self.line("help", help.as_ref())
    }

    /// Says that what stands there is of no type that fits.
    pub(crate) fn untyped(&mut self) -> &mut Self {
        self.untyped = true;
        self
    }

    /// Says why, or what else is involved.
    pub(crate) fn note(&mut self, note: impl AsRef<str>) -> &mut Self {
        self.line("note", note.as_ref())
    }

    fn line(&mut self, label: &str, text: &str) -> &mut Self {
        self.text.push_str(&["\n", label, ": ", text].concat());
        self
    }

    /// Draws the literal with carets below a part of it, since stable Rust cannot point into a literal.
    fn underline(&mut self, value: &str, at: Range<usize>) {
        let mut shown = String::from("\"");
        let mut marks = String::from(" ");
        for (place, character) in value.char_indices() {
            for escaped in escaped(character) {
                shown.push(escaped);
                marks.push(if at.contains(&place) { '^' } else { ' ' });
            }
        }
        if at.start >= value.len() || at.is_empty() {
            marks = format!("{}^", " ".repeat(column(value, at.start)));
        }
        self.text
            .push_str(&["\n  ", &shown, "\"\n  ", marks.trim_end()].concat());
    }

    /// `::core::compile_error! { "…" }`, from the first to the last token of the place.
    fn to_tokens(&self) -> TokenStream {
        let Place { first, last } = self.place;
        let punct = |character, spacing| {
            let mut punct = Punct::new(character, spacing);
            punct.set_span(first);
            TokenTree::Punct(punct)
        };
        let ident = |text| TokenTree::Ident(Ident::new(text, first));
        let mut message = proc_macro2::Literal::string(&self.text);
        message.set_span(last);
        let mut body = Group::new(Delimiter::Brace, TokenTree::Literal(message).into());
        body.set_span(last);
        [
            punct(':', Spacing::Joint),
            punct(':', Spacing::Alone),
            ident("core"),
            punct(':', Spacing::Joint),
            punct(':', Spacing::Alone),
            ident("compile_error"),
            punct('!', Spacing::Alone),
            TokenTree::Group(body),
        ]
        .into_iter()
        .collect()
    }
}

/// A character as it stands in a literal of a string, where a single quote is itself.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let quote = (character == '\'').then_some(character);
    let other = (character != '\'').then(|| character.escape_debug());
    quote.into_iter().chain(other.into_iter().flatten())
}

fn column(value: &str, at: usize) -> usize {
    let before = value.get(..at).unwrap_or(value);
    1 + before.chars().map(|c| escaped(c).count()).sum::<usize>()
}

impl Place {
    /// All of these tokens, or `empty` if there are none.
    pub(crate) fn of(tokens: &[TokenTree], empty: Span) -> Self {
        Self {
            first: tokens.first().map_or(empty, TokenTree::span),
            last: tokens.last().map_or(empty, TokenTree::span),
        }
    }
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self {
            first: span,
            last: span,
        }
    }
}

impl From<&Ident> for Place {
    fn from(ident: &Ident) -> Self {
        ident.span().into()
    }
}

/// A character as a message names it.
pub(crate) fn shown(character: char) -> String {
    if character == ' ' {
        String::from("a space")
    } else {
        format!("`{}`", character.escape_debug())
    }
}

/// The line of a token, or 0 where there is none to be had: in tests, and in the IDE.
pub(crate) fn line(span: Span) -> u32 {
    if !proc_macro::is_available() {
        return 0;
    }
    u32::try_from(span.unwrap().line()).unwrap_or(0)
}

/// ` (src/edge.rs:21)`, or nothing where the place is not to be had.
pub(crate) fn location(span: Span) -> String {
    if !proc_macro::is_available() {
        return String::new();
    }
    let span = span.unwrap();
    match span.file() {
        file if file.is_empty() => String::new(),
        file => format!(" ({file}:{})", span.line()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(value: &str, at: Range<usize>) -> String {
        let mut error = Diagnostic {
            place: Span::call_site().into(),
            text: String::new(),
            untyped: false,
        };
        error.underline(value, at);
        error.text
    }

    #[test]
    fn carets_stand_below_the_part() {
        assert_eq!(drawn("/a//b", 2..4), "\n  \"/a//b\"\n     ^^");
        assert_eq!(drawn("é{x", 2..4), "\n  \"é{x\"\n    ^^");
        assert_eq!(drawn("", 0..0), "\n  \"\"\n   ^");
        assert_eq!(drawn("/a", 2..2), "\n  \"/a\"\n     ^");
        assert_eq!(drawn("a\tb", 2..3), "\n  \"a\\tb\"\n      ^");
    }
}
