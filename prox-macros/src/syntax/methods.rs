//! The methods that a route can name: the words, and those in quotes.
//!
//! A word is a method if IANA has registered it, or if it is `PURGE`. So a slip such as `GTE` is an error. Any other method is
//! written in quotes, `"INVALIDATE" "/cache"`, which no slip looks like.

use std::fmt;

use proc_macro2::Span;

use super::{
    Parser,
    ast::Text,
    cursor::Cursor,
    words::{METHODS, nearest},
};
use crate::diag::Place;

/// The registered methods beyond the nine (IANA, Hypertext Transfer Protocol Method Registry), and `PURGE`.
pub(crate) const MORE: [&str; 29] = [
    "ACL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
];

/// Registered as well, for the preface of HTTP/2; no request has it.
const PREFACE: &str = "PRI";

/// A method of a route, as a word or in quotes.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) span: Span,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.name))
    }
}

impl From<&Method> for Place {
    fn from(method: &Method) -> Self {
        method.span.into()
    }
}

/// The method as a gateway writes it: a word, or in quotes.
pub(crate) fn shown(name: &str) -> String {
    if is_method(name) {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}

/// Whether the word is a method without quotes.
pub(crate) fn is_method(word: &str) -> bool {
    METHODS.contains(&word) || MORE.contains(&word)
}

/// The word that was most likely meant by one that is not a method. One of the nine goes first.
pub(crate) fn nearest_method(word: &str) -> Option<&'static str> {
    let upper = word.to_ascii_uppercase();
    nearest(&upper, METHODS).or_else(|| nearest(&upper, MORE))
}

/// A method in quotes before a path: a token without letters in lower case, so that it is neither a path nor a host.
pub(crate) fn quoted(c: &Cursor<'_>) -> Option<Text> {
    let is_named = || c.ident(2).is_some_and(|word| is_method(&word.to_string())) || c.is_string(2);
    let goes_on = c.is_string(1)
        || (c.is_word(1, "exact") && c.is_string(2))
        || (c.is_punct(1, '|') && is_named());
    let text = goes_on.then(|| c.text(0))??;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`~".contains(c);
    let token = !text.value.is_empty() && text.value.chars().all(is_token);
    let upper = !text.value.contains(|c: char| c.is_ascii_lowercase());
    let slip = METHODS.contains(&&*text.value.to_ascii_uppercase());
    let named = upper && text.value.contains(|c: char| c.is_ascii_uppercase());
    (token && (named || slip)).then_some(text)
}

impl Parser<'_> {
    /// Reports the method with which connections of HTTP/2 start; says whether it is this one.
    pub(super) fn is_preface(&mut self, name: &str, place: Span) -> bool {
        if name == PREFACE {
            let error = self
                .diag
                .error(place, format!("`{name}` is not a request method"));
            error.help("HTTP/2 starts with it; remove it");
        }
        name == PREFACE
    }

    /// The method in quotes; what is wrong with it is reported.
    pub(super) fn quoted_method(&mut self, text: &Text) -> Method {
        let name = text.value.to_ascii_uppercase();
        if is_method(&name) {
            let error = self.diag.error(
                text.span,
                format!("unexpected quotes around the method `{name}`"),
            );
            error.help(format!("write `{name}`"));
        } else {
            self.is_preface(&name, text.span);
        }
        Method {
            name,
            span: text.span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_one_of_the_nine_first() {
        for (slip, meant) in [
            ("GTE", "GET"),
            ("PSOT", "POST"),
            ("POTS", "POST"),
            ("PROPFIDN", "PROPFIND"),
            ("purge", "PURGE"),
            ("mkcol", "MKCOL"),
        ] {
            assert!(!is_method(slip), "{slip}");
            assert_eq!(nearest_method(slip), Some(meant), "{slip}");
        }
        assert_eq!(nearest_method("INVALIDATE"), None);
        assert!(!is_method("PRI"));
    }
}
