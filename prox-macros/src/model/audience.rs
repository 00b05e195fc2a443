//! Authenticators of tokens that lack their audience, in the place of a layer.

use std::collections::{HashMap, HashSet};

use proc_macro2::TokenTree;

use super::names::Names;
use crate::{
    around::middleware,
    diag::{Diagnostics, Place},
    syntax::ast::{Expr, Let, Setup},
};

/// What these types make before their audience is decided.
const TYPES: [(&str, &[&str]); 2] = [
    ("Jwt", &["issuer", "jwks", "jwks_file", "pem", "secret"]),
    ("Introspect", &["new"]),
];

/// The methods after which the audience is still open, and those that need it and come from a trait.
const OPEN: [&str; 18] = [
    "issued_by",
    "fetch_by",
    "allow_http",
    "max_stale",
    "leeway",
    "max_age",
    "token_type",
    "allow_unbounded",
    "header",
    "cookie",
    "query",
    "strip",
    "resource_metadata",
    "uri",
    "client",
    "cache",
    "timeout",
    "optional",
];

/// The values of `let name = ..;` by their names.
pub(super) struct Values {
    values: HashMap<String, Expr>,
    /// The names that have been reported.
    reported: HashSet<String>,
}

impl Values {
    pub(super) fn new(setups: &[Setup]) -> Self {
        let lets = setups.iter().filter_map(|setup| match setup {
            Setup::Let(Let { pattern, value, .. }) => match pattern.as_slice() {
                [TokenTree::Ident(name)] => Some((name.to_string(), value.clone())),
                _ => None,
            },
            Setup::Backend(_) => None,
        });
        Self {
            values: lets.collect(),
            reported: HashSet::new(),
        }
    }

    /// Reports a layer whose audience is not decided; says whether it is one.
    pub(super) fn lacks_audience(
        &mut self,
        layer: &Expr,
        names: &Names,
        diag: &mut Diagnostics,
    ) -> bool {
        let name = match layer.tokens.as_slice() {
            [TokenTree::Ident(name), rest @ ..] if is_open(rest) => Some(name.to_string()),
            _ => None,
        };
        let value = match &name {
            Some(name) => self.values.get(name),
            None => Some(layer),
        };
        let Some(ty) = value.and_then(|value| made(&value.tokens, names)) else {
            return false;
        };
        if name.is_some_and(|name| !self.reported.insert(name)) {
            return true;
        }
        diag.error(
            Place::of(&layer.tokens, layer.span()),
            format!("this `{ty}` has no audience"),
        )
        .help(
            "add `.audience(\"shop\")` with the name of this service, or `.any_audience()` to accept tokens for other services",
        )
        .untyped();
        true
    }
}

/// The type that makes a value of which the audience is open: `Jwt::issuer("..").leeway(5s)`.
fn made(tokens: &[TokenTree], names: &Names) -> Option<&'static str> {
    let call = tokens
        .iter()
        .position(|token| matches!(token, TokenTree::Group(_)))?;
    let (path, rest) = (tokens.get(..call)?, tokens.get(call + 1..)?);
    let [
        ..,
        TokenTree::Ident(ty),
        colon,
        other,
        TokenTree::Ident(function),
    ] = path
    else {
        return None;
    };
    let is_colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    let (ty, functions) = TYPES.iter().find(|(name, _)| ty == name)?;
    let known = is_colon(colon) && is_colon(other) && functions.iter().any(|name| function == name);
    // A feature that is off has been reported.
    let here = middleware(ty).is_some_and(|middleware| middleware.lacks().is_none());
    (known && here && !names.is_own_type(ty) && is_open(rest)).then_some(*ty)
}

/// Whether methods leave the audience open; so does no method.
fn is_open(methods: &[TokenTree]) -> bool {
    methods.chunks(3).all(|part| match part {
        [
            TokenTree::Punct(dot),
            TokenTree::Ident(name),
            TokenTree::Group(_),
        ] => dot.as_char() == '.' && OPEN.iter().any(|open| name == open),
        _ => false,
    })
}
