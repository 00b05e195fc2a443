//! Gateways that are mounted: their tables become part of those of this gateway, and their parts of this gateway.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use super::{
    Context,
    exprs::{self, at},
    listing,
    setup::{chain_of, number},
};
use crate::{
    model::{Route, mount::Mount},
    syntax::{
        cursor::tokens_of,
        expr_list,
        pattern::{Pattern, Tail},
    },
};

/// The routes that mount a gateway, with their numbers.
fn mounting<'c>(context: &'c Context<'_>) -> impl Iterator<Item = (usize, &'c Route, &'c Mount)> {
    let routes = context.model.routes.iter().enumerate();
    routes.filter_map(|(number, route)| Some((number, route, route.mount.as_ref()?)))
}

/// The mounts as constants; none if there are no mounts.
pub(super) fn list(context: &Context<'_>) -> Option<Vec<TokenStream>> {
    let krate = &context.krate;
    let mounts: Vec<TokenStream> = mounting(context)
        .map(|(place, route, mount)| {
            let segments = route.pattern.as_ref().map_or(0, |path| path.segments.len());
            let (row, segments) = (number(place), Literal::usize_unsuffixed(segments));
            let ty = ty(mount);
            let tables = quote_spanned!(at(mount.span())=>
                <#ty as #krate::__private::NamedGateway>::TABLES
            );
            quote_spanned!(Span::mixed_site()=>
                #krate::__private::Mount::new(#row, #segments, #tables)
            )
        })
        .collect();
    (!mounts.is_empty()).then_some(mounts)
}

/// The type, as the user has written it.
fn ty(mount: &Mount) -> TokenStream {
    mount.ty.iter().cloned().collect()
}

/// What has to be wrong with no mount, as constants of their own at their places.
pub(super) fn checks(context: &Context<'_>) -> TokenStream {
    if context.faulty {
        return TokenStream::new();
    }
    let krate = &context.krate;
    let env = listing::rows(context);
    let checks = mounting(context)
        .enumerate()
        .map(|(place, (_, route, mount))| {
            let before = before(context, route).map(number);
            let open = route.required && route.layers.is_empty();
            let place = number(place);
            let inner = quote_spanned!(Span::mixed_site()=>
                &OWN, OWN_ENV, MOUNTS, #place, &[#(#before),*], #open
            );
            // An error is at all of the type.
            let mut arguments = Group::new(Delimiter::Parenthesis, inner);
            arguments.set_span(
                mount
                    .ty
                    .last()
                    .map_or(at(mount.span()), |last| at(last.span())),
            );
            let arguments = TokenTree::Group(arguments);
            let check = Ident::new("check_mount", at(mount.span()));
            quote_spanned!(Span::mixed_site()=>
                #[allow(long_running_const_eval)]
                const _: () = #check #arguments;
            )
        });
    quote_spanned!(Span::mixed_site()=>
        use #krate::__private::check_mount;
        const OWN_ENV: &[#krate::EnvInfo] = #env;
        #(#checks)*
    )
}

/// The routes that are asked before a mount, and take all that they are asked for.
fn before<'c>(context: &'c Context<'_>, mount: &'c Route) -> impl Iterator<Item = usize> + 'c {
    let routes = context.model.routes.iter().enumerate();
    let before = routes.filter(|(_, route)| {
        let (Some(own), Some(prefix)) = (&route.pattern, &mount.pattern) else {
            return false;
        };
        route.host == mount.host && route.guard.is_none() && is_below(own, prefix)
    });
    before.map(|(number, _)| number)
}

/// Whether a pattern starts with all of the prefix, and is more specific.
fn is_below(pattern: &Pattern, prefix: &Pattern) -> bool {
    let mut pairs = prefix.segments.iter().zip(&pattern.segments);
    let (own, others) = (pattern.segments.len(), prefix.segments.len());
    let narrower = own > others || (own == others && pattern.tail != Tail::Prefix);
    narrower && pairs.all(|(one, other)| one.is_like(other))
}

/// Makes the gateway, and gives all that it has to this one.
pub(super) fn call(
    context: &Context<'_>,
    mount: &Mount,
    index: &Literal,
    chain: usize,
) -> TokenStream {
    let layers = chain_of(chain);
    let made = made(context, mount);
    quote_spanned!(at(mount.span())=> __asm.mount(#index, #made, #layers);)
}

fn made(context: &Context<'_>, mount: &Mount) -> TokenStream {
    let ty = ty(mount);
    let (place, arguments) = match &mount.new {
        Some((new, group)) => {
            let all = context.all_backends();
            let arguments = expr_list(&tokens_of(group.stream()), group.span_close());
            let arguments = arguments.iter().map(|argument| {
                let value = exprs::expr(context, argument);
                exprs::owning(context, argument, &all, value)
            });
            let arguments = quote_spanned!(at(new.span())=> #(#arguments),*);
            (new.span(), arguments)
        }
        None => (mount.span(), TokenStream::new()),
    };
    let assembly = Ident::new("__assembly", at(place));
    let mut call = Group::new(Delimiter::Parenthesis, arguments);
    let new = mount.new.as_ref();
    call.set_span(new.map_or(at(place), |(_, group)| group.span()));
    let call = TokenTree::Group(call);
    quote_spanned!(at(place)=> { use __p::NotNamed as _; <#ty>::#assembly #call })
}

/// Finds out what is wrong with the mounted gateways where this one lacks variables, so that all is said at once.
pub(super) fn lacks(context: &Context<'_>) -> TokenStream {
    let mut out = TokenStream::new();
    let (mut any, mut all) = (false, true);
    for (_, _, mount) in mounting(context) {
        any = true;
        if mount.new.is_some() {
            // What it is made from may need the variables.
            all = false;
            continue;
        }
        let made = made(context, mount);
        out.extend(quote_spanned!(at(mount.span())=> __asm.lacks(#made);));
    }
    if any && !all {
        out.extend(quote_spanned!(Span::mixed_site()=> __asm.unset();));
    }
    out
}
