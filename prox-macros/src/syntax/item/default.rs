//! Defaults of variables: literals of the type, or in the form that the environment has.

use proc_macro2::{Delimiter, Literal, Span, TokenTree};

use crate::{
    diag::{Flaw, Place},
    syntax::{
        Parser, arguments,
        ast::{Expr, Text},
        cursor::{text_of, tokens_of},
        host,
        source::source,
        units::{Unit, unit},
        url,
    },
};

/// Whether `https` may be written.
const TLS: bool = cfg!(feature = "tls");

/// What is known of the type of a variable.
#[derive(Clone, Debug)]
pub(crate) enum Type<'t> {
    Endpoint,
    Host,
    Duration,
    Bool,
    /// A whole number from the first to the second.
    Whole(i128, u128),
    /// A whole number but 0.
    NonZero,
    Float,
    Text,
    Secret,
    Address(&'static str),
    /// A list, and the type of its elements.
    Vec(&'t [TokenTree]),
    Option(&'t [TokenTree]),
    Other,
}

/// How the expansion makes the default.
pub(crate) enum Form<'t> {
    /// From a string, as from the environment.
    Text(Literal),
    /// Each element from a string; the type is that of an element.
    Texts(&'t [TokenTree], Vec<Literal>),
    /// An array as a list.
    List,
    /// `Some` of the literal.
    Some,
    /// As it is written.
    Plain,
}

/// Names of numbers, and their bounds.
const WHOLE: [(&str, i128, u128); 12] = [
    ("u8", 0, u8::MAX as u128),
    ("u16", 0, u16::MAX as u128),
    ("u32", 0, u32::MAX as u128),
    ("u64", 0, u64::MAX as u128),
    ("u128", 0, u128::MAX),
    ("usize", 0, u64::MAX as u128),
    ("i8", i8::MIN as i128, i8::MAX as u128),
    ("i16", i16::MIN as i128, i16::MAX as u128),
    ("i32", i32::MIN as i128, i32::MAX as u128),
    ("i64", i64::MIN as i128, i64::MAX as u128),
    ("i128", i128::MIN, i128::MAX as u128),
    ("isize", i64::MIN as i128, i64::MAX as u128),
];

const ADDRESSES: [&str; 6] = [
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
];

impl<'t> Type<'t> {
    /// By the last name of its path; a type of the user's own may have any of them, so nothing is said but of literals that
    /// the type of that name would not take.
    pub(crate) fn of(ty: &'t [TokenTree]) -> Self {
        let angle = ty.iter().position(|token| is(token, '<'));
        let (path, inner) = match (angle, ty.split_last()) {
            (Some(at), Some((last, front))) if is(last, '>') => (ty.get(..at), front.get(at + 1..)),
            (None, _) => (Some(ty), None),
            _ => return Self::Other,
        };
        let path = path.unwrap_or_default();
        let Some(TokenTree::Ident(name)) = path.last() else {
            return Self::Other;
        };
        let first = path
            .iter()
            .find(|token| matches!(token, TokenTree::Ident(_)));
        let first = first.map_or_else(String::new, ToString::to_string);
        let known = ["std", "core", "alloc", "prox"].contains(&&*first);
        if path.len() > 1 && !known {
            // Of a module of the user's own.
            return Self::Other;
        }
        let name = name.to_string();
        let known = ADDRESSES.iter().find(|address| **address == name);
        let whole = WHOLE.iter().find(|(whole, ..)| *whole == name);
        match (name.as_str(), inner) {
            ("Vec", Some(element)) => Self::Vec(element),
            ("Option", Some(inner)) => Self::Option(inner),
            (name, _) if name.starts_with("NonZero") => Self::NonZero,
            (_, Some(_)) => Self::Other,
            ("Endpoint", None) => Self::Endpoint,
            ("Host", None) => Self::Host,
            ("Duration", None) => Self::Duration,
            ("bool", None) => Self::Bool,
            ("f32" | "f64", None) => Self::Float,
            ("String", None) => Self::Text,
            ("Secret", None) => Self::Secret,
            _ => match (known, whole) {
                (Some(address), _) => Self::Address(address),
                (_, Some((_, least, most))) => Self::Whole(*least, *most),
                _ => Self::Other,
            },
        }
    }
}

/// How the expansion makes the default of a variable of this type.
pub(crate) fn form<'t>(ty: &'t [TokenTree], default: &Expr) -> Form<'t> {
    let literal = match default.tokens.as_slice() {
        [TokenTree::Literal(literal)] => Some(literal),
        _ => None,
    };
    let is_text = |literal: &Literal| text_of(&TokenTree::Literal(literal.clone())).is_some();
    if let Some(literal) = literal.filter(|literal| is_text(literal)) {
        return Form::Text(literal.clone());
    }
    match (Type::of(ty), default.tokens.as_slice()) {
        (Type::NonZero, [TokenTree::Literal(literal)]) => {
            let mut text = Literal::string(&literal.to_string().replace('_', ""));
            text.set_span(literal.span());
            Form::Text(text)
        }
        (Type::Vec(element), [TokenTree::Group(list)])
            if list.delimiter() == Delimiter::Bracket =>
        {
            let inner = tokens_of(list.stream());
            let texts = arguments(&inner).into_iter().map(|element| match element {
                [TokenTree::Literal(literal)] if is_text(literal) => Some(literal.clone()),
                _ => None,
            });
            match texts.collect::<Option<Vec<Literal>>>() {
                Some(texts) if !texts.is_empty() => Form::Texts(element, texts),
                _ => Form::List,
            }
        }
        (Type::Option(_), tokens) if is_literal(tokens) => Form::Some,
        _ => Form::Plain,
    }
}

/// Whether a value of this type must not be shown.
fn is_secret(ty: &[TokenTree]) -> bool {
    match Type::of(ty) {
        Type::Secret => true,
        Type::Option(inner) | Type::Vec(inner) => is_secret(inner),
        _ => false,
    }
}

/// Whether the tokens are a literal, perhaps behind a minus, or a truth value.
fn is_literal(tokens: &[TokenTree]) -> bool {
    match tokens {
        [TokenTree::Literal(_)] => true,
        [minus, TokenTree::Literal(_)] => is(minus, '-'),
        [TokenTree::Ident(word)] => *word == "true" || *word == "false",
        _ => false,
    }
}

impl Parser<'_> {
    /// The default, unless it is plainly not of the type, which is reported.
    pub(super) fn default_form(&mut self, ty: &[TokenTree], default: Expr) -> Option<Expr> {
        let errors = self.diag.len();
        if is_secret(ty) {
            self.diag
                .error(
                    Place::of(&default.tokens, default.span()),
                    "a secret must not have a default: it would be in the binary",
                )
                .help(
                    "remove the default; set the variable, or the same name with `_FILE` to the path of a file",
                );
            return None;
        }
        self.judge(ty, &default.tokens, default.span());
        (self.diag.len() == errors).then_some(default)
    }

    fn judge(&mut self, ty: &[TokenTree], value: &[TokenTree], place: Span) {
        match Type::of(ty) {
            Type::Option(inner) => return self.judge(inner, value, place),
            Type::Vec(element) => return self.judge_list(element, value),
            _ => {}
        }
        if !is_literal(value) {
            return;
        }
        let known = Type::of(ty);
        if let (Type::Endpoint, [token]) = (&known, value)
            && let Some(text) = text_of(token)
        {
            if let Some(flaw) = url::upstream(&text.value, TLS) {
                self.diag.flaw(&text, flaw);
            }
            return;
        }
        if let (Type::Host, [token]) = (&known, value)
            && let Some(text) = text_of(token)
        {
            if let Err(mut flaw) = host::parse(&text.value) {
                // It is not in the place of a host.
                if flaw.help.contains("`host ") {
                    flaw.help = String::from("write a host such as `\"api.example.com\"`");
                }
                self.diag.flaw(&text, flaw);
            }
            return;
        }
        if let Some(help) = help(&known, value) {
            let (shown, ty) = (source(value), source(ty));
            self.diag
                .error(
                    Place::of(value, place),
                    format!("the default `{shown}` is not a `{ty}`"),
                )
                .help(help);
        }
    }

    /// `["http://a", "http://b"]`, or `"http://a,http://b"` as it is written in the environment.
    fn judge_list(&mut self, element: &[TokenTree], value: &[TokenTree]) {
        match value {
            [TokenTree::Group(list)] if list.delimiter() == Delimiter::Bracket => {
                let inner = tokens_of(list.stream());
                for value in arguments(&inner) {
                    self.judge(element, value, list.span());
                }
            }
            [token] if matches!(Type::of(element), Type::Endpoint) => {
                let Some(text) = text_of(token) else { return };
                let mut start = 0;
                for part in text.value.split(',') {
                    let url = part.trim();
                    let blank = part.len() - part.trim_start().len();
                    if let Some(flaw) = url::upstream(url, TLS) {
                        let by = start + blank;
                        let at = flaw.at.start + by..flaw.at.end + by;
                        self.diag.flaw(&text, Flaw { at, ..flaw });
                        return;
                    }
                    start += part.len() + 1;
                }
            }
            _ => {}
        }
    }
}

/// What to write instead of a literal that the type does not take.
fn help(ty: &Type<'_>, value: &[TokenTree]) -> Option<String> {
    let negative = value.len() > 1;
    let shown = source(value);
    let literal = match value.last() {
        Some(TokenTree::Literal(literal)) => Some(literal),
        _ => None,
    };
    let text: Option<Text> = value.last().and_then(text_of);
    let quoted = text.as_ref().map(|text| text.value.clone());
    let unit = literal.and_then(unit);
    let is_unit = matches!(unit, Some(Ok(_)));
    if matches!(unit, Some(Err(_))) || (negative && is_unit) {
        // Reported for any expression.
        return None;
    }
    let without_quotes = |text: &str| format!("write `{text}`, without quotes");
    match ty {
        Type::Duration => {
            let digits = quoted.as_deref().unwrap_or(&shown);
            let number =
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_');
            let duration = digits
                .parse::<Literal>()
                .is_ok_and(|literal| matches!(self::unit(&literal), Some(Ok(Unit::Millis(_)))));
            match (&quoted, unit) {
                (None, Some(Ok(Unit::Millis(_)))) => None,
                _ if number => Some(format!(
                    "write `{digits}s` for seconds, or `{digits}ms` for milliseconds"
                )),
                (Some(text), _) if duration => Some(without_quotes(text.trim())),
                _ => Some(String::from(
                    "write a number and its unit: `250ms`, `5s`, `2m` or `1h`",
                )),
            }
        }
        Type::Bool => match (quoted.as_deref().unwrap_or(&shown), &quoted) {
            ("true" | "false", None) => None,
            (word @ ("true" | "false"), Some(_)) => Some(without_quotes(word)),
            ("1" | "yes" | "on", _) => Some(String::from("write `true`")),
            ("0" | "no" | "off", _) => Some(String::from("write `false`")),
            _ => Some(String::from("write `true` or `false`")),
        },
        Type::Whole(least, most) => {
            let digits = quoted.as_deref().unwrap_or(&shown).trim();
            let number = whole(digits);
            let fits = number.is_some_and(|(negative, number)| {
                if negative {
                    i128::try_from(number).is_ok_and(|number| -number >= *least)
                } else {
                    number <= *most
                }
            });
            match (&quoted, unit) {
                (None, Some(Ok(Unit::Bytes(_)))) => None,
                (None, _) if fits => None,
                (Some(_), _) if fits => Some(without_quotes(digits)),
                _ => Some(format!("write a whole number from {least} to {most}")),
            }
        }
        Type::NonZero => match (&quoted, shown.as_str()) {
            (None, "0") => Some(String::from("write a number other than 0")),
            _ => None,
        },
        Type::Float => match &quoted {
            Some(text) if text.parse::<f64>().is_ok() => Some(without_quotes(text)),
            None if whole(&shown).is_some() && !is_unit => Some(format!("write `{shown}.0`")),
            _ if is_unit || quoted.is_some() || literal.is_none() => {
                Some(String::from("write a number such as `0.5`"))
            }
            _ => None,
        },
        Type::Text => match (&quoted, literal) {
            (Some(_), _) => None,
            _ => Some(format!("write `\"{shown}\"`")),
        },
        Type::Endpoint => quoted
            .is_none()
            .then(|| String::from("write a URL such as `\"http://10.0.0.1:8080\"`")),
        Type::Host => quoted
            .is_none()
            .then(|| String::from("write a host such as `\"api.example.com\"`")),
        Type::Address(name) => {
            let good = quoted.as_deref().is_some_and(|text| is_address(name, text));
            let example = match *name {
                "IpAddr" | "Ipv4Addr" => "10.0.0.1",
                "Ipv6Addr" => "2001:db8::1",
                "SocketAddrV6" => "[2001:db8::1]:8080",
                _ => "10.0.0.1:8080",
            };
            (!good).then(|| format!("write an address such as `\"{example}\"`"))
        }
        Type::Secret | Type::Vec(_) | Type::Option(_) | Type::Other => None,
    }
}

fn is_address(ty: &str, text: &str) -> bool {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    match ty {
        "IpAddr" => text.parse::<IpAddr>().is_ok(),
        "Ipv4Addr" => text.parse::<Ipv4Addr>().is_ok(),
        "Ipv6Addr" => text.parse::<Ipv6Addr>().is_ok(),
        "SocketAddrV4" => text.parse::<SocketAddrV4>().is_ok(),
        "SocketAddrV6" => text.parse::<SocketAddrV6>().is_ok(),
        _ => text.parse::<SocketAddr>().is_ok(),
    }
}

/// `-5`, `1_000u32`, `0xff`: whether it is negative, and its amount.
fn whole(text: &str) -> Option<(bool, u128)> {
    let text = text.replace('_', "");
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (radix, digits) = match text.get(..2) {
        Some("0x") => (16, text.get(2..)?),
        Some("0o") => (8, text.get(2..)?),
        Some("0b") => (2, text.get(2..)?),
        _ => (10, text),
    };
    let end = digits.find(['u', 'i']).unwrap_or(digits.len());
    let number = u128::from_str_radix(digits.get(..end)?, radix).ok()?;
    Some((negative, number))
}

fn is(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ty: &str, value: &str) -> Option<String> {
        let ty = tokens_of(ty.parse().unwrap());
        help(&Type::of(&ty), &tokens_of(value.parse().unwrap()))
    }

    #[test]
    fn literals_of_the_type_are_taken() {
        for (ty, value) in [
            ("u8", "255"),
            ("i8", "-128"),
            ("u16", "0xffff"),
            ("usize", "16KiB"),
            ("Duration", "5s"),
            ("std::time::Duration", "1.5s"),
            ("bool", "true"),
            ("f64", "0.5"),
            ("f64", "1e3"),
            ("String", "\"a\""),
            ("std::net::IpAddr", "\"::1\""),
            ("SocketAddr", "\"10.0.0.1:80\""),
            ("NonZeroU32", "5"),
            ("NonZero<u32>", "5"),
            ("Mode", "\"fast\""),
            ("Mode", "5"),
            ("Url", "5"),
        ] {
            assert_eq!(told(ty, value), None, "{ty} = {value}");
        }
    }

    #[test]
    fn other_literals_are_told_what_to_write() {
        for (ty, value, wanted) in [
            ("u8", "256", "from 0 to 255"),
            ("u8", "-1", "from 0 to 255"),
            ("u8", "1.5", "from 0 to 255"),
            ("u8", "\"5\"", "write `5`, without quotes"),
            ("u32", "5s", "from 0"),
            ("Duration", "5", "write `5s` for seconds"),
            ("Duration", "\"5s\"", "write `5s`, without quotes"),
            ("Duration", "1KiB", "its unit"),
            ("bool", "\"false\"", "write `false`, without quotes"),
            ("bool", "1", "write `true`"),
            ("f64", "1", "write `1.0`"),
            ("f64", "\"0.5\"", "without quotes"),
            ("String", "5", "write `\"5\"`"),
            ("Endpoint", "8080", "a URL"),
            ("IpAddr", "\"10.0.0\"", "an address"),
            ("NonZeroU16", "0", "other than 0"),
        ] {
            let told = told(ty, value).unwrap_or_else(|| panic!("{ty} = {value}"));
            assert!(told.contains(wanted), "{ty} = {value}: {told}");
        }
    }
}
