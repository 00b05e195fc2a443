//! The block of a host.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};

use crate::{
    diag::Place,
    syntax::{
        Parser,
        ast::{Attr, Expr, Host, Text},
        cursor::{Cursor, text_of, tokens_of},
        marks::Mark,
        skip_line,
        words::starts_line,
    },
};

impl Parser<'_> {
    /// `host "a" | "b" with [..] { .. }`
    pub(in crate::syntax) fn host(&mut self, c: &mut Cursor<'_>, attrs: &[Attr]) {
        self.no_attrs(attrs, "`host`");
        let word = c.span();
        let errors = self.diag.len();
        c.bump();
        let (mut names, mut variables) = (Vec::new(), Vec::new());
        let any = c.is_word(0, "_");
        if any {
            c.bump();
        } else {
            names = self.host_names(c, word, &mut variables);
        }
        let mut layers = self.layers_of_block(c);
        let written = names.iter().map(|name| name.token.to_string());
        let shown: Vec<String> = written
            .chain(variables.iter().map(ToString::to_string))
            .collect();
        let shown = if any {
            String::from("_")
        } else {
            shown.join(" | ")
        };
        let host = if shown.is_empty() {
            "\"api.example.com\""
        } else {
            &shown
        };
        let Some(group) = self.braces(c, "the host", &format!("host {host}"), errors) else {
            return;
        };
        let errors = self.diag.len();
        let block = self.block(group);
        if block.entries.is_empty() && self.diag.len() == errors {
            self.diag
                .error(
                    word,
                    "this host has no routes, so every request for it is answered with 404",
                )
                .help(format!(
                    "write `host {shown} {{ \"/\" => target }}`, or remove it"
                ));
        }
        layers.extend(block.layers);
        // A name that is missing has been reported; its routes must not serve every host.
        if any || !names.is_empty() || !variables.is_empty() {
            self.gateway.hosts.push(Host {
                names,
                variables,
                layers,
                required: block.required,
                entries: block.entries,
            });
        }
    }

    /// The layers before the braces of a block.
    pub(super) fn layers_of_block(&mut self, c: &mut Cursor<'_>) -> Vec<Expr> {
        self.mark_layers(c);
        let mut layers = Vec::new();
        if c.is_word(0, "with") {
            layers = self.with(c);
            self.more_layers(c, &mut layers);
        }
        layers
    }

    /// The braces of a block with routes. If they are missing, leaves the line, and reports it unless there are more than `errors`: what
    /// is wrong before the braces has been reported.
    pub(super) fn braces<'t>(
        &mut self,
        c: &mut Cursor<'t>,
        owner: &str,
        head: &str,
        errors: usize,
    ) -> Option<&'t Group> {
        let group = c.group(0, Delimiter::Brace);
        if group.is_some() {
            c.bump();
            return group;
        }
        if self.diag.len() == errors && !self.is_cut_off(c) {
            self.diag
                .error(
                    c.span_before(),
                    format!("expected `{{` and the routes of {owner}"),
                )
                .help(format!("write `{head} {{ \"/\" => target }}`"));
        }
        if !c.is_end() && !starts_line(c) {
            skip_line(c);
        }
        None
    }

    /// The hosts in quotes; the variables are added to `variables`.
    fn host_names(
        &mut self,
        c: &mut Cursor<'_>,
        word: Span,
        variables: &mut Vec<Ident>,
    ) -> Vec<Text> {
        if (c.is_punct(0, ':') || c.is_punct(0, '=')) && c.is_string(1) {
            self.diag
                .error(c.span(), "expected the host right after `host`")
                .help("write `host \"api.example.com\" { .. }`");
            c.bump();
        }
        let brackets = c
            .group(0, Delimiter::Parenthesis)
            .or(c.group(0, Delimiter::Bracket));
        if let Some(group) = brackets {
            let tokens = tokens_of(group.stream());
            let names: Vec<Text> = tokens.iter().filter_map(text_of).collect();
            if !names.is_empty() {
                let shown: Vec<String> = names.iter().map(|name| name.token.to_string()).collect();
                self.diag
                    .error(group.span(), "unexpected brackets around a host")
                    .help(format!("write `host {}`", shown.join(" | ")));
                c.bump();
                return names;
            }
        }
        let mut names: Vec<Text> = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let place = c.span();
            let shown = if let Some(name) = c.text(0) {
                let shown = name.token.to_string();
                names.push(name);
                shown
            } else if let Some(name) = self.host_variable(c) {
                self.mark(Mark::Expr(Expr {
                    tokens: vec![TokenTree::Ident(name.clone())],
                }));
                variables.push(name.clone());
                name.to_string()
            } else {
                break;
            };
            let joined = before.is_none() || matches!(c.previous(), Some(TokenTree::Punct(_)));
            if let Some(before) = before.filter(|_| !joined) {
                self.diag
                    .error(place, "expected `|` between two hosts")
                    .help(format!("write `host {before} | {shown}`"));
            }
            before = Some(shown);
            c.bump();
            let place = c.span();
            if c.eat_punct('|') {
                // As in an expression of Rust.
                c.eat_punct('|');
            } else if c.eat_punct(',') {
                self.diag
                    .error(place, "expected `|` between two hosts, found `,`")
                    .help("write `host \"a.example.com\" | \"b.example.com\"`");
            } else if c.text(0).is_some_and(|text| text.value.starts_with('/')) {
                break;
            }
        }
        if (names.is_empty() && variables.is_empty())
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
            if names.is_empty() && variables.is_empty() && !shown.is_empty() {
                names.push(Text::meant(shown, span));
            }
        }
        names
    }

    /// The variable at the cursor: a name that is declared, or is written as those of variables are.
    fn host_variable<'t>(&self, c: &Cursor<'t>) -> Option<&'t Ident> {
        let name = c.ident(0)?;
        if starts_line(c) || c.is_word(0, "with") {
            return None;
        }
        let text = name.to_string();
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let written = text.starts_with(|c: char| c.is_ascii_uppercase()) && text.bytes().all(upper);
        let mut env = self.gateway.env.iter();
        (written || env.any(|variable| variable.name == *name)).then_some(name)
    }
}
