//! The tree of what stands in a gateway, as written. Where something is missing there is a hole, never a guess.

use std::{collections::HashSet, fmt};

use proc_macro2::{Ident, Literal, Span, TokenTree};

use super::{marks::Mark, methods::Method};
use crate::around::Around;

/// All of a gateway.
#[derive(Default)]
pub(crate) struct Gateway {
    /// Whether there is a `struct` line without a name, so that nobody knows what items to write.
    pub(crate) without_name: bool,
    pub(crate) named: Option<Named>,
    pub(crate) env: Vec<Env>,
    pub(crate) setup: Vec<Setup>,
    pub(crate) layers: Vec<Expr>,
    /// Whether there is a `require auth;` for all of it.
    pub(crate) required: bool,
    /// Whether layers were lost by a mistake, which has been reported.
    pub(crate) lost_layers: bool,
    pub(crate) hosts: Vec<Host>,
    pub(crate) ons: Vec<On>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) expects: Vec<Expect>,
    /// Names whose values are missing, which has been reported.
    pub(crate) holes: HashSet<String>,
    /// Variables whose defaults are not of their types, which has been reported.
    pub(crate) flawed_defaults: HashSet<String>,
    /// The names around the gateway.
    pub(crate) around: Around,
    /// Items of Rust, which stand outside of a gateway; kept, so that what they declare is there.
    pub(crate) strays: Vec<TokenTree>,
    /// All of it once more as an editor has to see it, with what is unfinished.
    pub(crate) marks: Vec<Mark>,
}

/// `pub struct Name { field: Type }`.
pub(crate) struct Named {
    pub(crate) attrs: Vec<Attr>,
    pub(crate) vis: Vec<TokenTree>,
    pub(crate) name: Ident,
    pub(crate) fields: Vec<Field>,
}

/// A field of the struct line, which is an argument of the constructor.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) ty: Vec<TokenTree>,
}

/// `#[..]`, or a documentation comment.
#[derive(Clone)]
pub(crate) struct Attr {
    pub(crate) tokens: Vec<TokenTree>,
    pub(crate) doc: Option<String>,
}

/// `env NAME: Type = default;`
pub(crate) struct Env {
    pub(crate) attrs: Vec<Attr>,
    pub(crate) name: Ident,
    pub(crate) ty: Vec<TokenTree>,
    pub(crate) default: Option<Expr>,
}

/// What is made once, in the order of the source.
pub(crate) enum Setup {
    Let(Let),
    Backend(Backend),
}

/// `let pattern: Type = value;`
pub(crate) struct Let {
    pub(crate) attrs: Vec<Attr>,
    /// The pattern, with the type if there is one.
    pub(crate) pattern: Vec<TokenTree>,
    pub(crate) value: Expr,
}

/// `backend name = target;`
pub(crate) struct Backend {
    pub(crate) attrs: Vec<Attr>,
    pub(crate) name: Ident,
    pub(crate) target: Option<Target>,
}

/// `host "a" | "b" with [..] { .. }`
pub(crate) struct Host {
    /// Empty for `_`, and where all hosts are variables.
    pub(crate) names: Vec<Text>,
    /// The variables whose values are hosts.
    pub(crate) variables: Vec<Ident>,
    pub(crate) layers: Vec<Expr>,
    /// Whether there is a `require auth;` in it.
    pub(crate) required: bool,
    pub(crate) entries: Vec<Entry>,
}

/// `on "internal" with [..] { .. }`
pub(crate) struct On {
    pub(crate) name: Text,
    pub(crate) layers: Vec<Expr>,
    /// Whether there is a `require auth;` in it.
    pub(crate) required: bool,
    pub(crate) hosts: Vec<Host>,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) enum Entry {
    Route(Box<Route>),
    Scope(Scope),
}

/// `GET | POST exact "/path" if guard => target with [..],`
pub(crate) struct Route {
    /// The warnings that are allowed on it.
    pub(crate) allowed: Vec<String>,
    pub(crate) methods: Vec<Method>,
    /// Whether one of the methods is none, and none is near, so that nobody knows what the route takes.
    pub(crate) unknown_method: bool,
    pub(crate) exact: Option<Span>,
    pub(crate) path: Text,
    pub(crate) guard: Option<Expr>,
    /// None if it is missing.
    pub(crate) target: Option<Target>,
    pub(crate) layers: Vec<Expr>,
}

/// `"/prefix" with [..] { .. }`
pub(crate) struct Scope {
    pub(crate) path: Text,
    pub(crate) layers: Vec<Expr>,
    /// Whether there is a `require auth;` in it.
    pub(crate) required: bool,
    pub(crate) entries: Vec<Entry>,
}

/// What answers.
pub(crate) enum Target {
    Url(Text),
    Split(Split),
    Expr(Expr),
}

impl Target {
    /// Where it starts.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Url(url) => url.span,
            Self::Split(split) => split.span,
            Self::Expr(expr) => expr.span(),
        }
    }
}

/// `split { 95 => users, 5 => canary }.sticky(cookie("variant"))`
pub(crate) struct Split {
    pub(crate) span: Span,
    pub(crate) arms: Vec<Arm>,
    /// What stands behind the braces, from its `.` on.
    pub(crate) options: Option<Expr>,
}

pub(crate) struct Arm {
    pub(crate) weight: Weight,
    pub(crate) target: Target,
}

/// The share of an arm, relative to the others.
pub(crate) enum Weight {
    Number(Literal),
    /// The name of a value, which is known when the gateway starts.
    Value(Expr),
}

impl Weight {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Number(literal) => literal.span(),
            Self::Value(expr) => expr.span(),
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(literal) => literal.fmt(f),
            Self::Value(expr) => expr.tokens.iter().try_for_each(|token| token.fmt(f)),
        }
    }
}

impl Arm {
    /// The weight, if it is a number.
    pub(crate) fn share(&self) -> Option<u32> {
        match &self.weight {
            Weight::Number(literal) => literal.to_string().replace('_', "").parse().ok(),
            Weight::Value(_) => None,
        }
    }
}

/// `expect on "internal" GET "https://host/path" => name;`
pub(crate) struct Expect {
    /// The listener; none for any that no `on` names.
    pub(crate) on: Option<Text>,
    pub(crate) method: Method,
    pub(crate) url: Text,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Name(Ident),
    Status(Literal),
}

/// An expression of the user, as tokens that only rustc understands. Never empty.
#[derive(Clone)]
pub(crate) struct Expr {
    pub(crate) tokens: Vec<TokenTree>,
}

impl Expr {
    pub(crate) fn span(&self) -> Span {
        self.tokens
            .first()
            .map_or_else(Span::call_site, TokenTree::span)
    }

    /// The name, if the expression is nothing but a name.
    pub(crate) fn only_ident(&self) -> Option<&Ident> {
        match self.tokens.as_slice() {
            [TokenTree::Ident(ident)] => Some(ident),
            _ => None,
        }
    }
}

/// A string literal and its value.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
    pub(crate) token: Literal,
}

impl Text {
    /// The literal that was meant by tokens without quotes.
    pub(crate) fn meant(value: String, span: Span) -> Self {
        let mut token = Literal::string(&value);
        token.set_span(span);
        Self { value, span, token }
    }
}
