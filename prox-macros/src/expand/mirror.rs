//! The mirror: what an editor sees in place of the code that runs.
//!
//! It stands under `cfg(rust_analyzer)`, so that it costs the compiler its tokens and nothing else. Each word of the language
//! is the same name at the end of a path into the module of the words that can stand there, each of them documented; where a
//! word could be typed there is a path to a hole; expressions are as the user wrote them. All this is in the order of the
//! source: an editor expands the gateway once more with a made-up name at the caret, and takes what stands at the same offset
//! for the same place. Backends are constants beside the words that follow `=>`, hence known before they are declared.

use std::borrow::Cow;

use proc_macro2::{Delimiter, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::{Context, exprs, who};
use crate::{
    syntax::{
        ast::{Backend, Expr},
        cursor::tokens_of,
        marks::{HOLE, Mark, Slot},
        source::target_text,
        unfinished::is_unfinished,
        words::is_keyword,
    },
    vocab,
};

/// The statements, with the local module of words at their end.
pub(super) fn statements(context: &Context<'_>) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let mut out = quote_spanned!(span=>
        use __prox::names::*;
    );
    for mark in &context.model.marks {
        statement(context, mark, &mut out);
    }
    let backends = context
        .backends
        .iter()
        .map(|backend| constant(context, backend));
    // What is called, but for what the gateway declares by that name. A policy is a constant, which patterns would be.
    let words = vocab::WORDS.iter().filter(|word| {
        vocab::called(word.text).is_some()
            && word.slot != vocab::Slot::Check
            && !context.model.names.is_own(word.text)
    });
    let words = words.map(|word| Ident::new(word.text, span));
    let host = context
        .model
        .names_host()
        .then(|| quote_spanned!(span=> Host,));
    out.extend(quote_spanned!(span=>
        mod __prox {
            pub use #krate::__private::places::*;
            pub mod names {
                pub use super::backend::*;
                pub use #krate::__private::places::scope::{Duration, Endpoint, #host Weighted, #(#words),*};
            }
            pub mod backend {
                #(#backends)*
            }
            pub mod target {
                pub use super::backend::*;
                pub use #krate::__private::places::target::*;
            }
            pub mod outcome {
                pub use super::backend::*;
                pub use #krate::__private::places::outcome::*;
            }
        }
    ));
    out
}

fn constant(context: &Context<'_>, backend: &Backend) -> TokenStream {
    let krate = &context.krate;
    let name = &backend.name;
    let docs = backend.attrs.iter().filter_map(|attr| attr.doc.as_deref());
    let text = backend.target.as_ref().map(target_text);
    let text = text.map(|text| format!("\n```text\nbackend {name} = {text};\n```"));
    let text = text.iter();
    quote_spanned!(Span::mixed_site()=>
        #(#[doc = #docs])*
        #(#[doc = #text])*
        pub const #name: #krate::Cluster;
    )
}

fn statement(context: &Context<'_>, mark: &Mark, out: &mut TokenStream) {
    let span = Span::mixed_site();
    match mark {
        Mark::Word(slot, name) => word(*slot, name.as_ref(), out),
        Mark::Env { docs, name, ty } => {
            let mut ty: TokenStream = ty.iter().cloned().collect();
            if ty.is_empty() {
                ty = quote_spanned!(span=> _);
            }
            out.extend(quote_spanned!(span=> #(#[doc = #docs])* const #name: #ty;));
        }
        Mark::Let {
            word,
            pattern,
            value,
        } => {
            let pattern: TokenStream = pattern.iter().cloned().collect();
            match value {
                Some(value) => {
                    let loops: Vec<TokenTree> =
                        quote_spanned!(span=> loop {}).into_iter().collect();
                    let value = typed(context, &value.tokens).unwrap_or(Cow::Owned(loops));
                    let end = end(&value);
                    let (value, policies) = mirrored(context, &value, false);
                    out.extend(quote_spanned!(span=> #word #pattern = #value #end));
                    self::policies(context, policies, out);
                }
                None => out.extend(quote_spanned!(span=> #word #pattern = loop {};)),
            }
        }
        Mark::Value(slot, expr) => value(context, *slot, expr, out),
        Mark::Expr(expr) if who::is_word(&context.model.names, expr) => {
            word(Slot::Layer, expr.only_ident(), out);
        }
        Mark::Expr(expr) => {
            if let Some(tokens) = typed(context, &expr.tokens) {
                expression(context, &tokens, false, out);
            }
        }
    }
}

/// A word of Rust has its documentation, and cannot stand in a path.
fn word(slot: Slot, name: Option<&Ident>, out: &mut TokenStream) {
    out.extend(path(slot, name.filter(|name| !is_keyword(name))));
    out.extend([semicolon(Span::mixed_site())]);
}

/// `__prox::place::name`, with the user's name.
pub(super) fn path(slot: Slot, name: Option<&Ident>) -> TokenStream {
    let span = Span::mixed_site();
    let module = Ident::new(slot.module(), span);
    let hole = Ident::new(HOLE, span);
    let name = name.unwrap_or(&hole);
    quote_spanned!(span=> __prox::#module::#name)
}

fn value(context: &Context<'_>, slot: Slot, expr: &Expr, out: &mut TokenStream) {
    let Some(tokens) = typed(context, &expr.tokens) else {
        let name = match expr.tokens.first() {
            Some(TokenTree::Ident(name)) if is_word(context, slot, name) => Some(name),
            _ => None,
        };
        return word(slot, name, out);
    };
    if slot == Slot::Target && mounted(context, &tokens, out) {
        return;
    }
    // `users wi`, where `with` is about to be typed.
    let end = operand_behind_operand(&tokens).unwrap_or(tokens.len());
    let (value, rest) = tokens.split_at(end);
    match value {
        // Or `split { .. }`, whose arms have notes of their own.
        [TokenTree::Ident(name)] | [TokenTree::Ident(name), TokenTree::Group(_)]
            if is_name(value) =>
        {
            word(slot, Some(name), out);
            if !is_word(context, slot, name) {
                expression(context, value, false, out);
            }
        }
        value => expression(context, value, slot == Slot::Target, out),
    }
    if let Some(TokenTree::Ident(name)) = rest.first() {
        word(Slot::Layers, Some(name), out);
    }
}

/// The tokens without options that are of no type that fits, which has been reported; none if that is said of something else.
fn typed<'t>(context: &Context<'_>, tokens: &'t [TokenTree]) -> Option<Cow<'t, [TokenTree]>> {
    if context.untyped.is_empty() {
        return Some(Cow::Borrowed(tokens));
    }
    let reported = |token: &TokenTree| is_reported(context, token);
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some((first, behind)) = rest.split_first() {
        match rest {
            [
                TokenTree::Punct(dot),
                option @ TokenTree::Ident(_),
                group @ TokenTree::Group(_),
                behind @ ..,
            ] if dot.as_char() == '.' && (reported(option) || reported(group)) => {
                rest = behind;
                continue;
            }
            // `users(..)`
            [group @ TokenTree::Group(_), ..] if kept.len() == 1 && is_whole(context, group) => {}
            _ if reported(first) => return None,
            _ => kept.push(first.clone()),
        }
        rest = behind;
    }
    Some(Cow::Owned(kept))
}

/// Whether something was reported of the token, or of one in it.
fn is_reported(context: &Context<'_>, token: &TokenTree) -> bool {
    is_whole(context, token)
        || match token {
            TokenTree::Group(group) => group
                .stream()
                .into_iter()
                .any(|token| is_reported(context, &token)),
            _ => false,
        }
}

/// Whether something was reported of the token as a whole.
fn is_whole(context: &Context<'_>, token: &TokenTree) -> bool {
    context.untyped.contains(&format!("{:?}", token.span()))
}

/// A gateway that is mounted: its type, where an expression would be one. Says whether it is one.
fn mounted(context: &Context<'_>, tokens: &[TokenTree], out: &mut TokenStream) -> bool {
    let [TokenTree::Ident(name), TokenTree::Group(group)] = tokens else {
        return false;
    };
    let inner = tokens_of(group.stream());
    let path = path_of(&inner);
    let named = name == "gateway" && !context.model.names.is_own("gateway");
    if !named || path < inner.len() {
        return false;
    }
    word(Slot::Target, Some(name), out);
    if path > 0 {
        let ty: TokenStream = inner.into_iter().collect();
        out.extend(quote_spanned!(Span::mixed_site()=> let _: #ty;));
    }
    true
}

/// How many of the tokens are the path of a type.
fn path_of(tokens: &[TokenTree]) -> usize {
    let colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(colon) if colon.as_char() == ':');
    let name = |token: &TokenTree| {
        let TokenTree::Ident(name) = token else {
            return false;
        };
        !is_keyword(name)
            || ["crate", "self", "super", "Self"]
                .iter()
                .any(|word| name == word)
    };
    let mut length = 0;
    let mut rest = tokens;
    loop {
        rest = match rest {
            [first, behind @ ..] if length == 0 && name(first) => {
                length = 1;
                behind
            }
            [one, other, next, behind @ ..] if colon(one) && colon(other) && name(next) => {
                length += 3;
                behind
            }
            _ => return length,
        };
    }
}

/// A name, alone or before braces.
fn is_name(tokens: &[TokenTree]) -> bool {
    let name = matches!(tokens.first(), Some(TokenTree::Ident(name)) if !is_keyword(name));
    let braces = tokens.get(1).is_none_or(
        |token| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace),
    );
    name && braces
}

fn operand_behind_operand(tokens: &[TokenTree]) -> Option<usize> {
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let mut names = pairs.map(|(before, token)| match (before, token) {
        (TokenTree::Ident(before), TokenTree::Ident(name)) => {
            !is_keyword(before) && !is_keyword(name)
        }
        (TokenTree::Group(_) | TokenTree::Literal(_), TokenTree::Ident(name)) => !is_keyword(name),
        _ => false,
    });
    names.position(|found| found).map(|place| place + 1)
}

fn expression(context: &Context<'_>, tokens: &[TokenTree], target: bool, out: &mut TokenStream) {
    let (value, policies) = mirrored(context, tokens, target);
    let end = end(tokens);
    out.extend(quote_spanned!(Span::mixed_site()=> let _ = #value #end));
    self::policies(context, policies, out);
}

fn mirrored(
    context: &Context<'_>,
    tokens: &[TokenTree],
    target: bool,
) -> (TokenStream, Vec<(Slot, Ident)>) {
    let mut policies = Vec::new();
    let value = exprs::mirrored(context, tokens, target, &mut policies);
    (value, policies)
}

/// Policies and checks of the user's own, which no module of words has.
fn policies(context: &Context<'_>, policies: Vec<(Slot, Ident)>, out: &mut TokenStream) {
    for (slot, name) in policies {
        if !is_word(context, slot, &name) || context.model.names.is_own(&name.to_string()) {
            expression(context, &[TokenTree::Ident(name)], false, out);
        }
    }
}

/// Whether the module of the place has the name, so that it must not stand there a second time.
fn is_word(context: &Context<'_>, slot: Slot, name: &Ident) -> bool {
    let slots: &[vocab::Slot] = match slot {
        Slot::Target => &[vocab::Slot::Target],
        Slot::Guard => &[vocab::Slot::Key],
        Slot::Policy => &[vocab::Slot::Policy, vocab::Slot::KeyedPolicy],
        Slot::Health => &[vocab::Slot::Check],
        _ => &[],
    };
    let text = name.to_string();
    let backends = matches!(slot, Slot::Target | Slot::Outcome);
    slots.iter().any(|slot| vocab::is(*slot, &text))
        || (backends && context.places.contains_key(&name.to_string()))
}

/// The `;` behind an expression, which is where rustc says that the expression is not finished.
fn end(tokens: &[TokenTree]) -> TokenTree {
    semicolon(match tokens.last() {
        Some(last) if is_unfinished(tokens) => exprs::at(last.span()),
        _ => Span::mixed_site(),
    })
}

fn semicolon(span: Span) -> TokenTree {
    let mut semicolon = Punct::new(';', Spacing::Alone);
    semicolon.set_span(span);
    TokenTree::Punct(semicolon)
}
