//! The `struct` line.

use proc_macro2::Delimiter;

use super::type_until;
use crate::syntax::{
    Level, Parser,
    ast::{Attr, Field, Named},
    cursor::{Cursor, tokens_of},
    skip_line,
    words::is_keyword,
};

impl Parser<'_> {
    /// `pub struct Name;` or `pub struct Name { field: Type }`.
    pub(in crate::syntax) fn named(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>, level: Level) {
        let start = c.span();
        let mut vis = Vec::new();
        if let Some(token) = c.peek(0).filter(|_| c.is_word(0, "pub")) {
            vis.push(token.clone());
            c.bump();
            if let Some(token) = c
                .peek(0)
                .filter(|_| c.group(0, Delimiter::Parenthesis).is_some())
            {
                vis.push(token.clone());
                c.bump();
            }
        }
        if !c.is_word(0, "struct") || c.ident(1).is_none() {
            self.diag
                .error(start, "expected `struct` and the name of the gateway")
                .help("write `pub struct Edge;`");
            self.gateway.without_name |= self.gateway.named.is_none();
            return skip_line(c);
        }
        let name = c.ident(1).cloned();
        if self.refuses_keyword(name.as_ref(), "pub struct Edge;") {
            self.gateway.without_name |= self.gateway.named.is_none();
            return skip_line(c);
        }
        c.skip(2);
        if c.is_punct(0, '<') {
            self.diag
                .error(c.span(), "generics are not allowed on a gateway")
                .help("remove them; use a field or an `env` variable for what differs");
            skip_to_fields(c);
            self.generic = true;
        }
        if c.is_word(0, "where") {
            if !self.generic {
                self.diag
                    .error(c.span(), "`where` is not allowed: a gateway is not generic")
                    .help("remove it");
            }
            skip_to_fields(c);
        }
        let fields = self.fields(c);
        let first = !self.started && level == Level::Top;
        if self.gateway.named.is_some() {
            self.diag
                .error(start, "duplicate `struct` line")
                .help("remove one of them");
        } else if let Some(name) = name {
            if !first {
                self.diag
                    .error(start, "the `struct` line must come first")
                    .help("move it to the top of the gateway");
            }
            self.gateway.without_name = false;
            self.gateway.named = Some(Named {
                attrs,
                vis,
                name,
                fields,
            });
        }
    }

    /// Takes `pub enum Name` and the like at the start as the line that names the gateway.
    pub(in crate::syntax) fn other_item(&mut self, c: &mut Cursor<'_>) -> bool {
        let public = usize::from(c.is_word(0, "pub"));
        let at = public + usize::from(public == 1 && c.group(1, Delimiter::Parenthesis).is_some());
        let other = c.is_word(at, "enum") || c.is_word(at, "union");
        let name = c.ident(at + 1).filter(|name| !is_keyword(name));
        let (Some(word), Some(name)) = (c.ident(at).filter(|_| other), name) else {
            return false;
        };
        if self.started || self.gateway.named.is_some() {
            return false;
        }
        let vis = Vec::from(c.rest().get(..at).unwrap_or_default());
        let shown = if public == 1 { "pub " } else { "" };
        self.diag
            .error(word, format!("expected `struct`, found `{word}`"))
            .help(format!("write `{shown}struct {name};`"));
        self.gateway.named = Some(Named {
            attrs: Vec::new(),
            vis,
            name: name.clone(),
            fields: Vec::new(),
        });
        skip_line(c);
        true
    }

    fn fields(&mut self, c: &mut Cursor<'_>) -> Vec<Field> {
        let Some(group) = c.group(0, Delimiter::Brace) else {
            if c.group(0, Delimiter::Parenthesis).is_some() {
                self.diag
                    .error(c.span(), "expected named fields")
                    .help("write `struct Edge { db: Pool }`");
                c.bump();
            }
            self.semicolon(c, "the `struct` line");
            return Vec::new();
        };
        c.bump();
        let tokens = tokens_of(group.stream());
        let mut inner = Cursor::new(&tokens, group.span_close());
        let mut fields = Vec::new();
        while !inner.is_end() {
            let left = inner.rest().len();
            fields.extend(self.field(&mut inner));
            if inner.rest().len() == left {
                inner.bump();
            }
        }
        fields
    }

    fn field(&mut self, c: &mut Cursor<'_>) -> Option<Field> {
        let attrs = self.attrs(c);
        self.no_attrs(&attrs, "an argument of the constructor");
        if c.is_word(0, "pub") {
            c.bump();
            if c.group(0, Delimiter::Parenthesis).is_some() {
                c.bump();
            }
        }
        let name = c.ident(0).cloned();
        if name.is_none() || !c.is_punct(1, ':') {
            if !c.is_end() {
                self.diag
                    .error(c.span(), "expected a field with its type")
                    .help("write `name: Type`");
            }
            while !c.is_end() && !c.eat_punct(',') {
                c.bump();
            }
            return None;
        }
        c.skip(2);
        let ty = type_until(c, |c| c.is_punct(0, ',') || c.is_punct(0, '='));
        if c.is_punct(0, '=') {
            self.diag
                .error(
                    c.span(),
                    "unexpected default: the value of a field is an argument of `new`",
                )
                .help("write `name: Type`, or a line of its own: `let name = value;`");
            while !c.is_end() && !c.is_punct(0, ',') {
                c.bump();
            }
        }
        let ty = self.sound_type(ty);
        c.eat_punct(',');
        if ty.is_empty() {
            self.diag
                .error(c.span_before(), "missing type of a field")
                .help("write `name: Type`");
            return None;
        }
        name.map(|name| Field { name, ty })
    }
}

/// Goes on before the fields of a gateway, or its `;`.
fn skip_to_fields(c: &mut Cursor<'_>) {
    while !c.is_end() && !c.is_punct(0, ';') && c.group(0, Delimiter::Brace).is_none() {
        c.bump();
    }
}
