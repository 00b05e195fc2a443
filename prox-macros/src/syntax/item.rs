//! The lines that are no routes: `struct`, `env`, `let`, `backend`, `host` and `expect`.

use proc_macro2::{Delimiter, Ident, Literal, Span, TokenTree};

use super::{
    Level, Parser,
    ast::{Attr, Backend, Env, Expect, Field, Host, Let, Named, Outcome, Setup, Text},
    cursor::{Cursor, tokens_of},
    expr::Stop,
    marks::{Mark, Slot},
    skip_line,
    words::{ITEMS, is_keyword, is_method, starts_line},
};
use crate::diag::Place;

impl Parser<'_> {
    /// `pub struct Name;` or `pub struct Name { field: Type }`.
    pub(super) fn named(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>, level: Level) {
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
                .error(c.span(), "a gateway has no generics")
                .help("take them away; what differs from one gateway to the next is a field or a variable of the environment");
            while !c.is_end() && !c.is_punct(0, ';') && c.group(0, Delimiter::Brace).is_none() {
                c.bump();
            }
        }
        let fields = self.fields(c);
        let first = !self.started && level == Level::Top;
        if self.gateway.named.is_some() {
            self.diag
                .error(start, "a gateway has only one `struct` line")
                .help("take one of them away");
        } else if let Some(name) = name {
            if !first {
                self.diag
                    .error(start, "the `struct` line stands before everything else")
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

    fn fields(&mut self, c: &mut Cursor<'_>) -> Vec<Field> {
        let Some(group) = c.group(0, Delimiter::Brace) else {
            if c.group(0, Delimiter::Parenthesis).is_some() {
                self.diag
                    .error(c.span(), "the fields of a gateway have names")
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
        let ty = type_until(c, |c| c.is_punct(0, ','));
        c.eat_punct(',');
        if ty.is_empty() {
            self.diag
                .error(c.span_before(), "the type of the field is missing")
                .help("write `name: Type`");
            return None;
        }
        name.map(|name| Field { name, ty })
    }

    /// `env NAME: Type = default;`
    pub(super) fn env(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>) {
        let Some(name) = self.name(c, "env NAME: Type;") else {
            return;
        };
        let mut ty = Vec::new();
        if c.eat_punct(':') {
            ty = type_until(c, |c| {
                c.is_punct(0, '=') || c.is_punct(0, ';') || starts_line(c)
            });
        }
        self.mark(Mark::Env {
            docs: attrs.iter().filter_map(|attr| attr.doc.clone()).collect(),
            name: name.clone(),
            ty: ty.clone(),
        });
        if ty.is_empty() {
            self.diag
                .error(&name, format!("the variable `{name}` has no type"))
                .help(format!(
                    "write `env {name}: String;`, or another type that can be parsed"
                ));
            ty = vec![TokenTree::Ident(Ident::new("String", name.span()))];
        }
        let mut default = None;
        if c.is_punct(0, '=') {
            let place = c.span();
            c.bump();
            default = Self::expr(c, Stop::Semicolon);
            if let Some(default) = &default {
                self.mark(Mark::Expr(default.clone()));
            } else {
                self.diag
                    .error(place, "the default is missing")
                    .help("write it, or leave `=` out for a variable that must be set");
            }
        }
        self.semicolon(c, "the variable");
        self.gateway.env.push(Env {
            attrs,
            name,
            ty,
            default,
        });
    }

    /// `let pattern: Type = value;`
    pub(super) fn binding(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
        self.no_attrs(attrs, "`let`");
        let word = c.span();
        c.bump();
        let pattern = type_until(c, |c| {
            let equals = c.is_punct(0, '=') && !c.is_punct(1, '=') && !c.is_arrow(0);
            equals || c.is_punct(0, ';')
        });
        if pattern.is_empty() || !c.is_punct(0, '=') {
            self.diag
                .error(Place::of(&pattern, word), "expected `let name = value;`")
                .help("write the name, `=` and the value");
            if !c.is_end() && !c.is_punct(0, ';') && !starts_line(c) {
                skip_line(c);
            }
            return;
        }
        let place = c.span();
        c.bump();
        let value = Self::expr(c, Stop::Semicolon);
        self.mark(Mark::Let {
            word: Ident::new("let", word),
            pattern: pattern.clone(),
            value: value.clone(),
        });
        match value {
            Some(value) => self.gateway.setup.push(Setup::Let(Let { pattern, value })),
            None => {
                self.diag
                    .error(place, "the value is missing")
                    .help("write `let name = value;`");
            }
        }
        self.semicolon(c, "the value");
    }

    /// `backend name = target;`
    pub(super) fn backend(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>) {
        let Some(name) = self.name(c, "backend users = \"http://127.0.0.1:8080\";") else {
            return;
        };
        let mut target = None;
        let mut missing = true;
        if c.is_punct(0, '=') || c.is_punct(0, ':') {
            if c.is_punct(0, ':') || c.is_arrow(0) {
                self.diag
                    .error(c.span(), "expected `=` after the name of the backend")
                    .help(format!("write `backend {name} = target;`"));
                c.bump();
                c.eat_punct('>');
            } else {
                c.bump();
            }
            missing = false;
            target = self.target(c, Stop::Semicolon);
        }
        if missing {
            self.diag
                .error(&name, format!("the backend `{name}` has no target"))
                .help(format!(
                    "write `backend {name} = \"http://127.0.0.1:8080\";`"
                ));
            if !c.is_end() && !c.is_punct(0, ';') && !starts_line(c) {
                skip_line(c);
            } else {
                c.eat_punct(';');
            }
        } else {
            self.semicolon(c, "the backend");
        }
        self.gateway.setup.push(Setup::Backend(Backend {
            attrs,
            name,
            target,
        }));
    }

    /// `host "a" | "b" with [..] { .. }`
    pub(super) fn host(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
        self.no_attrs(attrs, "`host`");
        let word = c.span();
        c.bump();
        let mut names = Vec::new();
        let any = c.is_word(0, "_");
        if any {
            c.bump();
        } else {
            names = self.host_names(c, word);
        }
        self.mark_layers(c);
        let mut layers = if c.is_word(0, "with") {
            self.with(c)
        } else {
            Vec::new()
        };
        let Some(group) = c.group(0, Delimiter::Brace) else {
            self.diag
                .error(c.span_before(), "expected `{` and the routes of the host")
                .help("write `host \"api.example.com\" { \"/\" => target }`");
            if !c.is_end() && !starts_line(c) {
                skip_line(c);
            }
            return;
        };
        c.bump();
        let block = self.block(group);
        layers.extend(block.layers);
        // A name that is missing has been reported; its routes must not serve every host.
        if any || !names.is_empty() {
            self.gateway.hosts.push(Host {
                names,
                layers,
                entries: block.entries,
            });
        }
    }

    fn host_names(&mut self, c: &mut Cursor<'_>, word: Span) -> Vec<Text> {
        let mut names = Vec::new();
        while let Some(name) = c.text(0) {
            names.push(name);
            c.bump();
            if c.is_punct(0, ',') {
                self.diag
                    .error(c.span(), "expected `|` between two hosts, found `,`")
                    .help("write `host \"a.example.com\" | \"b.example.com\"`");
            }
            if !c.eat_punct('|') && !c.eat_punct(',') {
                break;
            }
        }
        if names.is_empty()
            || c.previous()
                .is_some_and(|t| matches!(t, TokenTree::Punct(_)))
        {
            let mut bare = Vec::new();
            while let Some(token) = c.peek(0) {
                if c.group(0, Delimiter::Brace).is_some() || c.is_word(0, "with") || starts_line(c)
                {
                    break;
                }
                bare.push(token.clone());
                c.bump();
            }
            let shown: String = bare.iter().map(ToString::to_string).collect();
            let help = if shown.is_empty() {
                "api.example.com"
            } else {
                &shown
            };
            self.diag
                .error(
                    Place::of(&bare, word),
                    "expected the name of the host in quotes",
                )
                .help(format!("write `host \"{help}\"`"));
            let span = bare.first().map_or(word, TokenTree::span);
            if names.is_empty() && !shown.is_empty() {
                let mut token = Literal::string(&shown);
                token.set_span(span);
                names.push(Text {
                    value: shown,
                    span,
                    token,
                });
            }
        }
        names
    }

    /// `expect GET "https://host/path" => name;`
    pub(super) fn expect(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
        self.no_attrs(attrs, "`expect`");
        let word = c.span();
        c.bump();
        let written = c.ident(0).cloned();
        self.mark_word(Slot::Method, c);
        let method = written.as_ref().and_then(|ident| self.method(ident));
        let known = method.is_some();
        if written.is_some() {
            c.bump();
        }
        let url = c.text(0);
        if url.is_some() && c.is_arrow(1) {
            self.mark_outcome(c.peek(3));
        }
        let outcome = match (&url, c.is_arrow(1), c.peek(3)) {
            (Some(_), true, Some(TokenTree::Ident(name))) => Some(Outcome::Name(name.clone())),
            (Some(_), true, Some(TokenTree::Literal(status))) => {
                Some(Outcome::Status(status.clone()))
            }
            _ => None,
        };
        let (Some(url), Some(outcome)) = (url, outcome) else {
            if known || written.is_none() {
                self.diag
                    .error(word, "expected a method, a URL, `=>` and what answers")
                    .help("write `expect GET \"https://api.example.com/v1\" => users;` or `.. => 404;`");
            }
            while !c.is_end() && !c.eat_punct(';') && !starts_line(c) {
                c.bump();
            }
            return;
        };
        c.skip(4);
        self.semicolon(c, "the expectation");
        if let Some(method) = method {
            self.gateway.expects.push(Expect {
                method,
                url,
                outcome,
            });
        }
    }

    /// Reports a name that rustc would not take as one.
    fn refuses_keyword(&mut self, name: Option<&Ident>, form: &str) -> bool {
        let Some(keyword) = name.filter(|name| is_keyword(name)) else {
            return false;
        };
        self.diag
            .error(
                keyword.span(),
                format!("`{keyword}` is a keyword of Rust, and cannot be a name"),
            )
            .help(format!("write `{form}`"));
        true
    }

    /// The name after the first word of a line; words of the language are none.
    fn name(&mut self, c: &mut Cursor<'_>, form: &str) -> Option<Ident> {
        let word = c.span();
        c.bump();
        if self.refuses_keyword(c.ident(0), form) {
            skip_line(c);
            return None;
        }
        let name = c.ident(0).filter(|ident| {
            let text = ident.to_string();
            !ITEMS.contains(&text.as_str()) && !is_method(&text)
        });
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
}

/// Takes tokens until `ends`, which is not asked inside of angle brackets.
fn type_until(c: &mut Cursor<'_>, ends: impl Fn(&Cursor<'_>) -> bool) -> Vec<TokenTree> {
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
