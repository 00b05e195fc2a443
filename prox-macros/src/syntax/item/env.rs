//! Variables of the environment.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};

use quote::quote_spanned;

use super::type_until;
use crate::syntax::{
    Parser,
    ast::{Attr, Env},
    cursor::{Cursor, tokens_of},
    expr::Stop,
    marks::Mark,
    sound::Use,
    source::source,
    units::{Unit, unit},
    words::starts_line,
};

impl Parser<'_> {
    /// `env NAME: Type = default;`
    pub(in crate::syntax) fn env(&mut self, c: &mut Cursor<'_>, attrs: Vec<Attr>) {
        self.only_allow(&attrs, "a variable");
        let Some(name) = self.name(c, "env NAME: Type;") else {
            return;
        };
        let mut ty = Vec::new();
        if c.eat_punct(':') {
            ty = type_until(c, |c| {
                c.is_punct(0, '=') || c.is_punct(0, ';') || starts_line(c)
            });
        }
        let equals = ty.is_empty() && c.is_punct(0, '=');
        let turned = type_behind_equals(c.rest()).filter(|_| equals);
        if let (Some(meant), Some(equals)) = (turned, c.peek(0)) {
            ty = Vec::from(meant);
            self.diag
                .error(equals.span(), "expected `:` before the type of a variable")
                .help(format!("write `env {name}: {};`", source(&ty)));
            c.skip(ty.len() + 1);
        }
        let mut ty = self.sound_type(ty);
        self.mark(Mark::Env {
            docs: attrs.iter().filter_map(|attr| attr.doc.clone()).collect(),
            name: name.clone(),
            ty: ty.clone(),
        });
        if ty.is_empty() {
            ty = self.missing_type(c, &name);
        }
        if let [TokenTree::Group(list)] = ty.as_slice()
            && list.delimiter() == Delimiter::Bracket
            && !list.to_string().contains(';')
        {
            let element = source(&tokens_of(list.stream()));
            self.diag
                .error(list.span(), "expected `Vec` for a list")
                .help(format!("write `env {name}: Vec<{element}>;`"));
            let element = list.stream();
            ty = quote_spanned!(Span::mixed_site()=> ::std::vec::Vec<#element>)
                .into_iter()
                .collect();
        }
        let mut default = None;
        if c.is_punct(0, '=') {
            let place = c.span();
            c.bump();
            default = Self::expr(c, Stop::Semicolon);
            if let Some(written) = default.take() {
                self.mark(Mark::Expr(written.clone()));
                default = self
                    .sound(written, Use::Value)
                    .and_then(|default| self.default_form(&ty, default));
                if default.is_none() {
                    self.gateway.flawed_defaults.insert(name.to_string());
                }
            } else {
                self.diag
                    .error(place, "expected a default after `=`")
                    .help("write it, or remove `=` for a required variable");
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

    /// Reports that the type is missing; the one that the name or the default tells, else `String`.
    fn missing_type(&mut self, c: &Cursor<'_>, name: &Ident) -> Vec<TokenTree> {
        let by_name = of_name(&name.to_string());
        let told = match of_default(c) {
            // Of a number the name tells more.
            Some("u32") => by_name.filter(|ty| *ty == "u16").or(Some("u32")),
            told => told.or(by_name),
        };
        let ty = told.unwrap_or("String");
        let error = self
            .diag
            .error(name, format!("missing type for the variable `{name}`"));
        let end = if c.is_punct(0, '=') { " = .." } else { "" };
        if told.is_some() {
            error.help(format!("write `env {name}: {ty}{end};`"));
        } else {
            error.help(format!(
                "write `env {name}: {ty}{end};`, or another type that implements `FromStr`"
            ));
        }
        let tokens: TokenStream = ty.parse().unwrap_or_default();
        tokens
            .into_iter()
            .map(|mut token| {
                token.set_span(Span::mixed_site().located_at(name.span()));
                token
            })
            .collect()
    }
}

/// The type in `= Type;`: a name in upper and lower case, perhaps with parameters.
fn type_behind_equals(rest: &[TokenTree]) -> Option<&[TokenTree]> {
    let rest = rest.get(1..)?;
    let end = rest
        .iter()
        .position(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'))
        .unwrap_or(rest.len());
    let ty = rest.get(..end)?;
    let [TokenTree::Ident(name), parameters @ ..] = ty else {
        return None;
    };
    let name = name.to_string();
    let is_type = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
    let angle =
        matches!(parameters.first(), Some(TokenTree::Punct(punct)) if punct.as_char() == '<');
    (is_type && (parameters.is_empty() || angle)).then_some(ty)
}

/// The type that the default has.
fn of_default(c: &Cursor<'_>) -> Option<&'static str> {
    let default = c.peek(1).filter(|_| c.is_punct(0, '='))?;
    match default {
        TokenTree::Ident(word) if *word == "true" || *word == "false" => Some("bool"),
        TokenTree::Literal(literal) => match unit(literal) {
            Some(Ok(Unit::Millis(_))) => Some("Duration"),
            Some(Ok(Unit::Bytes(_))) => Some("usize"),
            _ if c.text(1).is_some_and(|text| text.value.contains("://")) => Some("Endpoint"),
            _ if c.is_string(1) => Some("String"),
            _ if literal.to_string().parse::<u32>().is_ok() => Some("u32"),
            _ => None,
        },
        _ => None,
    }
}

/// The type that a variable of this name mostly has.
fn of_name(name: &str) -> Option<&'static str> {
    const ENDINGS: [(&str, &[&str]); 6] = [
        (
            "Vec<Endpoint>",
            &["URLS", "ENDPOINTS", "UPSTREAMS", "BACKENDS", "PEERS"],
        ),
        (
            "Endpoint",
            &[
                "URL", "URI", "ENDPOINT", "UPSTREAM", "BACKEND", "SERVICE", "ADDR",
            ],
        ),
        ("u16", &["PORT"]),
        (
            "Duration",
            &["TIMEOUT", "INTERVAL", "TTL", "DELAY", "PERIOD"],
        ),
        (
            "u32",
            &[
                "RATE", "LIMIT", "COUNT", "MAX", "BURST", "RETRIES", "SIZE", "WEIGHT",
            ],
        ),
        ("bool", &["ENABLED", "DEBUG", "VERBOSE", "DISABLED"]),
    ];
    let last = name
        .rsplit('_')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    ENDINGS
        .iter()
        .find(|(_, endings)| endings.contains(&last.as_str()))
        .map(|(ty, _)| *ty)
}
