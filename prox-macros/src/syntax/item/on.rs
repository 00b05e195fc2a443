//! The block of a listener.

use proc_macro2::{Delimiter, Span, TokenTree};

use crate::{
    diag::Place,
    syntax::{
        Level, Parser,
        ast::{Attr, On, Text},
        cursor::{Cursor, tokens_of},
        words::starts_line,
    },
};

impl Parser<'_> {
    /// `on "internal" with [..] { .. }`
    pub(in crate::syntax) fn on(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
        self.no_attrs(attrs, "`on`");
        let word = c.span();
        let errors = self.diag.len();
        c.bump();
        let name = self.listener(c, word);
        let mut layers = self.layers_of_block(c);
        let shown = name.as_ref().map_or_else(
            || String::from("\"internal\""),
            |name| name.token.to_string(),
        );
        let Some(group) = self.braces(c, "the listener", &format!("on {shown}"), errors) else {
            return;
        };
        let errors = self.diag.len();
        let outer = std::mem::take(&mut self.gateway.hosts);
        let tokens = tokens_of(group.stream());
        let block = self.lines(&mut Cursor::new(&tokens, group.span_close()), Level::On);
        let hosts = std::mem::replace(&mut self.gateway.hosts, outer);
        if block.entries.is_empty() && hosts.is_empty() && self.diag.len() == errors {
            self.diag.error(word, "this listener has no routes of its own").help(format!(
                "write `on {shown} {{ \"/\" => target }}`, or remove it: routes outside of `on` are for every listener"
            ));
        }
        layers.extend(block.layers);
        // A name that is missing has been reported; its routes must not be on every listener.
        if let Some(name) = name {
            self.gateway.ons.push(On {
                name,
                layers,
                required: block.required,
                hosts,
                entries: block.entries,
            });
        }
    }

    /// The name of a listener, in quotes; none if it is missing.
    pub(super) fn listener(&mut self, c: &mut Cursor<'_>, word: Span) -> Option<Text> {
        let name = c.text(0);
        if name.is_some() {
            c.bump();
        }
        let Some(name) = name else {
            return self.bare_listener(c, word);
        };
        if c.is_punct(0, '|') || c.is_punct(0, ',') {
            self.diag
                .error(c.span(), "`on` has one listener")
                .help("write a block for each; two listeners of the server may share one name");
            while c.is_punct(0, '|') || c.is_punct(0, ',') || c.is_string(0) {
                c.bump();
            }
        }
        if let Some((message, help)) = flaw(&name.value) {
            self.diag.error(name.span, message).help(help);
        }
        Some(name)
    }

    /// Reports a name without quotes, and takes it as one.
    fn bare_listener(&mut self, c: &mut Cursor<'_>, word: Span) -> Option<Text> {
        if c.is_word(0, "_") {
            self.diag
                .error(c.span(), "`on _` is not a listener")
                .help("routes for every listener are outside of `on`");
            c.bump();
            return None;
        }
        let mut bare = Vec::new();
        while let Some(token) = c.peek(0) {
            if c.group(0, Delimiter::Brace).is_some()
                || c.is_word(0, "with")
                || (!bare.is_empty() && starts_line(c))
                || matches!(token, TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ','))
            {
                break;
            }
            bare.push(token.clone());
            c.bump();
        }
        let shown: String = bare.iter().map(ToString::to_string).collect();
        let known = flaw(&shown).is_none();
        let help = if known { &shown } else { "internal" };
        if !self.is_cut_off(c) {
            self.diag
                .error(
                    Place::of(&bare, word),
                    "expected the name of a listener in quotes",
                )
                .help(format!("write `on \"{help}\"`"));
        }
        known.then(|| {
            let span = bare.first().map_or(word, TokenTree::span);
            Text::meant(shown, span)
        })
    }
}

/// What is wrong with the name of a listener, and what to write.
fn flaw(name: &str) -> Option<(String, String)> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(letter) {
        return None;
    }
    if name.is_empty() {
        return Some((
            String::from("the name of the listener is empty"),
            String::from("write the name that the server gives it: `on \"internal\"`"),
        ));
    }
    if name.contains([':', '/']) {
        return Some((
            format!("`{name}` is an address, and not the name of a listener"),
            String::from(
                "write `on \"internal\"`; the server says where it listens: `Listener::new(\"internal\").bind(..)`",
            ),
        ));
    }
    let lower = name.to_ascii_lowercase().replace([' ', '.'], "-");
    let better = lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.bytes().all(letter);
    Some((
        format!("`{name}` is not the name of a listener"),
        if better {
            format!("write `\"{lower}\"`")
        } else {
            String::from(
                "a name has lower-case letters, digits, `-` and `_`, and starts with a letter",
            )
        },
    ))
}
