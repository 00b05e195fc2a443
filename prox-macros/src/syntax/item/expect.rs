//! Expectations: `expect GET "https://host/path" => name;`.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenTree};

use crate::{
    diag::Place,
    syntax::{
        Parser,
        ast::{Attr, Expect, Outcome, Text},
        cursor::{Cursor, text_of, tokens_of},
        expr::list,
        marks::Slot,
        methods::{Method, nearest_method, quoted},
        source::source,
        words::{is_method, starts_line},
    },
};

const FORMS: &str = "write `expect GET \"https://api.example.com/v1\" => users;`, or `.. => 404;`";

impl Parser<'_> {
    /// One expectation. What is wrong with it is said once, and nothing of it is left for the next line.
    pub(in crate::syntax) fn expect(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
        self.no_attrs(attrs, "`expect`");
        let word = c.span();
        c.bump();
        let errors = self.diag.len();
        let on = self.expected_listener(c);
        let method = self.expected_method(c, word);
        let url = self.expected_url(c, word, errors);
        let outcome = url.as_ref().and_then(|_| self.expected_outcome(c, errors));
        if outcome.is_some() {
            self.no_more(c);
        }
        let sound = self.diag.len() == errors;
        let ends = c.is_end() || c.is_punct(0, ';') || c.is_punct(0, ',') || starts_line(c);
        if outcome.is_some() && ends {
            self.semicolon(c, "the `expect`");
        } else {
            if let (true, Some(token)) = (sound, c.peek(0)) {
                let place = c.span();
                let shown = source(std::slice::from_ref(token));
                self.diag
                    .error(place, format!("unexpected `{shown}` in an `expect`"))
                    .help(FORMS);
            }
            if !std::mem::take(&mut self.commented) {
                to_the_end(c);
            }
        }
        if let (true, Some(method), Some(url), Some(outcome)) =
            (sound && ends, method, url, outcome)
        {
            self.gateway.expects.push(Expect {
                on,
                method,
                url,
                outcome,
            });
        }
    }

    /// Refuses a guard and layers, with all that belongs to them.
    fn no_more(&mut self, c: &mut Cursor<'_>) -> bool {
        let layers = c.is_word(0, "with") && c.group(1, Delimiter::Bracket).is_some();
        let (what, why) = if c.is_word(0, "if") {
            (
                "guard",
                "it is decided by the URL, without headers and cookies",
            )
        } else if layers {
            ("layers", "it is about which route answers")
        } else {
            return false;
        };
        self.diag
            .error(
                c.span(),
                format!("{what} is not allowed in an `expect`: {why}"),
            )
            .help(FORMS);
        c.skip(if layers { 2 } else { 1 });
        true
    }

    /// `on "internal"`, if it is there.
    fn expected_listener(&mut self, c: &mut Cursor<'_>) -> Option<Text> {
        if !c.is_word(0, "on") || starts_line(c) {
            return None;
        }
        let word = c.span();
        c.bump();
        if c.is_string(0) {
            return self.listener(c, word);
        }
        self.diag
            .error(word, "expected the name of a listener in quotes")
            .help("write `expect on \"internal\" GET \"/metrics\" => ..;`");
        if c.ident(0).is_some_and(|name| !is_method(&name.to_string())) {
            c.bump();
        }
        None
    }

    /// The method; none if it is missing or unknown.
    fn expected_method(&mut self, c: &mut Cursor<'_>, word: Span) -> Option<Method> {
        self.mark_word(Slot::Method, c);
        let next_line = |word: &&Ident| {
            let word = word.to_string();
            starts_line(c) && !is_method(&word) && (word != "exact" || is_route(c))
        };
        let Some(written) = c.ident(0).filter(|word| !next_line(word)) else {
            if let Some(text) = quoted(c).filter(|_| c.is_string(1)) {
                c.bump();
                return Some(self.quoted_method(&text));
            }
            return self.method_in_quotes(c, word);
        };
        let mut method = None;
        if written == "exact" {
            self.no_exact(c);
        }
        if let Some(written) = c.ident(0) {
            method = self.method(written);
            c.bump();
        }
        if c.is_word(0, "exact") {
            self.no_exact(c);
        }
        if c.is_punct(0, '|') || c.is_punct(0, ',') {
            let place = c.span();
            if method.is_some() {
                self.diag
                    .error(place, "unexpected second method in an `expect`")
                    .help("write an `expect` for each method");
            }
            while c.ident(0).is_some() || c.is_punct(0, '|') || c.is_punct(0, ',') {
                c.bump();
            }
        }
        method
    }

    fn no_exact(&mut self, c: &mut Cursor<'_>) {
        self.diag
            .error(
                c.span(),
                "`exact` is not allowed in an `expect`, which is about one URL",
            )
            .help("remove `exact`");
        c.bump();
    }

    /// `expect "GET /x"`, or no method at all.
    fn method_in_quotes(&mut self, c: &mut Cursor<'_>, word: Span) -> Option<Method> {
        let text = c.text(0).filter(|_| !is_route(c))?;
        let parts = text.value.split_once(' ');
        let parts = parts.filter(|(method, _)| nearest_method(method).is_some());
        if let Some((method, path)) = parts {
            self.diag
                .error(text.span, "the method must come before the quotes")
                .help(format!(
                    "write `expect {} \"{}\" => ..;`",
                    nearest_method(method).unwrap_or("GET"),
                    path.trim()
                ));
        } else {
            self.diag
                .error(word, "expected a method after `expect`")
                .help(format!("write `expect GET {} => ..;`", text.token));
        }
        None
    }

    /// The URL; none if it is missing.
    fn expected_url(&mut self, c: &mut Cursor<'_>, word: Span, errors: usize) -> Option<Text> {
        let named = matches!(c.previous(), Some(TokenTree::Ident(word)) if *word != "expect");
        if let Some(url) = c.text(0).filter(|_| named || !is_route(c)) {
            c.bump();
            return Some(url);
        }
        if self.diag.len() > errors {
            return None;
        }
        let place = c.span();
        let method = c.previous().map_or_else(String::new, ToString::to_string);
        let method = if is_method(&method) { &*method } else { "GET" };
        if let Some(text) = in_brackets(c) {
            self.diag
                .error(place, "unexpected brackets around a URL")
                .help(format!("write `expect {method} {} => ..;`", text.token));
        } else if c
            .ident(0)
            .is_some_and(|word| word == "http" || word == "https")
            && c.is_punct(1, ':')
        {
            self.diag
                .error(place, "expected quotes around the URL")
                .note("without quotes, `//` starts a comment")
                .help(format!(
                    "write `expect {method} \"https://api.example.com/v1\" => ..;`"
                ));
            c.skip(2);
            self.commented = true;
        } else if c.is_punct(0, '/') {
            let written = c.rest().iter().take_while(|token| {
                !matches!(token, TokenTree::Punct(punct) if matches!(punct.as_char(), '=' | ';' | ','))
            });
            let path: String = written.map(ToString::to_string).collect();
            self.diag
                .error(place, "expected quotes around the URL")
                .help(format!("write `expect {method} \"{path}\" => ..;`"));
        } else {
            let place = c.previous().map_or(word, TokenTree::span);
            self.diag
                .error(
                    place,
                    "expected a method, a URL, `=>`, and a name or a status",
                )
                .help(FORMS);
        }
        None
    }

    /// What answers; none if it is missing, or cannot be named.
    fn expected_outcome(&mut self, c: &mut Cursor<'_>, errors: usize) -> Option<Outcome> {
        if self.no_more(c) {
            return None;
        }
        if c.is_punct(0, '|') {
            self.diag
                .error(c.span(), "unexpected second URL in an `expect`")
                .help("write an `expect` for each URL");
            while c.is_punct(0, '|') || c.is_string(0) {
                c.bump();
            }
        }
        if !self.expected_arrow(c, errors) {
            return None;
        }
        self.mark_outcome(c.peek(0));
        let ends = c.is_end() || c.is_punct(0, ';') || c.is_punct(0, ',') || starts_line(c);
        if ends {
            if self.diag.len() == errors {
                self.diag
                    .error(c.span_before(), "expected a name or a status after `=>`")
                    .help("write the name of a backend or a handler, or a status: `=> users;`, `=> 404;`");
            }
            return None;
        }
        self.outcome(c)
    }

    /// Takes `=>`, or what was written for it; says whether an outcome can follow.
    fn expected_arrow(&mut self, c: &mut Cursor<'_>, errors: usize) -> bool {
        if c.is_arrow(0) {
            c.skip(2);
            return true;
        }
        let said = self.diag.len() > errors;
        let count = (0..3)
            .take_while(|at| "-=:>~<!".chars().any(|sign| c.is_punct(*at, sign)))
            .count();
        let found: String = c
            .rest()
            .iter()
            .take(count)
            .map(ToString::to_string)
            .collect();
        let operand = matches!(c.peek(0), Some(TokenTree::Ident(_) | TokenTree::Literal(_)))
            && !starts_line(c);
        if !said {
            let (place, found) = if count > 0 {
                (c.span(), format!(", found `{found}`"))
            } else {
                (c.span_before(), String::new())
            };
            self.diag
                .error(
                    place,
                    format!("expected `=>` and a name or a status after the URL{found}"),
                )
                .help("write `.. => users;`, or `.. => 404;`");
        }
        c.skip(count);
        count > 0 || operand
    }

    fn outcome(&mut self, c: &mut Cursor<'_>) -> Option<Outcome> {
        let rest = c.rest();
        let end = rest
            .iter()
            .position(|token| matches!(token, TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',')))
            .unwrap_or(rest.len());
        let written = rest.get(..end).unwrap_or_default();
        let place = Place::of(written, c.span());
        match rest {
            [TokenTree::Literal(literal), ..] => {
                let text = c.text(0);
                c.bump();
                let Some(text) = text else {
                    return Some(Outcome::Status(literal.clone()));
                };
                let error = self.diag.error(
                    literal.span(),
                    "expected a name or a status, found a string",
                );
                if text.value.contains("://") {
                    error.help(format!(
                        "write `backend users = {literal};`, and `=> users;` here"
                    ));
                } else if let Ok(status @ 200..=599_u16) = text.value.parse() {
                    error.help(format!("write `=> {status};`"));
                } else if super::is_name(&text.value) {
                    error.help(format!("write `=> {};`, without quotes", text.value));
                } else {
                    error.help("write the name of a backend or a handler, or a status: `=> users;`, `=> 404;`");
                }
                None
            }
            [TokenTree::Ident(word), TokenTree::Group(group), ..] => {
                let meant = meant(word, group);
                let error = self.diag.error(place, "expected a name or a status");
                match &meant {
                    Some(Outcome::Name(name)) => error.help(format!("write `=> {name};`")),
                    Some(Outcome::Status(status)) => error.help(format!("write `=> {status};`")),
                    None => error.help(
                        "write the name of a backend or a handler, or a status: `=> users;`, `=> 404;`",
                    ),
                };
                c.skip(end);
                meant
            }
            [TokenTree::Ident(_), TokenTree::Punct(colon), ..]
                if colon.as_char() == ':' && c.is_punct(2, ':') =>
            {
                // Of a path the last name counts.
                while c.is_punct(1, ':') && c.is_punct(2, ':') && c.ident(3).is_some() {
                    c.skip(3);
                }
                let name = c.ident(0).cloned();
                c.bump();
                name.map(Outcome::Name)
            }
            [TokenTree::Ident(name), TokenTree::Punct(dot), ..] if dot.as_char() == '.' => {
                self.diag
                    .error(place, "unexpected options in an `expect`")
                    .help(format!("write `=> {name};`"));
                c.skip(end);
                Some(Outcome::Name(name.clone()))
            }
            [TokenTree::Ident(name), ..]
                if ["None", "nothing", "nobody", "not_found", "_"]
                    .iter()
                    .any(|nothing| name == nothing) =>
            {
                self.diag
                    .error(name, "expected a name or a status")
                    .help("write `=> 404;`: a request that no route matches is answered with 404");
                c.bump();
                None
            }
            [TokenTree::Ident(name), ..] => {
                c.bump();
                Some(Outcome::Name(name.clone()))
            }
            _ => None,
        }
    }
}

/// Whether a route follows, which ends with `,`, and no rest of an expectation, which ends with `;`.
fn is_route(c: &Cursor<'_>) -> bool {
    let end = c.rest().iter().find_map(|token| match token {
        TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => Some(punct.as_char()),
        _ => None,
    });
    end != Some(';') && starts_line(c)
}

/// What `respond(418, "..")` or `handler(hello)` is called in an expectation.
fn meant(word: &Ident, group: &Group) -> Option<Outcome> {
    let arguments = list(&tokens_of(group.stream()), group.span_close());
    let first = arguments.first()?;
    match (word.to_string().as_str(), first.tokens.as_slice()) {
        ("respond" | "redirect", [TokenTree::Literal(status)]) => {
            let number: Result<u16, _> = status.to_string().parse();
            let mut copy = Literal::u16_unsuffixed(number.ok()?);
            copy.set_span(status.span());
            Some(Outcome::Status(copy))
        }
        ("handler" | "service", tokens) => match tokens.last()? {
            TokenTree::Ident(name) => Some(Outcome::Name(name.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The text in `("text")`.
fn in_brackets(c: &Cursor<'_>) -> Option<Text> {
    let group = c
        .group(0, Delimiter::Parenthesis)
        .or(c.group(0, Delimiter::Bracket))?;
    text_of(&group.stream().into_iter().next()?)
}

/// Passes over what is left of an expectation.
fn to_the_end(c: &mut Cursor<'_>) {
    while !c.is_end() && !starts_line(c) && !c.eat_punct(';') {
        c.bump();
    }
}
