//! The items of a gateway with a name: its type, the constructor, the backends and the tables.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::{Context, docs, listing, mirror, setup, tables, warnings};
use crate::{
    reader::Reader,
    syntax::ast::{Attr, Named},
};

pub(super) fn items(context: &Context<'_>, named: &Named) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let Named { vis, name, .. } = named;
    let vis: TokenStream = vis.iter().cloned().collect();
    let attrs: TokenStream = attributes(&named.attrs);
    let docs = docs::tables(context);
    let backends = crate::model::backends_name(named);
    let taken = context.model.names.around().beside(&backends).is_some();
    // What has the name has been reported.
    let backends = if taken {
        format!("__{backends}")
    } else {
        backends
    };
    let backends = Ident::new(&backends, Span::call_site());
    let backends_item = backends_item(context, &vis, name, &backends);
    let implementation = implementation(context, named, &vis, &backends);
    let constructor = constructor(context, named, &vis);
    let handles = handles(context, name, &backends);
    quote_spanned!(span=>
        #constructor
        #attrs
        #[doc = #docs]
        #[derive(Clone, Debug)]
        #vis struct #name {
            gateway: #krate::Gateway,
            backends: #backends,
        }
        #backends_item
        #implementation
        impl ::core::ops::Deref for #name {
            type Target = #krate::Gateway;
            fn deref(&self) -> &#krate::Gateway {
                &self.gateway
            }
        }
        impl #krate::IntoGateway for #name {
            fn into_gateway(self) -> ::core::result::Result<#krate::Gateway, #krate::Error> {
                ::core::result::Result::Ok(self.gateway)
            }
        }
        impl #krate::Describe for #name {
            fn describe() -> ::core::option::Option<#krate::Description> {
                ::core::option::Option::Some(#krate::Description::new(
                    Self::__table(),
                    Self::ROUTES,
                    Self::ENV,
                ).versioned(
                    ::core::option_env!("CARGO_PKG_NAME"),
                    ::core::option_env!("CARGO_PKG_VERSION"),
                ))
            }
        }
        impl #krate::__private::NamedGateway for #name {
            const TABLES: #krate::__private::Tables = #krate::__private::Tables::new(
                Self::__table(),
                Self::ROUTES,
                Self::ENV,
            );
        }
        #handles
        #krate::__private::service_impl! { #name }
    )
}

fn attributes(attrs: &[Attr]) -> TokenStream {
    attrs
        .iter()
        .flat_map(|attr| attr.tokens.iter().cloned())
        .collect()
}

/// The constructor as an editor sees it.
fn constructor(context: &Context<'_>, named: &Named, vis: &TokenStream) -> TokenStream {
    if context.reader == Reader::Compiler {
        return TokenStream::new();
    }
    let krate = &context.krate;
    let name = &named.name;
    let mirror = mirror::statements(context);
    let arguments = arguments(named);
    let allow = setup::allow();
    quote_spanned!(Span::mixed_site()=>
        #[allow(unexpected_cfgs)]
        impl #name {
            /// Makes the gateway.
            ///
            /// # Errors
            ///
            /// Everything that is wrong with the environment and the configuration, in one error.
            #[cfg(rust_analyzer)]
            #[allow(unused_variables)]
            #allow
            #vis fn new(#arguments) -> ::core::result::Result<Self, #krate::Error> {
                #mirror
                loop {}
            }
        }
    )
}

fn arguments(named: &Named) -> TokenStream {
    let arguments = named.fields.iter().enumerate().map(|(place, field)| {
        let (name, ty) = (&field.name, &field.ty);
        let ty: TokenStream = ty.iter().cloned().collect();
        let mut earlier = named.fields.iter().take(place);
        if earlier.any(|earlier| earlier.name == *name) {
            // Reported; the number of arguments stays.
            quote_spanned!(Span::mixed_site()=> _: #ty)
        } else {
            quote_spanned!(Span::mixed_site()=> #name: #ty)
        }
    });
    quote_spanned!(Span::mixed_site()=> #(#arguments),*)
}

/// The names of the arguments, where they are given on. One that is there twice has been reported.
fn given(named: &Named) -> Vec<TokenStream> {
    let all = named.fields.iter().enumerate().map(|(place, field)| {
        let name = &field.name;
        let mut earlier = named.fields.iter().take(place);
        if earlier.any(|earlier| earlier.name == *name) {
            quote_spanned!(Span::mixed_site()=> ::core::unreachable!())
        } else {
            let mut name = name.clone();
            name.set_span(name.span().located_at(Span::mixed_site()));
            quote_spanned!(Span::mixed_site()=> #name)
        }
    });
    all.collect()
}

/// A struct with a handle for each backend.
fn backends_item(
    context: &Context<'_>,
    vis: &TokenStream,
    name: &Ident,
    ident: &Ident,
) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let about = format!("The backends of [`{name}`]: endpoints, health and draining of each.");
    let fields = context.backends.iter().map(|backend| {
        let docs: Vec<&str> = backend
            .attrs
            .iter()
            .filter_map(|attr| attr.doc.as_deref())
            .collect();
        // The user's own name, so that renaming the backend renames the field.
        let field = &backend.name;
        let fallback = format!("The backend `{field}`.");
        let docs = if docs.is_empty() {
            vec![fallback.as_str()]
        } else {
            docs
        };
        quote_spanned!(span=> #(#[doc = #docs])* pub #field: H)
    });
    // A parameter that no field has would be an error.
    let none = context.backends.is_empty().then(
        || quote_spanned!(span=> #[doc(hidden)] pub __none: ::core::marker::PhantomData<fn() -> H>,),
    );
    quote_spanned!(span=>
        #[doc = #about]
        #[derive(Clone, Debug)]
        #[allow(non_snake_case, dead_code, clippy::exhaustive_structs)]
        #vis struct #ident<H = #krate::Cluster> {
            #(#fields,)*
            #none
        }
    )
}

/// How each handle is turned into something else, which tests do.
fn handles(context: &Context<'_>, name: &Ident, backends: &Ident) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let fields = context.backends.iter().map(|backend| {
        let mut field = backend.name.clone();
        field.set_span(Span::call_site());
        quote_spanned!(span=> #field: turn(&self.backends.#field))
    });
    let none = none(context);
    let turn = if context.backends.is_empty() {
        quote_spanned!(span=> _)
    } else {
        quote_spanned!(span=> mut turn)
    };
    quote_spanned!(span=>
        impl #krate::__private::Handles for #name {
            type Of<H> = #backends<H>;
            fn each<H>(
                &self,
                #turn: impl ::core::ops::FnMut(&#krate::Cluster) -> H,
            ) -> #backends<H> {
                #backends { #(#fields,)* #none }
            }
        }
    )
}

/// The field of a struct of handles that has no other.
fn none(context: &Context<'_>) -> Option<TokenStream> {
    let is_empty = context.backends.is_empty();
    is_empty.then(|| quote_spanned!(Span::mixed_site()=> __none: ::core::marker::PhantomData,))
}

fn implementation(
    context: &Context<'_>,
    named: &Named,
    vis: &TokenStream,
    backends: &Ident,
) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let name = &named.name;
    // An editor has the constructor in the mirror, and evaluates no constant.
    let (table, routes, variables, made) = if context.reader == Reader::Editor {
        let nothing = || quote_spanned!(span=> loop {});
        (nothing(), nothing(), nothing(), None)
    } else {
        (
            tables::table(context),
            listing::routes(context),
            listing::variables(context),
            Some(made(context, named, vis, backends)),
        )
    };
    let with_env = with_env(context, named, vis);
    quote_spanned!(span=>
        #[allow(dead_code, unexpected_cfgs)]
        impl #name {
            /// The routes, in the order of the source; prints as a table.
            #vis const ROUTES: #krate::Routes = #routes;

            /// The variables of the environment that the gateway reads when it starts; prints as a table.
            #vis const ENV: #krate::Variables = #variables;

            #made

            #with_env

            /// The handles of the backends.
            #vis fn backends(&self) -> &#backends {
                &self.backends
            }

            /// Says which route would take a request for `url`, an absolute URL or a path, and why.
            #[allow(clippy::impl_trait_in_params)]
            #vis fn explain(
                method: impl ::core::convert::AsRef<str>,
                url: impl ::core::convert::AsRef<str>,
            ) -> #krate::Explanation {
                #krate::__private::explain(Self::__table(), Self::ROUTES, method, url)
            }

            const fn __table() -> &'static #krate::__private::Table {
                static TABLE: #krate::__private::Table = #table;
                &TABLE
            }
        }
    )
}

/// The constructor with variables that are given in code.
fn with_env(context: &Context<'_>, named: &Named, vis: &TokenStream) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let mut arguments = TokenStream::new();
    let mut fields = Vec::new();
    for (place, field) in named.fields.iter().enumerate() {
        let ty: TokenStream = field.ty.iter().cloned().collect();
        let mut name = field.name.clone();
        name.set_span(Span::call_site());
        let mut earlier = named.fields.iter().take(place);
        if earlier.any(|earlier| earlier.name == field.name) {
            // Reported.
            name = Ident::new(&format!("__f{place}"), span);
        }
        arguments.extend(quote_spanned!(span=> , #name: #ty));
        fields.push(name);
    }
    quote_spanned!(span=>
        /// As `new`, with variables that are given in code instead of those of the process.
        ///
        /// An array of pairs is all that the gateway and its server read: `[("USERS_URL", "http://127.0.0.1:9000")]`.
        ///
        /// # Errors
        ///
        /// As `new`; also when a variable is given that the gateway does not read.
        #[allow(clippy::too_many_arguments, clippy::impl_trait_in_params)]
        #vis fn with_env(
            __env: impl ::core::convert::Into<#krate::Env> #arguments
        ) -> ::core::result::Result<Self, #krate::Error> {
            #krate::Env::within_strictly(
                ::core::convert::Into::into(__env),
                || Self::new(#(#fields),*),
            )
        }
    )
}

/// The constructor as the compiler sees it.
fn made(context: &Context<'_>, named: &Named, vis: &TokenStream, backends: &Ident) -> TokenStream {
    let krate = &context.krate;
    let span = Span::mixed_site();
    let parts = setup::Parts {
        table: quote_spanned!(span=> Self::__table()),
        routes: quote_spanned!(span=> Self::ROUTES),
        variables: quote_spanned!(span=> Self::ENV),
        fail: quote_spanned!(span=> return ::core::result::Result::Err(__asm.unmade())),
    };
    let body = setup::body(context, &parts);
    let warnings = warnings::statements(context);
    let allow = setup::allow();
    let unused = setup::allow_unused(context);
    let arguments = arguments(named);
    let given = given(named);
    let none = none(context);
    let handles = context.backends.iter().enumerate().map(|(place, backend)| {
        let mut field = backend.name.clone();
        field.set_span(Span::call_site());
        let handle = setup::backend_ident(place);
        quote_spanned!(span=> #field: #handle)
    });
    quote_spanned!(span=>
        /// Makes the gateway.
        ///
        /// # Errors
        ///
        /// Everything that is wrong with the environment and the configuration, in one error.
        #allow
        #[cfg(not(rust_analyzer))]
        #vis fn new(#arguments) -> ::core::result::Result<Self, #krate::Error> {
            #warnings
            match Self::__assembly(#(#given),*) {
                ::core::result::Result::Ok((assembly, backends)) => {
                    ::core::result::Result::Ok(Self {
                        gateway: assembly.finish()?,
                        backends,
                    })
                }
                ::core::result::Result::Err(assembly) => {
                    ::core::result::Result::Err(assembly.into_error())
                }
            }
        }

        #[doc(hidden)]
        #allow
        #unused
        #[cfg(not(rust_analyzer))]
        #vis fn __assembly(#arguments) -> ::core::result::Result<
            (#krate::__private::Assembly, #backends),
            ::std::boxed::Box<#krate::__private::Assembly>,
        > {
            #body
            ::core::result::Result::Ok((__asm, #backends { #(#handles,)* #none }))
        }
    )
}
