//! Finds calls of known words inside of expressions that are otherwise left to rustc.

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenTree};

use super::{
    ast::{Expr, Target},
    cursor::tokens_of,
    expr::list,
};

/// `name(..)` or `.name(..)`.
pub(crate) struct Call<'a> {
    pub(crate) name: &'a Ident,
    /// Whether a `.` stands before it.
    pub(crate) method: bool,
    pub(crate) group: &'a Group,
}

impl Call<'_> {
    /// The arguments, split at their commas.
    pub(crate) fn args(&self) -> Vec<Expr> {
        list(&tokens_of(self.group.stream()), self.group.span_close())
    }

    /// The only argument, if it is a literal.
    pub(crate) fn only_literal(&self) -> Option<Literal> {
        let mut tokens = self.group.stream().into_iter();
        match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Literal(literal)), None) => Some(literal),
            _ => None,
        }
    }
}

/// Shows every call in the tokens, those in its arguments and blocks included, in the order of the source.
pub(crate) fn each_call(tokens: &[TokenTree], seen: &mut dyn FnMut(&Call<'_>)) {
    for (place, token) in tokens.iter().enumerate() {
        if let (TokenTree::Ident(name), Some(TokenTree::Group(group))) =
            (token, tokens.get(place + 1))
            && group.delimiter() == Delimiter::Parenthesis
        {
            let before = tokens.get(..place).unwrap_or_default();
            seen(&Call {
                name,
                method: is_method(before),
                group,
            });
        }
        if let TokenTree::Group(group) = token {
            each_call(&tokens_of(group.stream()), seen);
        }
    }
}

/// Whether what follows these tokens is a method, a field or a range's end.
pub(crate) fn is_method(before: &[TokenTree]) -> bool {
    matches!(before.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '.')
}

/// Shows every literal in the tokens.
pub(crate) fn each_literal(tokens: &[TokenTree], seen: &mut dyn FnMut(&Literal)) {
    for token in tokens {
        match token {
            TokenTree::Literal(literal) => seen(literal),
            TokenTree::Group(group) => each_literal(&tokens_of(group.stream()), seen),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// Whether one of the tokens is this name, as a variable would be named.
pub(crate) fn mentions(tokens: &[TokenTree], name: &Ident) -> bool {
    let mut found = false;
    each_name(tokens, &mut |ident| found |= ident == name);
    found
}

/// Shows every name in the tokens that can be that of a variable.
pub(crate) fn each_name(tokens: &[TokenTree], seen: &mut dyn FnMut(&Ident)) {
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) => {
                if !is_method(tokens.get(..place).unwrap_or_default()) {
                    seen(ident);
                }
            }
            TokenTree::Group(group) => each_name(&tokens_of(group.stream()), seen),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Shows every expression of a target: itself, or those of its arms.
pub(crate) fn each_expr<'a>(target: &'a Target, seen: &mut dyn FnMut(&'a Expr)) {
    match target {
        Target::Url(_) => {}
        Target::Expr(expr) => seen(expr),
        Target::Split(split) => {
            for arm in &split.arms {
                each_expr(&arm.target, seen);
            }
        }
    }
}
