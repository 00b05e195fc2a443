//! Warnings on stable Rust: a use of something deprecated, at the user's token, says any text.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::Context;

/// One block for each warning, for a place where statements stand and no editor looks.
pub(super) fn statements(context: &Context<'_>) -> TokenStream {
    let warnings = context.warnings.iter().map(|warning| {
        let text = &warning.text;
        // With the hygiene of the macro the use would be hidden, as what macros of other crates do is.
        let lint = Ident::new(warning.lint, warning.at);
        quote_spanned!(Span::mixed_site()=> {
            #[deprecated(note = #text)]
            #[allow(non_upper_case_globals)]
            const #lint: () = ();
            let () = #lint;
        })
    });
    warnings.collect()
}
