//! From the model to Rust. It reads the model only, and writes every public item even when there were errors.

mod called;
mod docs;
pub(crate) mod exprs;
pub(crate) mod listing;
mod made;
mod matcher;
mod mirror;
mod mounts;
mod named;
mod order;
mod setup;
pub(crate) mod tables;
mod warnings;
mod who;
pub(crate) mod words;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::Entry},
};

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use crate::{
    check::{domains::Owners, warnings::Warning},
    diag::Diagnostics,
    model::{Model, tree::Forest},
    reader::Reader,
    syntax::{
        ast::{Backend, Setup},
        calls::mentions,
    },
};

/// What every part of the expansion reads.
pub(crate) struct Context<'a> {
    /// The path of the facade, wherever the user has it: `$crate`.
    pub(crate) krate: TokenStream,
    pub(crate) model: &'a Model,
    pub(crate) forest: &'a Forest,
    /// Whether anything was reported.
    pub(crate) faulty: bool,
    pub(crate) warnings: Vec<Warning>,
    /// Who expands it.
    pub(crate) reader: Reader,
    /// What the mirror leaves out; see [`Diagnostics::untyped`].
    pub(crate) untyped: HashSet<String>,
    /// The backends, each name once.
    backends: Vec<&'a Backend>,
    /// The places of the backends by name.
    places: HashMap<String, usize>,
    /// The policies of the language that are used by their names alone, each where it is first.
    policies: RefCell<BTreeMap<String, Ident>>,
    /// Who may enter each route.
    who: Vec<String>,
    owners: Owners<'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(krate: TokenStream, model: &'a Model, forest: &'a Forest) -> Self {
        let mut context = Self {
            krate,
            model,
            forest,
            faulty: false,
            warnings: Vec::new(),
            reader: Reader::Unknown,
            untyped: HashSet::new(),
            backends: Vec::new(),
            places: HashMap::new(),
            policies: RefCell::default(),
            who: who::who(model),
            owners: Owners::new(model),
        };
        for setup in &model.setup {
            if let Setup::Backend(backend) = setup {
                let place = context.backends.len();
                if let Entry::Vacant(entry) = context.places.entry(backend.name.to_string()) {
                    entry.insert(place);
                    context.backends.push(backend);
                }
            }
        }
        context
    }

    /// The place of the backend that a name means behind `=>`, if no `let` takes the name.
    fn backend(&self, name: &Ident) -> Option<usize> {
        let place = *self.places.get(&name.to_string())?;
        let mut setup = self.model.setup.iter();
        let shadowed = setup
            .any(|setup| matches!(setup, Setup::Let(binding) if mentions(&binding.pattern, name)));
        (!shadowed).then_some(place)
    }

    /// The places of all backends.
    fn all_backends(&self) -> BTreeSet<usize> {
        (0..self.backends.len()).collect()
    }
}

/// The whole expansion: items for a gateway with a name, else an expression.
///
/// The mirror comes first and errors last: an editor finds its way by the text before the caret.
pub(crate) fn expand(context: &Context<'_>, diag: &Diagnostics) -> TokenStream {
    let errors = diag.to_tokens();
    match &context.model.named {
        Some(named) => {
            let items = named::items(context, named);
            quote_spanned!(Span::mixed_site()=> #items #errors)
        }
        None => expression(context, &errors),
    }
}

/// A block of type `Result<Gateway, Error>` that sees the variables around it.
fn expression(context: &Context<'_>, errors: &TokenStream) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let mirror = (context.reader != Reader::Compiler).then(|| {
        let mirror = mirror::statements(context);
        quote_spanned!(span=>
            #[cfg(rust_analyzer)]
            #[allow(unused_variables)]
            let __made = {
                #mirror
                loop {}
            };
        )
    });
    let allow = setup::allow();
    let made = (context.reader != Reader::Editor).then(|| made(context));
    quote_spanned!(span=> {
        #allow
        let __gateway: ::core::result::Result<#krate::Gateway, #krate::Error> = '__prox: {
            #mirror
            #made
            __made
        };
        #errors
        __gateway
    })
}

/// The gateway as the compiler sees it.
fn made(context: &Context<'_>) -> TokenStream {
    let krate = &context.krate;
    let table = tables::table(context);
    let routes = listing::routes(context);
    let variables = listing::variables(context);
    let span = Span::mixed_site();
    let parts = setup::Parts {
        table: quote_spanned!(span=> &__TABLE),
        routes: quote_spanned!(span=> __ROUTES),
        variables: quote_spanned!(span=> __ENV),
        fail: quote_spanned!(span=> break '__prox ::core::result::Result::Err(__asm.into_error())),
    };
    let body = setup::body(context, &parts);
    let warnings = warnings::statements(context);
    let unused = setup::allow_unused(context);
    quote_spanned!(span=>
        #unused
        #[cfg(not(rust_analyzer))]
        let __made = {
            static __TABLE: #krate::__private::Table = #table;
            const __ROUTES: #krate::Routes = #routes;
            const __ENV: #krate::__private::Variables = #variables;
            #warnings
            #body
            __asm.finish()
        };
    )
}
