//! From tokens to a tree. It never fails: what cannot be understood is reported, and reading goes on at the next `;`, `,`
//! or end of a group.

pub(crate) mod ast;
pub(crate) mod calls;
pub(crate) mod cursor;
mod entry;
mod expr;
mod item;
pub(crate) mod marks;
pub(crate) mod units;
pub(crate) mod words;

pub(crate) mod host;
pub(crate) mod pattern;
mod punycode;
pub(crate) mod url;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};

pub(crate) use self::expr::list as expr_list;
use self::{
    ast::{Attr, Entry, Expr, Gateway},
    cursor::{Cursor, text_of, tokens_of},
    marks::{Mark, Slot},
    words::{ITEMS, METHODS, is_method, nearest, starts_line},
};
use crate::diag::Diagnostics;

/// Reads all of a gateway; `end` is where a message about its end points.
pub(crate) fn parse(tokens: &[TokenTree], end: Span, diag: &mut Diagnostics) -> Gateway {
    let mut parser = Parser {
        diag,
        gateway: Gateway::default(),
        started: false,
        late_guard: None,
    };
    let block = parser.lines(&mut Cursor::new(tokens, end), Level::Top);
    parser.gateway.layers = block.layers;
    parser.gateway.entries = block.entries;
    parser.gateway
}

struct Parser<'d> {
    diag: &'d mut Diagnostics,
    gateway: Gateway,
    /// Whether a line was read, so that it is too late for the `struct` line.
    started: bool,
    /// A guard that was found behind its target.
    late_guard: Option<Expr>,
}

/// What stands between the braces of a host or a scope, or at the top level.
#[derive(Default)]
struct Block {
    layers: Vec<Expr>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Inner,
}

impl Level {
    /// Where the first word of a line stands.
    fn slot(self) -> Slot {
        match self {
            Self::Top => Slot::Top,
            Self::Inner => Slot::Inner,
        }
    }
}

/// What other gateways and other languages call the things that stand at the start of a line here.
const SYNONYMS: [(&str, &str); 18] = [
    ("upstream", "backend"),
    ("cluster", "backend"),
    ("service", "backend"),
    ("pool", "backend"),
    ("server", "host"),
    ("vhost", "host"),
    ("domain", "host"),
    ("virtual_host", "host"),
    ("layer", "with"),
    ("layers", "with"),
    ("middleware", "with"),
    ("plugins", "with"),
    ("var", "let"),
    ("const", "let"),
    ("static", "let"),
    ("assert", "expect"),
    ("test", "expect"),
    ("environment", "env"),
];

impl Parser<'_> {
    fn block(&mut self, group: &Group) -> Block {
        let tokens = tokens_of(group.stream());
        self.lines(&mut Cursor::new(&tokens, group.span_close()), Level::Inner)
    }

    fn lines(&mut self, c: &mut Cursor<'_>, level: Level) -> Block {
        let mut block = Block::default();
        while !c.is_end() {
            let left = c.rest().len();
            self.line(c, level, &mut block);
            self.started = true;
            if c.rest().len() == left {
                c.bump();
            }
        }
        self.mark(Mark::Word(level.slot(), None));
        block
    }

    fn line(&mut self, c: &mut Cursor<'_>, level: Level, block: &mut Block) {
        if c.eat_punct(';') || c.eat_punct(',') {
            return;
        }
        let attrs = self.attrs(c);
        self.mark_word(level.slot(), c);
        if c.is_string(0) {
            return self.entry(c, &attrs, block);
        }
        let Some(ident) = c.ident(0) else {
            return self.unexpected(c);
        };
        let word = self.word_at_start(c, ident);
        match word.as_str() {
            "pub" | "struct" => self.named(c, attrs, level),
            "exact" => self.entry(c, &attrs, block),
            method if is_method(method) => self.entry(c, &attrs, block),
            "with" => {
                self.no_attrs(&attrs, "`with`");
                block.layers.extend(self.with(c));
                self.semicolon(c, "the layers");
            }
            item if ITEMS.contains(&item) => {
                if level == Level::Inner {
                    self.diag
                        .error(
                            ident,
                            format!("`{item}` stands at the top level of the gateway"),
                        )
                        .help(format!("move the line with `{item}` out of the braces"));
                }
                match item {
                    "env" => self.env(c, attrs),
                    "let" => self.binding(c, &attrs),
                    "backend" => self.backend(c, attrs),
                    "host" => self.host(c, &attrs),
                    _ => self.expect(c, &attrs),
                }
            }
            _ => skip_line(c),
        }
    }

    /// The word that was written, or the one that was meant; what is wrong with it is reported.
    fn word_at_start(&mut self, c: &Cursor<'_>, ident: &Ident) -> String {
        let word = ident.to_string();
        let known = ITEMS.contains(&word.as_str()) || matches!(&*word, "pub" | "struct" | "exact");
        if known || is_method(&word) {
            return word;
        }
        if is_method_position(c) {
            // A method that is none is reported with the route.
            return String::from("GET");
        }
        let meant = if let Some(text) = c.text(1) {
            // A route's path was excluded above, so this is the name of a host, or no line at all.
            let host = nearest(&word, ["host"]).or_else(|| synonym(&word));
            host.filter(|_| !text.value.starts_with('/'))
        } else {
            nearest(&word, ITEMS.into_iter().chain(["struct"])).or_else(|| synonym(&word))
        };
        let error = self.diag.error(
            ident,
            format!("unknown word `{word}` at the start of a line"),
        );
        match meant {
            Some(meant) => error.help(format!("write `{meant}`")),
            None if matches!(&*word, "route" | "location" | "path") => {
                error.help("a route starts with its method or its path: `GET \"/users\" => target,`")
            }
            None => error.help(
                "a line starts with a path, a method, `env`, `let`, `backend`, `with`, `host` or `expect`",
            ),
        };
        meant.unwrap_or_default().to_owned()
    }

    fn unexpected(&mut self, c: &mut Cursor<'_>) {
        let shown = match c.peek(0) {
            Some(TokenTree::Group(group)) => match group.delimiter() {
                Delimiter::Brace => "{",
                Delimiter::Bracket => "[",
                _ => "(",
            }
            .to_owned(),
            Some(token) => token.to_string(),
            None => {
                self.diag
                    .error(c.span_before(), "nothing follows the attribute")
                    .help("write an item below it, or take it away");
                return;
            }
        };
        self.diag
            .error(c.span(), format!("unexpected `{shown}` at the start of a line"))
            .help("a line starts with a path in quotes, a method, `env`, `let`, `backend`, `with`, `host` or `expect`");
        skip_line(c);
    }

    fn attrs(&mut self, c: &mut Cursor<'_>) -> Vec<Attr> {
        let mut attrs = Vec::new();
        while c.is_punct(0, '#') {
            let bang = usize::from(c.is_punct(1, '!'));
            let Some(group) = c.group(1 + bang, Delimiter::Bracket) else {
                break;
            };
            let inner = tokens_of(group.stream());
            let doc = match inner.as_slice() {
                [TokenTree::Ident(name), TokenTree::Punct(_), value] if name == "doc" => {
                    text_of(value).map(|text| text.value)
                }
                _ => None,
            };
            let tokens = c.rest().iter().take(2 + bang).cloned().collect();
            if bang == 0 && is_attribute(&inner) {
                attrs.push(Attr { tokens, doc });
            } else {
                self.diag
                    .error(group.span(), "this is no attribute of an item")
                    .help("write `/// text` or `#[name]`");
            }
            c.skip(2 + bang);
        }
        attrs
    }

    /// Refuses attributes where they would be lost; documentation is welcome everywhere.
    fn no_attrs(&mut self, attrs: &[Attr], what: &str) {
        for attr in attrs.iter().filter(|attr| attr.doc.is_none()) {
            let span = attr
                .tokens
                .first()
                .map_or_else(Span::call_site, TokenTree::span);
            self.diag
                .error(span, format!("{what} takes no attribute"))
                .help("take it away; comments with `///` are fine");
        }
    }

    fn semicolon(&mut self, c: &mut Cursor<'_>, what: &str) {
        if c.eat_punct(';') {
            return;
        }
        let place = c.span_before();
        let found = if c.eat_punct(',') { ", found `,`" } else { "" };
        self.diag
            .error(place, format!("expected `;` after {what}{found}"))
            .help("a line that is no route ends with `;`");
    }
}

/// `path`, `path(..)` or `path = value`.
fn is_attribute(inner: &[TokenTree]) -> bool {
    let mut c = Cursor::new(inner, Span::call_site());
    loop {
        if c.ident(0).is_none() {
            return false;
        }
        c.bump();
        if !(c.is_punct(0, ':') && c.is_punct(1, ':')) {
            break;
        }
        c.skip(2);
    }
    match c.rest() {
        [] => true,
        [TokenTree::Group(group)] => group.delimiter() != Delimiter::None,
        [TokenTree::Punct(punct), _, ..] => punct.as_char() == '=',
        _ => false,
    }
}

/// Whether what follows the word is what follows the method of a route.
fn is_method_position(c: &Cursor<'_>) -> bool {
    let path = |ahead| {
        c.text(ahead)
            .is_some_and(|text| text.value.starts_with('/'))
    };
    path(1)
        || (c.is_word(1, "exact") && c.is_string(2))
        || (c.is_punct(1, '|') && c.ident(2).is_some())
}

fn synonym(word: &str) -> Option<&'static str> {
    SYNONYMS
        .iter()
        .find(|(other, _)| *other == word)
        .map(|(_, ours)| *ours)
}

/// Goes on behind the next `;` or `,`, behind a block, or before what looks like a new line.
fn skip_line(c: &mut Cursor<'_>) {
    c.bump();
    while !c.is_end() && !starts_line(c) {
        let block = c.group(0, Delimiter::Brace).is_some();
        let separator = c.is_punct(0, ';') || c.is_punct(0, ',');
        c.bump();
        if block || separator {
            return;
        }
    }
}

/// What a method that is none was most likely meant to be.
fn nearest_method(word: &str) -> Option<&'static str> {
    let upper = word.to_ascii_uppercase();
    nearest(&upper, METHODS)
}
