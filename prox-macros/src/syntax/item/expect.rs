//! Expectations.

use proc_macro2::TokenTree;

use crate::syntax::{
    Parser,
    ast::{Attr, Expect, Outcome},
    cursor::Cursor,
    marks::Slot,
    words::starts_line,
};

impl Parser<'_> {
    /// `expect GET "https://host/path" => name;`
    pub(in crate::syntax) fn expect(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
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
        if let (None, Some(url), Some(_)) = (&written, &url, &outcome) {
            self.diag
                .error(word, "expected a method behind `expect`")
                .help(format!("write `expect GET {} => ..`", url.token));
        }
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
}
