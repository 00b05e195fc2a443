//! The procedural macro behind `prox::gateway!`. Use it through the `prox` crate, which documents the language.
//!
//! Tokens become a tree that keeps going after a mistake (`syntax`), the tree a model of the gateway as data (`model`),
//! the model is checked (`check`) and written as Rust (`expand`), whether or not the checks found something.

extern crate proc_macro;

mod around;
mod check;
mod diag;
mod expand;
mod features;
mod model;
mod pipeline;
mod reader;
mod syntax;
mod vocab;

use self::pipeline::expand;

/// What `prox::gateway!` calls, with the path of the facade as the first token.
#[doc(hidden)]
#[proc_macro]
pub fn gateway_impl(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input.into()).into()
}

/// As [`expand`], with everything that only rustc understands made plain, so that what is left must parse.
#[cfg(test)]
fn expand_opaque(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    pipeline::expand_with(input, tests::make_opaque)
}

#[cfg(test)]
mod tests;
