//! The procedural macro behind `prox::gateway!`. Use it through the `prox` crate, which documents the language.
//!
//! Tokens become a tree that keeps going after a mistake (`syntax`), the tree a model of the gateway as data (`model`),
//! the model is checked (`check`) and written as Rust (`expand`), whether or not the checks found something.

extern crate proc_macro;

mod check;
mod diag;
mod expand;
mod model;
mod syntax;

use proc_macro2::{Span, TokenStream, TokenTree};

use crate::{diag::Diagnostics, expand::Context, model::tree::Forest, syntax::cursor::tokens_of};

/// What `prox::gateway!` calls, with the path of the facade as the first token.
#[doc(hidden)]
#[proc_macro]
pub fn gateway_impl(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input.into()).into()
}

/// The expansion, apart from the compiler.
fn expand(input: TokenStream) -> TokenStream {
    expand_with(input, |_| ())
}

/// As [`expand`], with everything that only rustc understands made plain, so that what is left must parse.
#[cfg(test)]
fn expand_opaque(input: TokenStream) -> TokenStream {
    expand_with(input, tests::make_opaque)
}

fn expand_with(input: TokenStream, adjust: fn(&mut model::Model)) -> TokenStream {
    let mut input = input.into_iter();
    let krate: TokenStream = input.next().into_iter().collect();
    let tokens: Vec<TokenTree> = tokens_of(input.collect());
    let end = tokens.last().map_or_else(Span::call_site, TokenTree::span);
    let mut diag = Diagnostics::default();
    let gateway = syntax::parse(&tokens, end, &mut diag);
    if gateway.without_name {
        return diag.to_tokens();
    }
    let mut model = model::lower(gateway, &mut diag);
    let forest = Forest::new(&model);
    check::check(&model, &forest, &mut diag);
    adjust(&mut model);
    let mut context = Context::new(krate, &model, &forest);
    context.faulty = !diag.is_empty();
    expand::expand(&context, &diag)
}

#[cfg(test)]
mod tests;
