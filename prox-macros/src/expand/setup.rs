//! The statements that make a gateway when it starts: variables, values, backends, layers, routes.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote_spanned;

use super::{
    Context, called,
    exprs::{self, at},
    warnings, words,
};
use crate::syntax::{
    ast::{Backend, Env, Setup, Target},
    lints::of_rustc,
};

/// What differs between the two positions.
pub(super) struct Parts {
    pub(super) table: TokenStream,
    pub(super) routes: TokenStream,
    pub(super) variables: TokenStream,
    /// Leaves with an error.
    pub(super) fail: TokenStream,
}

/// Lints that the user's names and holes must not set off.
///
/// They are the same for every gateway, since they stand before the mirror.
pub(super) fn allow() -> TokenStream {
    quote_spanned!(Span::mixed_site()=>
        #[allow(
            non_snake_case,
            non_upper_case_globals,
            unexpected_cfgs,
            unused_imports,
            unused_mut,
            unused_parens,
            unreachable_code,
            clippy::diverging_sub_expression,
            clippy::too_many_arguments,
            clippy::too_many_lines,
            clippy::redundant_clone,
            clippy::wildcard_imports
        )]
    )
}

/// What a mistake has cut off from its uses is not unused.
pub(super) fn allow_unused(context: &Context<'_>) -> Option<TokenStream> {
    context
        .faulty
        .then(|| quote_spanned!(Span::mixed_site()=> #[allow(unused_variables)]))
}

/// All statements, after which `__asm` can be finished.
pub(super) fn body(context: &Context<'_>, parts: &Parts) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let Parts {
        table,
        routes,
        variables,
        ..
    } = parts;
    let warnings = warnings::statements(context);
    // Apart, so that what is wrong inside of one stays there.
    let strays = (!context.model.strays.is_empty()).then(|| {
        let strays = &context.model.strays;
        quote_spanned!(span=> #krate::__private::items! { #(#strays)* })
    });
    let env = environment(context, parts);
    let setup = setup(context);
    let layers = layers(context);
    let targets = targets(context);
    let types = words::types(context);
    let policies = words::policies(context);
    quote_spanned!(span=>
        use #krate::__private as __p;
        #types
        #policies
        #strays
        #warnings
        let mut __asm = __p::Assembly::new(#table, #routes, #variables);
        #env
        #setup
        #layers
        #targets
    )
}

/// Reads all variables before the first is used, so that one error has all that are missing.
fn environment(context: &Context<'_>, parts: &Parts) -> TokenStream {
    let span = Span::mixed_site();
    let env = &context.model.env;
    if env.is_empty() {
        return TokenStream::new();
    }
    let reads = env.iter().enumerate().map(|(place, variable)| {
        let Env {
            attrs,
            name,
            ty,
            default,
        } = variable;
        let attrs: TokenStream = of_rustc(attrs).cloned().collect();
        let local = numbered("__e", place);
        let number = number(place);
        let ty: TokenStream = ty.iter().cloned().collect();
        match default {
            None => {
                let read = quote_spanned!(at(name.span())=> __asm.env::<#ty, _>(#number));
                quote_spanned!(span=> #attrs let #local = #read;)
            }
            Some(default) => {
                let value = exprs::expr(context, default);
                let read =
                    quote_spanned!(at(name.span())=> __asm.env_or::<#ty, _>(#number, || #value));
                quote_spanned!(span=> #attrs let #local = #read;)
            }
        }
    });
    // Of a name that nothing uses there is a warning with a better text; one that is there twice is bound once.
    let names = env.iter().enumerate().map(|(place, variable)| {
        let name = &variable.name;
        let mut earlier = env.iter().take(place);
        if earlier.any(|earlier| earlier.name == *name) {
            quote_spanned!(span=> _)
        } else {
            quote_spanned!(span=> #name)
        }
    });
    let locals = (0..env.len()).map(|place| numbered("__e", place));
    let fail = &parts.fail;
    quote_spanned!(span=>
        #(#reads)*
        #[allow(unused_variables)]
        let (#(::core::option::Option::Some(#names),)*) = (#(#locals,)*) else {
            #fail(__asm.into_error())
        };
    )
}

fn setup(context: &Context<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let mut out = TokenStream::new();
    let setups = &context.model.setup;
    for setup in context
        .model
        .order
        .iter()
        .filter_map(|place| setups.get(*place))
    {
        match setup {
            Setup::Let(binding) => {
                let pattern: TokenStream = binding.pattern.iter().cloned().collect();
                let value = exprs::expr(context, &binding.value);
                let attrs: TokenStream = of_rustc(&binding.attrs).cloned().collect();
                out.extend(quote_spanned!(span=> #attrs let #pattern = #value;));
            }
            Setup::Backend(backend) => out.extend(self::backend(context, backend)),
        }
    }
    out
}

/// The handle of the gateway, and the user's variable.
fn backend(context: &Context<'_>, backend: &Backend) -> TokenStream {
    let krate = &context.krate;
    let name = &backend.name;
    let span = Span::mixed_site();
    let Some(place) = context
        .backends
        .iter()
        .position(|other| std::ptr::eq(*other, backend))
    else {
        return TokenStream::new();
    };
    let attrs: TokenStream = of_rustc(&backend.attrs).cloned().collect();
    let handle = backend_ident(place);
    let text = Literal::string(&name.to_string());
    let value = match &backend.target {
        Some(target @ (Target::Url(_) | Target::Expr(_))) => {
            let value = exprs::target(context, target);
            let at = at(exprs::target_span(target));
            quote_spanned!(at=> __asm.backend(#text, #value))
        }
        // A hole, which has been reported.
        Some(Target::Split(_)) | None => quote_spanned!(span=> ::core::unreachable!()),
    };
    quote_spanned!(span=>
        #attrs
        let #handle: #krate::Cluster = #value;
        #[allow(unused_variables)]
        let #name = ::core::clone::Clone::clone(&#handle);
    )
}

fn layers(context: &Context<'_>) -> TokenStream {
    let layers = context
        .model
        .layers
        .iter()
        .enumerate()
        .map(|(place, layer)| {
            let local = numbered("__l", place);
            let value = called::layer(layer).unwrap_or_else(|| exprs::expr(context, layer));
            let layer = quote_spanned!(at(layer.span())=> __p::layer(#value));
            quote_spanned!(Span::mixed_site()=> let #local = #layer;)
        });
    let mut out: TokenStream = layers.collect();
    if !context.model.every.is_empty() {
        let every = context
            .model
            .every
            .iter()
            .map(|layer| numbered("__l", *layer));
        out.extend(quote_spanned!(Span::mixed_site()=> __asm.every(&[#(&#every),*]);));
    }
    out
}

fn targets(context: &Context<'_>) -> TokenStream {
    let mut out = TokenStream::new();
    for (place, route) in context.model.routes.iter().enumerate() {
        let number = number(place);
        if let Some(target) = &route.target {
            let value = exprs::target(context, target);
            let layers = route.layers.iter().map(|layer| numbered("__l", *layer));
            out.extend(quote_spanned!(at(exprs::target_span(target))=>
                __asm.route(#number, #value, &[#(&#layers),*]);
            ));
        }
        if let Some(guard) = &route.guard {
            let value = exprs::guard(context, guard);
            out.extend(quote_spanned!(at(guard.span())=> __asm.guard(#number, #value);));
        }
    }
    out
}

/// The handle of a backend, by its place among the backends.
pub(super) fn backend_ident(place: usize) -> Ident {
    numbered("__b", place)
}

fn numbered(prefix: &str, place: usize) -> Ident {
    Ident::new(&format!("{prefix}{place}"), Span::mixed_site())
}

fn number(place: usize) -> Literal {
    Literal::usize_unsuffixed(place)
}
