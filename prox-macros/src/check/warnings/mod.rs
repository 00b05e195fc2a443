//! What compiles and is most likely not what was meant; each can be allowed with an attribute on its line.
//!
//! Nothing is said of a gateway with errors: what a mistake has cut off would look unused.

mod fallback;
mod retries;
mod unused;

use proc_macro2::Span;

use crate::model::{Model, tree::Forest};

/// One warning.
pub(crate) struct Warning {
    pub(crate) at: Span,
    /// Its name, which rustc shows before the text.
    pub(crate) lint: &'static str,
    pub(crate) text: String,
}

/// All warnings, in the order of their subjects.
pub(crate) fn warnings(model: &Model, forest: &Forest) -> Vec<Warning> {
    let mut found = Vec::new();
    unused::check(model, &mut found);
    fallback::check(model, forest, &mut found);
    retries::check(model, &mut found);
    found
}
