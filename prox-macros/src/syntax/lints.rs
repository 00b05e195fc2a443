//! Attributes on the lines of a gateway: they say which warnings are welcome, rustc's and the macro's own.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};

use super::{Parser, ast::Attr, cursor::tokens_of};

/// The warnings of routes, each of which can be allowed on a route.
const OF_ROUTES: [&str; 2] = [NO_FALLBACK, NOT_RETRIED];

/// A route leaves requests without an answer that it seems to be meant for.
pub(crate) const NO_FALLBACK: &str = "no_fallback";

/// Retries are asked for, and none can happen once a request has left.
pub(crate) const NOT_RETRIED: &str = "not_retried";

/// What rustc calls the lints of what is never used.
const UNUSED: [&str; 3] = ["unused", "unused_variables", "dead_code"];

/// What can be said of a lint.
const LEVELS: [&str; 5] = ["allow", "expect", "warn", "deny", "forbid"];

impl Attr {
    /// Its name and what is in its parentheses, if it is `#[name(..)]`.
    fn call(&self) -> Option<(Ident, Group)> {
        let [_, TokenTree::Group(brackets)] = self.tokens.as_slice() else {
            return None;
        };
        let mut inner = tokens_of(brackets.stream()).into_iter();
        match (inner.next(), inner.next()) {
            (Some(TokenTree::Ident(name)), Some(TokenTree::Group(group)))
                if group.delimiter() == Delimiter::Parenthesis =>
            {
                Some((name, group))
            }
            _ => None,
        }
    }

    fn is_level(&self, levels: &[&str]) -> bool {
        self.call()
            .is_some_and(|(name, _)| levels.iter().any(|level| name == level))
    }

    fn span(&self) -> Span {
        self.tokens
            .first()
            .map_or_else(Span::call_site, TokenTree::span)
    }
}

/// The tokens of attributes that are for rustc: lints and nothing else, since what else there is has been refused.
pub(crate) fn of_rustc(attrs: &[Attr]) -> impl Iterator<Item = &TokenTree> {
    attrs
        .iter()
        .filter(|attr| attr.is_level(&LEVELS))
        .flat_map(|attr| &attr.tokens)
}

/// Whether it is fine that the line declares what nothing uses.
pub(crate) fn allow_unused(attrs: &[Attr]) -> bool {
    allowed(attrs)
        .iter()
        .any(|lint| UNUSED.contains(&lint.as_str()))
}

/// Whether the warning of this name is allowed on the line.
pub(crate) fn allows(attrs: &[Attr], lint: &str) -> bool {
    allowed(attrs).iter().any(|allowed| allowed == lint)
}

/// The names in every `#[allow(..)]`, with their paths.
fn allowed(attrs: &[Attr]) -> Vec<String> {
    let lists = attrs.iter().filter_map(Attr::call);
    lists
        .filter(|(name, _)| name == "allow")
        .flat_map(|(_, group)| names(&group))
        .collect()
}

/// The names of a list, without `reason = ".."`.
fn names(group: &Group) -> Vec<String> {
    let tokens = tokens_of(group.stream());
    let is = |token: &TokenTree, character| matches!(token, TokenTree::Punct(punct) if punct.as_char() == character);
    tokens
        .split(|token| is(token, ','))
        .filter(|name| !name.is_empty() && !name.iter().any(|token| is(token, '=')))
        .map(|name| name.iter().map(ToString::to_string).collect())
        .collect()
}

impl Parser<'_> {
    /// Refuses all attributes of a backend or a variable but `#[allow(..)]`.
    pub(super) fn only_allow(&mut self, attrs: &[Attr], what: &str) {
        self.only(attrs, what, &["allow"]);
    }

    /// Refuses all attributes of a `let` but those that set a lint's level, which are handed on to rustc.
    pub(super) fn only_levels(&mut self, attrs: &[Attr], what: &str) {
        self.only(attrs, what, &LEVELS);
    }

    fn only(&mut self, attrs: &[Attr], what: &str, levels: &[&str]) {
        for attr in attrs.iter().filter(|attr| attr.doc.is_none()) {
            if !attr.is_level(levels) {
                self.diag
                    .error(
                        attr.span(),
                        format!("only `#[allow(..)]` is allowed on {what}"),
                    )
                    .help("remove it; doc comments are allowed");
            }
        }
    }

    /// The warnings that are allowed on a route; refuses whatever is none.
    pub(super) fn route_lints(&mut self, attrs: &[Attr]) -> Vec<String> {
        for attr in attrs.iter().filter(|attr| attr.doc.is_none()) {
            if !attr.is_level(&["allow"]) {
                self.no_attrs(std::slice::from_ref(attr), "a route");
                continue;
            }
            let names = attr.call().map(|(_, group)| names(&group));
            for name in names.unwrap_or_default() {
                if !OF_ROUTES.contains(&name.as_str()) {
                    self.diag
                        .error(attr.span(), format!("unknown lint `{name}` for a route"))
                        .help(format!(
                            "remove it; the lints of a route are `{}`",
                            OF_ROUTES.join("` and `")
                        ));
                }
            }
        }
        allowed(attrs)
    }
}
