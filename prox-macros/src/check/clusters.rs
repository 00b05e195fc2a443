//! The form of `cluster(policy, [endpoint, ..])`: what is missing, turned round, or not in its list.

use proc_macro2::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};

use super::policies::quoted_policy;
use crate::syntax::{
    ast::Expr,
    cursor::{text_of, tokens_of},
    expr_list, lookup,
};

/// What is wrong with the form of `cluster(policy, [endpoint, ..])`, and the policy and the list that were meant.
pub(crate) fn meant(args: &[Expr]) -> Option<(&'static str, Expr, Expr)> {
    let list = |arg: &Expr| match arg.tokens.as_slice() {
        [TokenTree::Group(group)] => group.delimiter() == Delimiter::Bracket,
        _ => false,
    };
    let found = |arg: &Expr| lookup::of(arg).is_some();
    let text = |arg: &Expr| arg.tokens.first().and_then(text_of).is_some();
    let endpoint = |arg: &Expr| {
        // As variables of the environment are written.
        let variable = arg.only_ident().map(ToString::to_string);
        text(arg) || variable.is_some_and(|name| name == name.to_ascii_uppercase())
    };
    let named = args.iter().any(|arg| without_name(arg).is_some());
    let plain: Vec<Expr> = args
        .iter()
        .map(|arg| without_name(arg).unwrap_or_else(|| arg.clone()))
        .collect();
    let args = plain.as_slice();
    let message = match args {
        [_, _] if named => "unexpected argument names in `cluster(..)`",
        [_, second] if list(second) && looked_up(second).is_some() => {
            "`dns(..)` and `srv(..)` replace the list of endpoints, and cannot be elements of it"
        }
        [policy, second] if quoted_policy(policy).is_some() && !text(second) => return None,
        [policy, _] if !list(policy) && !text(policy) && !found(policy) => return None,
        [] => "expected a policy and a list of endpoints",
        [only] if list(only) || endpoint(only) || found(only) => {
            "expected a policy before the endpoints"
        }
        [_] => "expected a list of endpoints after the policy",
        [first, _] if list(first) || found(first) => "the policy must come before the endpoints",
        _ => "expected one list of endpoints",
    };
    let policy = args
        .iter()
        .find(|arg| !list(arg) && !endpoint(arg) && !found(arg));
    let mut elements = TokenStream::new();
    let mut alone = None;
    for arg in args {
        match arg.tokens.as_slice() {
            [TokenTree::Group(group)] if list(arg) => {
                alone = looked_up(arg).or(alone);
                elements.extend(group.stream());
            }
            _ if found(arg) => alone = Some(arg.clone()),
            tokens if endpoint(arg) => {
                if args.len() < 3 && arg.only_ident().is_some() {
                    // A variable may be a list.
                    alone = Some(arg.clone());
                }
                elements.extend(quote::quote!(#(#tokens)* ,));
            }
            _ => {}
        }
    }
    let word = |text| TokenTree::Ident(Ident::new(text, Span::mixed_site()));
    let policy = policy.cloned().unwrap_or_else(|| Expr {
        tokens: vec![word("rr")],
    });
    let span = args.first().map_or_else(Span::mixed_site, Expr::span);
    let mut group = Group::new(Delimiter::Bracket, without_last_comma(elements));
    group.set_span(Span::mixed_site().located_at(span));
    let list = Expr {
        tokens: vec![TokenTree::Group(group)],
    };
    Some((message, policy, alone.unwrap_or(list)))
}

/// The first in a list that is looked up, and so is none of its endpoints.
fn looked_up(list: &Expr) -> Option<Expr> {
    let [TokenTree::Group(group)] = list.tokens.as_slice() else {
        return None;
    };
    let elements = expr_list(&tokens_of(group.stream()), group.span_close());
    let mut elements = elements.into_iter();
    elements.find(|element| lookup::of(element).is_some())
}

/// The value of `policy = rr`.
fn without_name(arg: &Expr) -> Option<Expr> {
    match arg.tokens.as_slice() {
        [TokenTree::Ident(_), TokenTree::Punct(sign), value @ ..]
            if sign.as_char() == '=' && sign.spacing() == Spacing::Alone && !value.is_empty() =>
        {
            Some(Expr {
                tokens: value.to_vec(),
            })
        }
        _ => None,
    }
}

fn without_last_comma(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens_of(tokens);
    if matches!(tokens.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == ',') {
        tokens.pop();
    }
    tokens.into_iter().collect()
}
