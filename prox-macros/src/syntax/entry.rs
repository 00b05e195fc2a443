//! Routes and scopes.

use proc_macro2::{Delimiter, Ident, Span};

use super::{
    Block, Parser,
    ast::{Attr, Entry, Expr, Route, Scope, Text},
    cursor::Cursor,
    expr::Stop,
    marks::{Mark, Slot},
    methods::{Method, nearest_method, quoted},
    skip_line,
    sound::Use,
    source::source,
    words::{METHODS, is_keyword, is_method, nearest, starts_line},
};
use crate::vocab;

/// What stands before the path.
struct Head {
    allowed: Vec<String>,
    methods: Vec<Method>,
    unknown_method: bool,
    exact: Option<Span>,
}

impl Parser<'_> {
    pub(super) fn entry(&mut self, c: &mut Cursor<'_>, attrs: &[Attr], block: &mut Block) {
        let allowed = self.route_lints(attrs);
        let mut head = self.head(c, allowed);
        let Some(path) = c.text(0) else {
            self.diag
                .error(c.span(), "expected a path in quotes")
                .help("write `GET \"/users\" => target,`");
            skip_line(c);
            return;
        };
        c.bump();
        if c.is_punct(0, ':') && !path.value.starts_with('/') {
            self.diag
                .error(path.span, "expected a route, found JSON")
                .help("write `\"/users\" => \"http://127.0.0.1:8080\",`");
            while !c.is_end() && !starts_line(c) {
                c.bump();
            }
            return;
        }
        if !c.is_arrow(0) {
            self.mark_layers(c);
        }
        self.late_head(c, &path, &mut head);
        let layers = if c.is_word(0, "with") {
            let mut layers = self.with(c);
            self.more_layers(c, &mut layers);
            layers
        } else {
            Vec::new()
        };
        if c.group(0, Delimiter::Brace).is_some() {
            if !head.allowed.is_empty() {
                self.no_attrs(attrs, "a scope");
            }
            let scope = self.scope(c, &head, path, layers);
            block.entries.push(Entry::Scope(scope));
        } else {
            let route = self.route(c, head, path, layers);
            block.entries.push(route);
        }
    }

    fn head(&mut self, c: &mut Cursor<'_>, allowed: Vec<String>) -> Head {
        let early = self.exact(c);
        let (methods, unknown_method) = self.methods(c);
        if let (Some(early), Some(method)) = (early, methods.first()) {
            self.diag
                .error(early, "`exact` must come between the method and the path")
                .help(format!("write `{method} exact \"/path\" => target,`"));
        }
        if c.is_punct(0, ':') && c.is_string(1) && !methods.is_empty() {
            self.diag
                .error(c.span(), "unexpected `:` between the method and the path")
                .help("write `GET \"/users\" => target,`");
            c.bump();
        }
        let exact = self.exact(c).or(early);
        Head {
            allowed,
            methods,
            unknown_method,
            exact,
        }
    }

    /// The methods, and whether one of them is none.
    fn methods(&mut self, c: &mut Cursor<'_>) -> (Vec<Method>, bool) {
        let mut methods: Vec<Method> = Vec::new();
        let mut unknown = false;
        let exact = |c: &Cursor<'_>, word: &Ident| {
            word == "exact" || c.is_string(1) && is_like_exact(&word.to_string())
        };
        loop {
            if let Some(text) = quoted(c) {
                methods.push(self.quoted_method(&text));
            } else if let Some(ident) = c.ident(0).filter(|word| !exact(c, word)) {
                let method = self.method(ident);
                unknown |= method.is_none();
                methods.extend(method);
            } else {
                break;
            }
            c.bump();
            let place = c.span();
            if c.eat_punct('|') {
                // As in an expression of Rust.
                c.eat_punct('|');
                if (c.is_string(0) && quoted(c).is_none()) || c.is_word(0, "exact") {
                    let shown: Vec<String> = methods.iter().map(ToString::to_string).collect();
                    self.diag
                        .error(place, "expected a method after this `|`")
                        .help(format!("write `{}`, or another method", shown.join(" | ")));
                }
            } else if c.is_punct(0, ',')
                || (c.is_punct(0, '/')
                    && c.ident(1).is_some_and(|word| is_method(&word.to_string())))
            {
                let found = c.bump().map_or_else(String::new, ToString::to_string);
                self.diag
                    .error(
                        place,
                        format!("expected `|` between two methods, found `{found}`"),
                    )
                    .help("write `GET | POST \"/users\" => target,`");
            } else {
                let next = c.ident(0);
                if next.is_some() {
                    self.mark_word(Slot::Path, c);
                }
                let next = next.filter(|next| !exact(c, next));
                let Some(next) = next.filter(|next| nearest_method(&next.to_string()).is_some())
                else {
                    break;
                };
                let before = methods.last().map_or_else(String::new, ToString::to_string);
                if *next == before {
                    // Said of the route.
                    continue;
                }
                self.diag
                    .error(next, "expected `|` between two methods")
                    .help(format!("write `{before} | {next}`"));
                continue;
            }
            self.mark_word(Slot::Method, c);
        }
        (methods, unknown)
    }

    fn exact(&mut self, c: &mut Cursor<'_>) -> Option<Span> {
        let near = c
            .ident(0)
            .filter(|word| c.is_string(1) && is_like_exact(&word.to_string()));
        if let Some(word) = near {
            self.diag
                .error(word, format!("unknown word `{word}` before a path"))
                .help("write `exact`");
            c.bump();
            return Some(word.span());
        }
        self.doubled(c);
        let exact = c.is_word(0, "exact").then(|| c.span());
        if exact.is_some() {
            c.bump();
        }
        exact
    }

    /// What belongs before the path, and stands behind it.
    fn late_head(&mut self, c: &mut Cursor<'_>, path: &Text, head: &mut Head) {
        let path = &path.token;
        let late = |c: &Cursor<'_>| {
            c.ident(0).is_some_and(|word| {
                let word = word.to_string();
                let lower = METHODS.contains(&&*word.to_ascii_uppercase());
                is_method(&word) || lower || word == "exact"
            })
        };
        while late(c) {
            let place = c.span();
            if let Some(exact) = self.exact(c) {
                self.diag
                    .error(exact, "`exact` must come before the path")
                    .help(format!("write `exact {path} => target,`"));
                head.exact = head.exact.or(Some(exact));
                continue;
            }
            let (methods, unknown) = self.methods(c);
            let shown: Vec<String> = methods.iter().map(ToString::to_string).collect();
            self.diag
                .error(place, "the method must come before the path")
                .help(format!("write `{} {path} => target,`", shown.join(" | ")));
            head.unknown_method |= unknown;
            head.methods.extend(methods);
        }
    }

    /// The method as it is meant; none if nothing is near, so that no check speaks of it.
    pub(super) fn method(&mut self, ident: &Ident) -> Option<Method> {
        let word = ident.to_string();
        let of = |name: &str| Method {
            name: name.to_owned(),
            span: ident.span(),
        };
        if is_method(&word) {
            return Some(of(&word));
        }
        if self.is_preface(&word, ident.span()) {
            return None;
        }
        let every = matches!(&*word.to_ascii_lowercase(), "any" | "all");
        let near = nearest_method(&word).filter(|_| !every);
        let error = self.diag.error(ident, format!("unknown method `{word}`"));
        match near {
            Some(method) if method == word.to_ascii_uppercase() => {
                error.help(format!("methods are written in upper case: `{method}`"))
            }
            Some(method) => error.help(format!("write `{method}`")),
            None if every => error.help("a route without a method accepts every method"),
            None if matches!(&*word.to_ascii_lowercase(), "ws" | "wss" | "websocket") => {
                error.help("a WebSocket starts with `GET`; write a plain route")
            }
            None => error.help(format!(
                "a method that is not registered with IANA needs quotes: `\"{}\" \"/path\" => target,`",
                word.to_ascii_uppercase()
            )),
        };
        near.map(of)
    }

    fn scope(&mut self, c: &mut Cursor<'_>, head: &Head, path: Text, layers: Vec<Expr>) -> Scope {
        if let Some(method) = head.methods.first() {
            self.diag
                .error(method, "methods are not allowed on a scope")
                .help("write the method on the routes inside the braces");
        }
        if let Some(exact) = head.exact {
            self.diag
                .error(
                    exact,
                    "`exact` is not allowed on a scope, which is the common prefix of its routes",
                )
                .help("write `exact` on the routes inside the braces");
        }
        let mut scope = Scope {
            path,
            layers,
            required: false,
            entries: Vec::new(),
        };
        if let Some(group) = c.group(0, Delimiter::Brace) {
            c.bump();
            let errors = self.diag.len();
            let block = self.block(group);
            if block.entries.is_empty() && self.diag.len() == errors {
                self.diag
                    .error(scope.path.span, "this scope has no routes")
                    .help("add routes, or remove it");
            }
            scope.layers.extend(block.layers);
            scope.required = block.required;
            scope.entries = block.entries;
        }
        c.eat_punct(',');
        scope
    }

    fn route(
        &mut self,
        c: &mut Cursor<'_>,
        mut head: Head,
        path: Text,
        mut layers: Vec<Expr>,
    ) -> Entry {
        // At the end the braces of a scope may be about to follow.
        if let Some(layer) = layers.first().filter(|_| !c.is_end()) {
            self.diag
                .error(
                    layer.span(),
                    "the layers of a route must come after its target",
                )
                .help("write `\"/path\" => target with [..],`");
        }
        let mut guard = None;
        let other = c.ident(0).filter(|word| {
            ["when", "where", "unless"]
                .iter()
                .any(|other| *word == other)
        });
        if let Some(other) = other {
            self.diag
                .error(other, format!("expected `if`, found `{other}`"))
                .help("write `if header(\"x-beta\").is(\"1\")`");
        }
        if c.is_word(0, "if") || other.is_some() {
            let place = c.span();
            self.mark(Mark::Word(Slot::Keyword, Some(Ident::new_raw("if", place))));
            c.bump();
            guard = Self::expr(c, Stop::Arrow);
            self.mark_value(Slot::Guard, guard.as_ref());
            match guard.take() {
                Some(written) => {
                    let meant = self.guard_form(written);
                    head.unknown_method |= meant.is_none();
                    let errors = self.diag.len();
                    guard = meant.and_then(|meant| self.sound(meant, Use::Guard));
                    if self.diag.len() > errors {
                        // A part of a guard is none, and nobody knows what the whole would take.
                        guard = None;
                        head.unknown_method = true;
                    }
                }
                None => {
                    self.diag
                        .error(place, "expected a guard after `if`")
                        .help("write `if header(\"x-beta\").is(\"1\")`");
                }
            }
        }
        let mut target = None;
        if self.arrow(c, &path) {
            if let Some(scope) = self.scope_behind_arrow(c, &head, &path) {
                return scope;
            }
            self.late_guard = None;
            self.late_layers.clear();
            target = self.target(c, Stop::Comma);
            // Reported there; meant as a guard, so that nothing follows from the mistake.
            guard = guard.or(self.late_guard.take());
            layers.append(&mut self.late_layers);
        } else {
            // A guard may be about to follow.
            head.unknown_method = true;
        }
        if c.is_word(0, "with") {
            self.mark_layers(c);
            layers.extend(self.with(c));
            self.more_layers(c, &mut layers);
        }
        self.end_of_route(c);
        Entry::Route(Box::new(Route {
            allowed: head.allowed,
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
    fn arrow(&mut self, c: &mut Cursor<'_>, path: &Text) -> bool {
        if c.is_arrow(0) {
            c.skip(2);
            return true;
        }
        let count = (0..3)
            .take_while(|at| "-=:>~<".chars().any(|character| c.is_punct(*at, character)))
            .count();
        if count > 0 {
            let text: String = c
                .rest()
                .iter()
                .take(count)
                .map(ToString::to_string)
                .collect();
            self.diag
                .error(
                    c.span(),
                    format!("expected `=>` before the target, found `{text}`"),
                )
                .help("write `\"/path\" => target,`");
            c.skip(count);
            return true;
        }
        if self.is_cut_off(c) {
            return false;
        }
        let error = self
            .diag
            .error(c.span_before(), "expected `=>` and a target after this");
        if is_target(c) {
            let target = c.rest().iter().take_while(|token| {
                !matches!(token, proc_macro2::TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';'))
            });
            let target: Vec<_> = target.cloned().collect();
            error.help(format!("write `{} => {},`", path.token, source(&target)));
            return true;
        }
        error.help("write `\"/path\" => target,` for a route, or `\"/path\" { .. }` for a scope");
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
        // The body of a block has no arrow, unless it is one of a `match`, in braces of its own.
        let arrow =
            (0..tokens.len()).any(|at| Cursor::new(&tokens, group.span_close()).is_arrow(at));
        if !arrow || !starts_line(&Cursor::new(&tokens, group.span_close())) {
            return None;
        }
        self.diag
            .error(c.span_before(), "unexpected `=>` before a scope")
            .help("write `\"/path\" { .. }`");
        let scope = self.scope(c, head, path.clone(), Vec::new());
        Some(Entry::Scope(scope))
    }

    fn end_of_route(&mut self, c: &mut Cursor<'_>) {
        if std::mem::take(&mut self.commented) || c.is_end() || c.eat_punct(',') {
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
                .error(c.span(), "unexpected second `=>` in a route")
                .help("add a `,` between this route and the next");
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

/// Whether `exact` was meant by the word before a path.
pub(super) fn is_like_exact(word: &str) -> bool {
    let elsewhere =
        vocab::find(vocab::Slot::Exact, "exact").map_or(&[][..], |exact| exact.elsewhere);
    word != "exact" && (nearest(word, ["exact"]).is_some() || elsewhere.contains(&word))
}

/// Whether a target starts here without the `=>` before it: a name, alone, with options or called, or a URL.
fn is_target(c: &Cursor<'_>) -> bool {
    let ends = |at: usize| c.peek(at).is_none() || c.is_punct(at, ',') || c.is_word(at, "with");
    let name = c.ident(0).is_some_and(|word| !is_keyword(word));
    let url = c.text(0).is_some_and(|text| text.value.contains("://"));
    let goes_on = ends(1) || c.is_punct(1, '.') || c.group(1, Delimiter::Parenthesis).is_some();
    (name && goes_on || url && ends(1)) && !starts_line(c)
}
