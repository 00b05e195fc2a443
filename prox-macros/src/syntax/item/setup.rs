//! What is made once: `let` and `backend`.

use proc_macro2::{Ident, TokenTree};

use super::type_until;
use crate::{
    diag::{Place, line},
    syntax::{
        Parser,
        ast::{Attr, Backend, Let, Setup},
        cursor::Cursor,
        expr::Stop,
        marks::Mark,
        skip_line,
        sound::Use,
        words::starts_line,
    },
};

impl Parser<'_> {
    /// `let pattern: Type = value;`
    pub(in crate::syntax) fn binding(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>) {
        self.only_levels(&attrs, "`let`");
        let word = c.span();
        c.bump();
        let pattern = type_until(c, |c| {
            let equals = c.is_punct(0, '=') && !c.is_punct(1, '=') && !c.is_arrow(0);
            equals || c.is_punct(0, ';')
        });
        // Around a gateway without a name there may be lifetimes.
        let pattern = match pattern.iter().position(is_colon) {
            Some(colon) if self.gateway.named.is_some() => {
                let ty = self.sound_type(Vec::from(pattern.get(colon + 1..).unwrap_or_default()));
                [pattern.get(..=colon).unwrap_or_default(), &ty].concat()
            }
            _ => pattern,
        };
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
        if value.is_none() {
            self.diag
                .error(place, "expected a value after `=`")
                .help("write `let name = value;`");
        }
        if let Some(value) = value.and_then(|value| self.sound(value, Use::Value)) {
            self.gateway.setup.push(Setup::Let(Let {
                attrs,
                pattern,
                value,
            }));
        } else {
            let names = pattern.iter().filter_map(|token| match token {
                TokenTree::Ident(name) if name != "mut" => Some(name.to_string()),
                _ => None,
            });
            self.gateway.holes.extend(names.take(1));
        }
        self.semicolon(c, "the value");
    }

    /// `backend name = target;`
    pub(in crate::syntax) fn backend(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>) {
        self.only_allow(&attrs, "a backend");
        let Some(name) = self.name(c, "backend users = \"http://127.0.0.1:8080\";") else {
            return;
        };
        let mut target = None;
        let mut missing = true;
        let equals = c.is_punct(0, '=') && !c.is_arrow(0);
        let url = c.is_string(0) && !starts_line(c);
        if equals || c.is_arrow(0) || c.is_punct(0, ':') || url {
            if equals {
                c.bump();
            } else {
                self.diag
                    .error(c.span(), "expected `=` after the name of the backend")
                    .help(format!("write `backend {name} = target;`"));
                c.skip(usize::from(!url));
                c.eat_punct('>');
            }
            missing = false;
            target = self.target(c, Stop::Semicolon);
            self.layers_of_backend(c);
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

    /// Refuses layers on the line of a backend; on the next line they are a line of their own, and a `;` is missing.
    fn layers_of_backend(&mut self, c: &mut Cursor<'_>) {
        let place = c.span();
        if !c.is_word(0, "with") || line(place) != line(c.span_before()) {
            return;
        }
        self.with(c);
        self.diag
            .error(place, "layers are not allowed on a backend")
            .help("write them on the routes that use it: `\"/users\" => users with [auth],`");
    }
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}
