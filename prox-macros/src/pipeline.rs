//! The whole way from tokens to tokens, apart from the compiler, so that tests and fuzzers can take it.

use proc_macro2::{Span, TokenStream, TokenTree};

use crate::{
    around::Around,
    check,
    diag::Diagnostics,
    expand::{self, Context},
    model::{self, tree::Forest},
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
    let editor = is_editor();
    let mut gateway = syntax::parse(&tokens, end, &mut diag);
    if gateway.without_name {
        return diag.to_tokens();
    }
    // An editor resolves names by itself, and its files are in its memory.
    if let Some(first) = tokens.first().filter(|_| !editor) {
        gateway.around = Around::of(first.span());
    }
    let mut model = model::lower(gateway, &mut diag);
    let forest = Forest::new(&model);
    check::check(&model, &forest, &mut diag);
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
    context.editor = editor;
    expand::expand(&context, &diag)
}

/// Whether rust-analyzer expands the gateway, and not a compiler. It reads the mirror alone, again at every key, so what runs
/// is not written for it.
fn is_editor() -> bool {
    proc_macro::is_available()
        && std::env::current_exe().is_ok_and(|program| {
            let name = program.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("rust-analyzer")
        })
}
