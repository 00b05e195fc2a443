//! Gateways that are mounted: `"/orders" => gateway(orders::Orders)`.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};

use super::names::{Names, Whose};
use crate::{
    diag::{Diagnostic, Diagnostics},
    syntax::{
        arguments,
        ast::{self, Expr, Target},
        calls::mentions,
        cursor::tokens_of,
        pattern::{Pattern, Tail},
        source::source,
    },
};

const WORD: &str = "gateway";

/// A gateway below the path of a route.
pub(crate) struct Mount {
    /// The type of the gateway, as a path.
    pub(crate) ty: Vec<TokenTree>,
    /// `new`, with what it is called with; none for a gateway without fields.
    pub(crate) new: Option<(Ident, Group)>,
}

impl Mount {
    /// Where it is written.
    pub(crate) fn span(&self) -> Span {
        self.ty
            .first()
            .map_or_else(Span::call_site, TokenTree::span)
    }

    /// The last name of the type.
    pub(crate) fn name(&self) -> Option<&Ident> {
        match self.ty.last() {
            Some(TokenTree::Ident(name)) => Some(name),
            _ => None,
        }
    }
}

/// What a target says of mounting.
pub(super) enum Reading {
    /// It is any other target.
    No,
    Mount(Mount),
    /// It has a mistake, which has been reported.
    Wrong,
}

/// Reads the target of a route.
pub(super) fn read(
    route: &ast::Route,
    target: &Target,
    names: &Names,
    own: Option<&Ident>,
    diag: &mut Diagnostics,
) -> Reading {
    let expr = match target {
        Target::Url(_) => return Reading::No,
        Target::Split(split) => {
            let mut arms = split.arms.iter();
            return if arms.any(|arm| is_elsewhere(&arm.target, names, diag)) {
                Reading::Wrong
            } else {
                Reading::No
            };
        }
        Target::Expr(expr) => expr,
    };
    let Some((word, group)) = called(expr, names) else {
        return Reading::No;
    };
    let inner = tokens_of(group.stream());
    if let Some(behind) = expr.tokens.get(2) {
        diag.error(behind.span(), "a mounted gateway cannot have options")
            .help("write layers around it: `=> gateway(orders::Orders) with [auth]`");
        return Reading::Wrong;
    }
    let Some(mount) = mount(word, &inner, diag) else {
        return Reading::Wrong;
    };
    let name = mount.name().filter(|_| mount.ty.len() == 1);
    if let Some(name) = name
        && (name == "Self" || own.is_some_and(|own| own == name))
    {
        diag.error(name, "a gateway cannot be mounted in itself")
            .help("write the type of another gateway");
        return Reading::Wrong;
    }
    if is_narrowed(route, diag) {
        return Reading::Wrong;
    }
    Reading::Mount(mount)
}

/// Reports a mount in the target of a backend or in an arm of a split; says whether it is one.
pub(super) fn is_elsewhere(target: &Target, names: &Names, diag: &mut Diagnostics) -> bool {
    let Target::Expr(expr) = target else {
        return false;
    };
    let Some((word, _)) = called(expr, names) else {
        return false;
    };
    diag.error(word, "`gateway(..)` must be the whole target of a route")
        .help("write `\"/orders\" => gateway(orders::Orders)`");
    true
}

/// The word with what it is called with, unless the user has something of this name.
fn called<'e>(expr: &'e Expr, names: &Names) -> Option<(&'e Ident, &'e Group)> {
    let [TokenTree::Ident(word), TokenTree::Group(group), ..] = expr.tokens.as_slice() else {
        return None;
    };
    if word != WORD || group.delimiter() != Delimiter::Parenthesis {
        return None;
    }
    let inner = tokens_of(group.stream());
    let itself = mentions(&inner, word);
    let whose = names.call_in_slot(WORD, arguments(&inner).len(), itself);
    (whose == Whose::Word).then_some((word, group))
}

fn mount(word: &Ident, inner: &[TokenTree], diag: &mut Diagnostics) -> Option<Mount> {
    const FORM: &str = "write `gateway(orders::Orders)`, or `gateway(orders::Orders::new(db))` for one with fields";
    let arguments = arguments(inner);
    let Some(first) = arguments.first().filter(|first| !first.is_empty()) else {
        diag.error(word, "`gateway(..)` expects the type of a gateway")
            .help(FORM);
        return None;
    };
    if let Some(second) = arguments.get(1).and_then(|second| second.first()) {
        let ty = source(first);
        let fields: Vec<String> = arguments.iter().skip(1).map(|part| source(part)).collect();
        diag.error(second.span(), "`gateway(..)` expects one argument")
            .help(format!("write `gateway({ty}::new({}))`", fields.join(", ")));
        return None;
    }
    let (path, new) = match *first {
        [
            path @ ..,
            colon,
            other,
            TokenTree::Ident(new),
            TokenTree::Group(group),
        ] if is_colon(colon) && is_colon(other) && group.delimiter() == Delimiter::Parenthesis => {
            if new == "with_env" {
                diag.error(
                    new,
                    "a mounted gateway reads the variables of the outer gateway",
                )
                .help("write `new`, without the variables");
                return None;
            }
            if new != "new" {
                diag.error(new, format!("expected `new`, found `{new}`"))
                    .help(FORM);
                return None;
            }
            (path, Some((new.clone(), group.clone())))
        }
        path => (path, None),
    };
    let is_path = path
        .iter()
        .all(|token| matches!(token, TokenTree::Ident(_)) || is_colon(token));
    let is_type = match path.last() {
        Some(TokenTree::Ident(name)) => name
            .to_string()
            .trim_start_matches("r#")
            .starts_with(char::is_uppercase),
        _ => false,
    };
    if !is_path || !is_type {
        not_a_type(first, diag).help(FORM);
        return None;
    }
    Some(Mount {
        ty: path.to_vec(),
        new,
    })
}

fn not_a_type<'d>(argument: &[TokenTree], diag: &'d mut Diagnostics) -> &'d mut Diagnostic {
    let place = argument
        .first()
        .map_or_else(Span::call_site, TokenTree::span);
    diag.error(place, "`gateway(..)` expects the type of a gateway")
        .note("its routes are read while compiling; for a gateway that is a value write `service(orders)`")
}

/// Reports what narrows a route down that mounts a gateway; says whether there is something.
fn is_narrowed(route: &ast::Route, diag: &mut Diagnostics) -> bool {
    let (place, what, help) = if let Some(method) = route.methods.first() {
        (
            method.span,
            "a mount cannot have methods",
            format!(
                "remove `{}`: the routes of the mounted gateway have methods",
                method.name
            ),
        )
    } else if let Some(exact) = route.exact {
        let help = "remove `exact`: the routes of the mounted gateway are below the path";
        (exact, "a mount cannot be `exact`", help.to_owned())
    } else if let Some(guard) = &route.guard {
        let help = "write the guard on the routes of the mounted gateway";
        (guard.span(), "a mount cannot have a guard", help.to_owned())
    } else {
        return false;
    };
    diag.error(place, what).help(help);
    true
}

/// Reports a pattern below which nothing can be mounted; says whether it is one.
pub(super) fn takes_all(path: &ast::Text, pattern: &Pattern, diag: &mut Diagnostics) -> bool {
    let takes_all = matches!(pattern.tail, Tail::Rest(_));
    if takes_all {
        diag.error(
            path.span,
            "`{*..}` is not allowed in the path of a mount: nothing would be left for its routes",
        )
        .help("remove it: a mount takes all paths below its own");
    }
    takes_all
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}
