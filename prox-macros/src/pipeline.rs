//! The whole way from tokens to tokens, apart from the compiler, so that tests and fuzzers can take it.

use proc_macro2::{Span, TokenStream, TokenTree};

use crate::{
    around::Around,
    check,
    diag::Diagnostics,
    expand::{self, Context},
    model::{self, tree::Forest},
    reader::Reader,
    syntax::{self, cursor::tokens_of},
};

/// The expansion of a gateway, which stands behind the path of the facade.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    expand_with(input, |_| ())
}

/// The same with a model that is changed before it is written.
pub(crate) fn expand_with(input: TokenStream, adjust: fn(&mut model::Model)) -> TokenStream {
    let mut input = input.into_iter();
    let krate: TokenStream = input.next().into_iter().collect();
    let tokens: Vec<TokenTree> = tokens_of(input.collect());
    let end = tokens.last().map_or_else(Span::call_site, TokenTree::span);
    let mut diag = Diagnostics::default();
    let reader = Reader::now();
    let mut gateway = syntax::parse(&tokens, end, &mut diag);
    if gateway.without_name {
        diag.finish();
        return diag.to_tokens();
    }
    // An editor resolves names by itself, and its files are in its memory.
    if let Some(first) = tokens.first().filter(|_| reader != Reader::Editor) {
        gateway.around = Around::of(first.span());
    }
    let mut model = model::lower(gateway, &mut diag);
    let forest = Forest::new(&model);
    check::check(&model, &forest, &mut diag);
    if reader == Reader::Editor {
        check::live::check(&model, &mut diag);
    }
    diag.finish();
    if model.twin().is_some() {
        // Reported; the items would be there twice.
        return diag.to_tokens();
    }
    let warnings = if diag.is_empty() {
        check::warnings::warnings(&model, &forest)
    } else {
        Vec::new()
    };
    adjust(&mut model);
    let mut context = Context::new(krate, &model, &forest);
    context.faulty = !diag.is_empty();
    context.warnings = warnings;
    context.untyped = diag.untyped();
    context.reader = reader;
    expand::expand(&context, &diag)
}
