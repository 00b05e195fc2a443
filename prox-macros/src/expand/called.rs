//! Functions that are no handlers, and calls where the name of a function was meant: `handler(hello())`, `with [auth()]`. Only
//! types can tell, so the runtime judges, in `gateway/called.rs`.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::quote_spanned;

use super::exprs::at;
use crate::syntax::{ast::Expr, expr_list, words::is_keyword};

/// What stands in `handler(..)`, if it is a name or a call; `written` writes tokens of the user.
pub(super) fn handler(
    inner: &[TokenTree],
    written: impl Fn(&[TokenTree]) -> TokenStream,
) -> Option<TokenStream> {
    if is_path(inner) && matches!(inner.first(), Some(TokenTree::Ident(word)) if !is_keyword(word))
    {
        let span = at(inner.first()?.span());
        let function = written(inner);
        return Some(
            quote_spanned!(span=> { use __p::NamedOther as _; __p::Named(#function).answering() }),
        );
    }
    let (function, arguments) = call(inner)?;
    if expr_list(inner, arguments.span_close()).len() != 1 {
        return None;
    }
    let span = at(inner.first()?.span());
    let value = if arguments.stream().is_empty() && is_path(function) {
        let function = written(function);
        // By reference, since a closure may be called for several routes.
        quote_spanned!(span=> { use __p::CalledHandler as _; __p::Called(&#function).function() })
    } else {
        written(inner)
    };
    Some(quote_spanned!(span=> { use __p::ReturnedOther as _; __p::Returned(#value).answering() }))
}

/// A layer, if it is a function of the user that is called without arguments.
pub(super) fn layer(layer: &Expr) -> Option<TokenStream> {
    let (function, arguments) = call(&layer.tokens)?;
    let [TokenTree::Ident(name)] = function else {
        return None;
    };
    (arguments.stream().is_empty() && is_function(name)).then(|| {
        quote_spanned!(at(name.span())=> { use __p::CalledLayer as _; __p::Called(&#name).layer() })
    })
}

/// What is called, and the group of its arguments.
fn call(tokens: &[TokenTree]) -> Option<(&[TokenTree], &Group)> {
    let (TokenTree::Group(arguments), function) = tokens.split_last()? else {
        return None;
    };
    let starts = matches!(function.first(), Some(TokenTree::Ident(word)) if !is_keyword(word));
    let named = matches!(function.last(), Some(TokenTree::Ident(word)) if !is_keyword(word))
        || matches!(function.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '>');
    // A closure in the call gets its types from what stands around it.
    let closure = has_bar(tokens);
    (arguments.delimiter() == Delimiter::Parenthesis && starts && named && !closure)
        .then_some((function, arguments))
}

fn has_bar(tokens: &[TokenTree]) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '|',
        TokenTree::Group(group) => has_bar(&group.stream().into_iter().collect::<Vec<_>>()),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether the tokens are a name, with what stands before it in a path.
fn is_path(tokens: &[TokenTree]) -> bool {
    tokens.iter().all(|token| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => matches!(punct.as_char(), ':' | '<' | '>' | ','),
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether functions are named so, and not types.
fn is_function(name: &Ident) -> bool {
    name.to_string().starts_with(|c: char| c.is_lowercase())
}
