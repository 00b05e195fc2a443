//! From tokens to a tree. It never fails: what cannot be understood is reported, and reading goes on at the next `;`, `,`
//! or end of a group.

pub(crate) mod ast;
pub(crate) mod calls;
mod closure;
pub(crate) mod cursor;
mod entry;
mod expr;
mod foreign;
mod form;
mod guard_form;
mod item;
mod layers;
mod line;
pub(crate) mod lints;
pub(crate) mod lookup;
pub(crate) mod marks;
pub(crate) mod methods;
mod require;
mod socket;
mod sound;
pub(crate) mod source;
mod split;
mod target;
pub(crate) mod unfinished;
pub(crate) mod units;
pub(crate) mod words;

pub(crate) mod host;
pub(crate) mod pattern;
mod punycode;
pub(crate) mod url;

use proc_macro2::{Delimiter, Group, Span, TokenTree};

pub(crate) use self::expr::{arguments, closure, list as expr_list};
pub(crate) use self::item::default;
use self::{
    ast::{Attr, Entry, Expr, Gateway},
    cursor::{Cursor, text_of, tokens_of},
    marks::{Mark, Slot},
    words::{ITEMS, starts_line},
};
use crate::diag::Diagnostics;

/// Reads all of a gateway; `end` is where a message about its end points.
pub(crate) fn parse(tokens: &[TokenTree], end: Span, diag: &mut Diagnostics) -> Gateway {
    let mut parser = Parser {
        diag,
        gateway: Gateway::default(),
        started: false,
        late_guard: None,
        late_layers: Vec::new(),
        commented: false,
        generic: false,
        line_errors: 0,
    };
    let block = parser.lines(&mut Cursor::new(tokens, end), Level::Top);
    parser.gateway.layers = block.layers;
    parser.gateway.required = block.required;
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
    /// Layers that were found behind a target, under another word than `with`.
    late_layers: Vec<Expr>,
    /// Whether the end of the line was lost in a comment.
    commented: bool,
    /// Whether it was said that generics are not allowed on a gateway.
    generic: bool,
    /// How many errors there were when the line began.
    line_errors: usize,
}

/// What stands between the braces of a listener, a host or a scope, or at the top level.
#[derive(Default)]
struct Block {
    layers: Vec<Expr>,
    /// Whether there is a `require auth;`.
    required: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    /// Between the braces of a listener.
    On,
    Inner,
}

impl Level {
    /// Where the first word of a line stands.
    fn slot(self) -> Slot {
        match self {
            Self::Top => Slot::Top,
            Self::On => Slot::On,
            Self::Inner => Slot::Inner,
        }
    }
}

impl Parser<'_> {
    fn block(&mut self, group: &Group) -> Block {
        let tokens = tokens_of(group.stream());
        self.lines(&mut Cursor::new(&tokens, group.span_close()), Level::Inner)
    }

    fn lines(&mut self, c: &mut Cursor<'_>, level: Level) -> Block {
        let mut block = Block::default();
        while !c.is_end() {
            let left = c.rest().len();
            let outer = std::mem::replace(&mut self.line_errors, self.diag.len());
            self.line(c, level, &mut block);
            self.line_errors = outer;
            self.started = true;
            if c.rest().len() == left {
                c.bump();
            }
        }
        self.mark(Mark::Word(level.slot(), None));
        block
    }

    fn line(&mut self, c: &mut Cursor<'_>, level: Level, block: &mut Block) {
        if c.is_punct(0, ';') || c.is_punct(0, ',') {
            return self.separator(c);
        }
        let attrs = self.attrs(c);
        self.mark_word(level.slot(), c);
        if c.is_string(0) {
            return self.entry(c, &attrs, block);
        }
        if c.ident(0).is_none() {
            return self.unexpected(c);
        }
        let Some(word) = self.first_word(c, &attrs) else {
            return;
        };
        let place = c.span();
        match word.as_str() {
            "pub" | "struct" => self.named(c, attrs, level),
            "with" => {
                self.no_attrs(&attrs, "`with`");
                let behind = layers::behind_block(c);
                let after_comma =
                    matches!(c.previous(), Some(TokenTree::Punct(punct)) if punct.as_char() == ',');
                let layers = self.with(c);
                if let (true, true, Some(Entry::Route(route))) =
                    (after_comma, c.is_punct(0, ','), block.entries.last_mut())
                {
                    route.layers.extend(layers);
                    c.bump();
                    self.diag
                        .error(place, "the layers of a route must come before its `,`")
                        .help("write `\"/path\" => target with [..],`");
                    return;
                }
                block.layers.extend(layers);
                self.end_of_layers(c, place, behind);
            }
            "require" => {
                self.no_attrs(&attrs, "`require`");
                self.require(c, block);
            }
            item if ITEMS.contains(&item) => {
                if level == Level::Inner || (level == Level::On && item != "host") {
                    self.diag
                        .error(
                            place,
                            format!("`{item}` is allowed only at the top level of a gateway"),
                        )
                        .help("move the line out of the braces");
                }
                match item {
                    "env" => self.env(c, attrs),
                    "let" => self.binding(c, attrs),
                    "backend" => self.backend(c, attrs),
                    "host" => self.host(c, &attrs),
                    "on" => self.on(c, &attrs),
                    _ => {
                        let known = self.gateway.expects.len();
                        self.expect(c, &attrs);
                        if level != Level::Top {
                            self.gateway.expects.truncate(known);
                        }
                    }
                }
            }
            _ => self.entry(c, &attrs, block),
        }
    }

    /// Takes a separator that no line before it has taken. Behind a block it may stand; behind another it is one too many.
    fn separator(&mut self, c: &mut Cursor<'_>) {
        let doubled = match c.previous() {
            None => true,
            Some(TokenTree::Punct(punct)) => matches!(punct.as_char(), ',' | ';'),
            Some(_) => false,
        };
        if doubled && let Some(token) = c.peek(0) {
            self.diag
                .error(token.span(), format!("unexpected `{token}`"))
                .help("remove it");
        }
        c.bump();
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
                    .error(group.span(), "malformed attribute")
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
                .error(span, format!("attributes are not allowed on {what}"))
                .help("remove it; doc comments are allowed");
        }
    }

    /// Whether the tokens end here, and an error of the line has been reported: it is being typed, and one is enough.
    fn is_cut_off(&self, c: &Cursor<'_>) -> bool {
        c.is_end() && self.diag.len() > self.line_errors
    }

    fn semicolon(&mut self, c: &mut Cursor<'_>, what: &str) {
        if c.eat_punct(';') || std::mem::take(&mut self.commented) || self.is_cut_off(c) {
            return;
        }
        let missing = matches!(c.previous(), Some(TokenTree::Punct(_)));
        if missing && starts_line(c) && self.diag.len() > self.line_errors {
            // What is missing has been reported, and the next line is whole.
            return;
        }
        let place = c.span_before();
        if c.is_end() {
            self.diag.unfinished(
                place,
                format!("expected `;` after {what}"),
                "a line that is not a route ends with `;`",
            );
            return;
        }
        let found = if c.eat_punct(',') { ", found `,`" } else { "" };
        self.diag
            .error(place, format!("expected `;` after {what}{found}"))
            .help("a line that is not a route ends with `;`");
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
