//! Routes and scopes.

use proc_macro2::{Delimiter, Ident, Span};

use super::{
    Block, Parser,
    ast::{Attr, Entry, Expr, Route, Scope, Text},
    cursor::Cursor,
    expr::Stop,
    marks::{Mark, Slot},
    nearest_method, skip_line,
    words::{METHODS, is_method, starts_line},
};

/// What stands before the path.
struct Head {
    methods: Vec<Ident>,
    unknown_method: bool,
    exact: Option<Span>,
}

impl Parser<'_> {
    pub(super) fn entry(&mut self, c: &mut Cursor<'_>, attrs: &[Attr], block: &mut Block) {
        self.no_attrs(attrs, "a route");
        let head = self.head(c);
        let Some(path) = c.text(0) else {
            self.diag
                .error(c.span(), "expected a path in quotes")
                .help("write `GET \"/users\" => target,`");
            skip_line(c);
            return;
        };
        c.bump();
        if !c.is_arrow(0) {
            self.mark_layers(c);
        }
        let layers = if c.is_word(0, "with") {
            self.with(c)
        } else {
            Vec::new()
        };
        if c.group(0, Delimiter::Brace).is_some() {
            let scope = self.scope(c, &head, path, layers);
            block.entries.push(Entry::Scope(scope));
        } else {
            let route = self.route(c, head, path, layers);
            block.entries.push(route);
        }
    }

    fn head(&mut self, c: &mut Cursor<'_>) -> Head {
        let mut methods = Vec::new();
        let mut unknown_method = false;
        while let Some(ident) = c.ident(0).filter(|ident| *ident != "exact") {
            let method = self.method(ident);
            unknown_method |= method.is_none();
            methods.extend(method);
            c.bump();
            if c.is_punct(0, ',') {
                self.diag
                    .error(c.span(), "expected `|` between two methods, found `,`")
                    .help("write `GET | POST \"/users\" => target,`");
            }
            if !c.eat_punct('|') && !c.eat_punct(',') {
                if c.ident(0).is_some() {
                    self.mark_word(Slot::Path, c);
                }
                break;
            }
            self.mark_word(Slot::Method, c);
        }
        let mut exact = None;
        if c.is_word(0, "exact") {
            exact = Some(c.span());
            c.bump();
        }
        Head {
            methods,
            unknown_method,
            exact,
        }
    }

    /// The method as it is meant; none if nothing is near, so that no check speaks of it.
    pub(super) fn method(&mut self, ident: &Ident) -> Option<Ident> {
        let word = ident.to_string();
        if is_method(&word) {
            return Some(ident.clone());
        }
        let near = nearest_method(&word);
        let error = self.diag.error(ident, format!("unknown method `{word}`"));
        match near {
            Some(method) if method == word.to_ascii_uppercase() => {
                error.help(format!("methods are written in upper case: `{method}`"))
            }
            Some(method) => error.help(format!("write `{method}`")),
            None if matches!(&*word.to_ascii_lowercase(), "any" | "all") => {
                error.help("a route without a method takes every method")
            }
            None => error.help(format!("the methods are {}", METHODS.join(", "))),
        };
        near.map(|method| Ident::new(method, ident.span()))
    }

    fn scope(&mut self, c: &mut Cursor<'_>, head: &Head, path: Text, layers: Vec<Expr>) -> Scope {
        if let Some(method) = head.methods.first() {
            self.diag
                .error(method, "a scope has no methods")
                .help("write the method on the routes inside of the braces");
        }
        if let Some(exact) = head.exact {
            self.diag
                .error(
                    exact,
                    "a scope cannot be `exact`: it is a prefix shared by its routes",
                )
                .help("write `exact` on the routes inside of the braces");
        }
        let mut scope = Scope {
            path,
            layers,
            entries: Vec::new(),
        };
        if let Some(group) = c.group(0, Delimiter::Brace) {
            c.bump();
            let block = self.block(group);
            scope.layers.extend(block.layers);
            scope.entries = block.entries;
        }
        c.eat_punct(',');
        scope
    }

    fn route(
        &mut self,
        c: &mut Cursor<'_>,
        head: Head,
        path: Text,
        mut layers: Vec<Expr>,
    ) -> Entry {
        if let Some(layer) = layers.first() {
            self.diag
                .error(
                    layer.span(),
                    "the layers of a route stand behind its target",
                )
                .help("write `\"/path\" => target with [..],`");
        }
        let mut guard = None;
        if c.is_word(0, "if") {
            let place = c.span();
            self.mark(Mark::Word(Slot::Keyword, Some(Ident::new_raw("if", place))));
            c.bump();
            guard = Self::expr(c, Stop::Arrow);
            self.mark_value(Slot::Guard, guard.as_ref());
            if guard.is_none() {
                self.diag
                    .error(place, "the guard is missing")
                    .help("write `if header(\"x-beta\").is(\"1\")`");
            }
        }
        let mut target = None;
        if self.arrow(c) {
            if let Some(scope) = self.scope_behind_arrow(c, &head, &path) {
                return scope;
            }
            self.late_guard = None;
            target = self.target(c, Stop::Comma);
            // Reported there; meant as a guard, so that nothing follows from the mistake.
            guard = guard.or(self.late_guard.take());
        }
        if c.is_word(0, "with") {
            self.mark_layers(c);
            layers.extend(self.with(c));
        }
        self.end_of_route(c);
        Entry::Route(Box::new(Route {
            methods: head.methods,
            unknown_method: head.unknown_method,
            exact: head.exact,
            path,
            guard,
            target,
            layers,
        }))
    }

    /// Takes `=>`, or what was written for it; says whether a target can follow.
    fn arrow(&mut self, c: &mut Cursor<'_>) -> bool {
        if c.is_arrow(0) {
            c.skip(2);
            return true;
        }
        let other = if c.is_punct(0, '-') && c.is_punct(1, '>') {
            Some(("->", 2))
        } else if c.is_punct(0, '=') {
            Some(("=", 1))
        } else if c.is_punct(0, ':') {
            Some((":", 1))
        } else {
            None
        };
        if let Some((text, count)) = other {
            self.diag
                .error(
                    c.span(),
                    format!("expected `=>` before the target, found `{text}`"),
                )
                .help("write `\"/path\" => target,`");
            c.skip(count);
            return true;
        }
        self.diag
            .error(c.span_before(), "expected `=>` and a target after this")
            .help("write `\"/path\" => target,` for a route, or `\"/path\" { .. }` for a scope");
        if !c.is_end() && !c.is_punct(0, ',') && !c.is_punct(0, ';') && !starts_line(c) {
            skip_line(c);
        }
        false
    }

    /// `"/path" => { GET "/x" => .. }` is a scope with an arrow too many.
    fn scope_behind_arrow(
        &mut self,
        c: &mut Cursor<'_>,
        head: &Head,
        path: &Text,
    ) -> Option<Entry> {
        let group = c.group(0, Delimiter::Brace)?;
        let tokens = super::cursor::tokens_of(group.stream());
        if !starts_line(&Cursor::new(&tokens, group.span_close())) {
            return None;
        }
        self.diag
            .error(c.span_before(), "a scope has no `=>`")
            .help("write `\"/path\" { .. }`");
        let scope = self.scope(c, head, path.clone(), Vec::new());
        Some(Entry::Scope(scope))
    }

    fn end_of_route(&mut self, c: &mut Cursor<'_>) {
        if c.is_end() || c.eat_punct(',') {
            return;
        }
        let after_block = matches!(
            c.previous(),
            Some(proc_macro2::TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace
        );
        if after_block && !c.is_arrow(0) && !c.is_punct(0, ';') {
            return;
        }
        let place = c.span_before();
        if c.is_arrow(0) {
            self.diag
                .error(c.span(), "a route has only one `=>`")
                .help("put a `,` between this route and the next");
            skip_line(c);
            return;
        }
        let found = if c.eat_punct(';') { ", found `;`" } else { "" };
        // After a target that is missing, the next line is intact and nothing has to be said twice.
        let said = matches!(c.previous(), Some(proc_macro2::TokenTree::Punct(punct)) if punct.as_char() == '>');
        if !said {
            self.diag
                .error(place, format!("expected `,` between two routes{found}"))
                .help("a route ends with `,`");
        }
    }
}
