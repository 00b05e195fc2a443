//! Expressions of the user as they stand in the expansion: with units as values, and endpoints of any form side by side.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::Context;
use crate::syntax::{
    ast::{Backend, Expr, Split, Target},
    calls::{each_expr, is_method, mentions},
    cursor::tokens_of,
    expr_list,
    units::{Unit, unit},
};

/// A span with the hygiene of the macro at a place of the user, so that rustc's messages point there.
pub(super) fn at(place: Span) -> Span {
    Span::mixed_site().located_at(place)
}

/// The expression with its units and endpoints written out.
pub(super) fn expr(context: &Context<'_>, expr: &Expr) -> TokenStream {
    rewritten(context, &expr.tokens)
}

fn rewritten(context: &Context<'_>, tokens: &[TokenTree]) -> TokenStream {
    let mut out = TokenStream::new();
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Literal(literal) => out.extend(literal_value(context, literal)),
            TokenTree::Group(group) => {
                let before = tokens.get(..place).unwrap_or_default();
                let inner = tokens_of(group.stream());
                let stream = if is_cluster(before, group) {
                    cluster_arguments(context, &inner, group)
                } else {
                    rewritten(context, &inner)
                };
                let mut group_out = Group::new(group.delimiter(), stream);
                group_out.set_span(group.span());
                out.extend([TokenTree::Group(group_out)]);
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => out.extend([token.clone()]),
        }
    }
    out
}

fn is_cluster(before: &[TokenTree], group: &Group) -> bool {
    match before.split_last() {
        Some((TokenTree::Ident(name), earlier)) => {
            name == "cluster" && group.delimiter() == Delimiter::Parenthesis && !is_method(earlier)
        }
        _ => false,
    }
}

/// `rr, [A, "http://b".weight(3)]` with each element of the list as an endpoint.
fn cluster_arguments(context: &Context<'_>, inner: &[TokenTree], group: &Group) -> TokenStream {
    let krate = &context.krate;
    let mut out = TokenStream::new();
    for (place, argument) in expr_list(inner, group.span_close()).iter().enumerate() {
        if place > 0 {
            out.extend(quote_spanned!(at(argument.span())=> ,));
        }
        match argument.tokens.as_slice() {
            [TokenTree::Group(list)] if place == 1 && list.delimiter() == Delimiter::Bracket => {
                let elements = expr_list(&tokens_of(list.stream()), list.span_close());
                let elements = elements.iter().map(|element| {
                    let value = expr(context, element);
                    quote_spanned!(at(element.span())=> #krate::__private::endpoint(#value))
                });
                out.extend(quote_spanned!(at(list.span())=> [#(#elements),*]));
            }
            tokens => out.extend(rewritten(context, tokens)),
        }
    }
    out
}

fn literal_value(context: &Context<'_>, literal: &Literal) -> TokenStream {
    let span = literal.span();
    match unit(literal) {
        Some(Ok(Unit::Millis(millis))) => {
            let krate = &context.krate;
            let mut number = Literal::u64_suffixed(millis);
            number.set_span(span);
            quote_spanned!(at(span)=> #krate::__private::Duration::from_millis(#number))
        }
        Some(Ok(Unit::Bytes(bytes))) => {
            let mut number: Literal = format!("{bytes}usize").parse().unwrap_or_else(|_| Literal::usize_suffixed(0));
            number.set_span(span);
            TokenTree::Literal(number).into()
        }
        // What is no value has been reported; zero keeps the rest alive.
        Some(Err(_)) => quote_spanned!(at(span)=> ::core::default::Default::default()),
        None => TokenTree::Literal(literal.clone()).into(),
    }
}

/// A target, with its own handles of the backends that it names.
pub(super) fn target(context: &Context<'_>, target: &Target) -> TokenStream {
    let value = target_value(context, target);
    let used: Vec<&Backend> = context
        .backends()
        .filter(|backend| target_mentions(target, &backend.name))
        .collect();
    if used.is_empty() {
        return value;
    }
    if let (Target::Expr(expr), [_]) = (target, used.as_slice())
        && let Some(name) = expr.only_ident()
    {
        return quote_spanned!(at(name.span())=> ::core::clone::Clone::clone(&#name));
    }
    let span = at(target_span(target));
    let handles = used.iter().map(|backend| {
        let name = &backend.name;
        quote_spanned!(span=> #[allow(unused_variables)] let #name = ::core::clone::Clone::clone(&#name);)
    });
    quote_spanned!(span=> { #(#handles)* #value })
}

fn target_value(context: &Context<'_>, target: &Target) -> TokenStream {
    let krate = &context.krate;
    match target {
        Target::Url(url) => {
            let token = &url.token;
            quote_spanned!(at(url.span)=> #krate::__private::upstream(#token))
        }
        Target::Expr(value) => expr(context, value),
        Target::Split(split) => {
            let arms = split.arms.iter().map(|arm| {
                let weight = weight(&arm.weight).unwrap_or(1);
                let mut weight = Literal::u32_suffixed(weight);
                weight.set_span(arm.weight.span());
                // Each arm takes its own handles.
                let target = self::target(context, &arm.target);
                quote_spanned!(at(target_span(&arm.target))=> .arm(#weight, #target))
            });
            quote_spanned!(at(split.span)=> #krate::__private::Split::new()#(#arms)*)
        }
    }
}

/// The weight of an arm, if it is one.
pub(crate) fn weight(literal: &Literal) -> Option<u32> {
    literal.to_string().replace('_', "").parse().ok()
}

fn target_mentions(target: &Target, name: &Ident) -> bool {
    let mut found = false;
    // The arms of a split take their own handles.
    if let Target::Expr(_) = target {
        each_expr(target, &mut |expr| found |= mentions(&expr.tokens, name));
    }
    found
}

/// Where a target starts.
pub(crate) fn target_span(target: &Target) -> Span {
    match target {
        Target::Url(url) => url.span,
        Target::Split(Split { span, .. }) => *span,
        Target::Expr(expr) => expr.span(),
    }
}

/// The source text of a target.
pub(crate) fn target_text(target: &Target) -> String {
    match target {
        Target::Url(url) => url.token.to_string(),
        Target::Expr(expr) => super::text::source(&expr.tokens),
        Target::Split(split) => {
            let arms: Vec<String> = split
                .arms
                .iter()
                .map(|arm| format!("{} => {}", arm.weight, target_text(&arm.target)))
                .collect();
            format!("split {{ {} }}", arms.join(", "))
        }
    }
}
